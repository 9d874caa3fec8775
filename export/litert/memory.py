"""How much memory a file's activations take, one image at a time."""

from __future__ import annotations

from rnascl_keras.export.litert.reading import LiteRTFile


def activation_bytes(file: LiteRTFile) -> int:
    """Return the largest sum of the bytes of all tensors that are alive at once.

    Operators run in the file's order. A tensor is alive from the operator that makes it, an input
    of the graph from the start, to the last that reads it, an output to the end. An estimate: an
    interpreter lays tensors out with gaps, needs some memory within operators and for its own
    lists, and may let an operator write where it reads.
    """
    last = len(file.operators)
    first_use = dict.fromkeys(file.inputs, 0)
    last_use = dict.fromkeys(file.outputs, last)
    for place, operator in enumerate(file.operators):
        for tensor in operator.outputs:
            first_use.setdefault(tensor, place)
        for tensor in (*operator.inputs, *operator.outputs):
            last_use[tensor] = max(place, last_use.get(tensor, 0))
    changes = [0] * (last + 2)
    for tensor, place in first_use.items():
        size = file.tensors[tensor].bytes
        changes[place] += size
        changes[last_use.get(tensor, place) + 1] -= size
    alive = most = 0
    for change in changes:
        alive += change
        most = max(most, alive)
    return most
