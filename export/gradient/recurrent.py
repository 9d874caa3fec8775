"""LSTM, GRU and RNN written out: a copy of their equations for each step in time.

The equations are those of ONNX's own documents, with the default activations. These operators
have no rule as one node; the nodes that they become have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from onnx import TensorProto, helper

from rnascl_keras.export.gradient.graph import Graph, Tensor
from rnascl_keras.export.gradient.registry import STANDARD, Step, Unsupported, known_shape, rule

# Of all that is written out; rows and patches of an image are fewer. Each becomes 10 to 20 nodes.
_MOST_STEPS = 1024
_ACTIVATIONS = {
    "LSTM": (b"Sigmoid", b"Tanh", b"Tanh"),
    "GRU": (b"Sigmoid", b"Tanh"),
    "RNN": (b"Tanh",),
}

# (what a step takes from the sequence, hidden, cell) -> (hidden, cell), all of (batch, ..)
Cell = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def written_out(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return a copy without recurrent nodes, but for those that cannot be written out; None where
    there are none.

    Args:
        model: with inferred shapes, in opset 18 or later; its names all begin with a prefix.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    found, steps = 0, 0
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type not in _ACTIVATIONS or node.domain not in STANDARD:
            continue
        graph = Graph(copy, prefix=f"{next(filter(None, node.output))}/steps")
        try:
            steps += write_out(graph, node, _MOST_STEPS - steps)
        except (Unsupported, LookupError, TypeError, ValueError):
            continue
        nodes[-1:] = graph.nodes
        found += 1
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy if found else None


@rule(*_ACTIVATIONS, inputs=None)
def recurrent(step: Step) -> dict[int, Tensor]:
    """Only what cannot be written out is still there; say why."""
    write_out(step.graph, step.node, _MOST_STEPS)
    raise Unsupported("with the others before it, it takes too many steps")


def write_out(graph: Graph, node: onnx.NodeProto, most: int) -> int:
    """Add nodes that make the outputs of `node`, under their names; return the steps in time.

    Raises:
        Unsupported: their number is unknown or above `most`, or some setting is not the default.
    """
    step = Step(graph, node, (), frozenset())
    # the order of the steps in time, for each direction
    ways = {b"forward": [1], b"reverse": [-1]}.get(step.attribute("direction"), [1, -1])
    _check_settings(step, len(ways))
    length = known_shape(step.input())[0]
    if not isinstance(length, int):
        raise Unsupported("how many steps it takes is unknown; fix the image size")
    if not 0 < length * len(ways) <= most:
        raise Unsupported(f"it takes {length} steps, more than are written out")
    rows, hidden, cells = [], [], []
    for k, way in enumerate(ways):
        shown, last, cell = _run(step, k, range(length)[::way])
        # (batch, size) for each step -> (length, 1, batch, size)
        rows.append(_stacked(shown[::way], [0, 1]))
        hidden.append(last)
        cells.append(cell)
    results = (graph.op("Concat", *rows, axis=1), _stacked(hidden, [0]), _stacked(cells, [0]))
    for name, result in zip(node.output, results, strict=False):
        if name:
            graph.nodes.append(helper.make_node("Identity", [result.name], [name]))
    return length * len(ways)


def _check_settings(step: Step, ways: int) -> None:
    given = step.attribute("activations")
    defaults = _ACTIVATIONS[step.node.op_type] * ways
    # RNN's own default is of two directions
    if given is not None and tuple(given[: len(defaults)]) != defaults:
        raise Unsupported("its activations are not the default ones")
    if step.attribute("clip") is not None or step.attribute("input_forget", 0):
        raise Unsupported("it clips, or joins its input and forget gates")
    if step.attribute("layout", 0):
        raise Unsupported("its batch comes first")


def _run(step: Step, k: int, times: Sequence[int]) -> tuple[list[Tensor], Tensor, Tensor]:
    """Return what direction k shows after each step, and its hidden state and cell at the end.

    A step beyond the end of a sequence shows 0 and changes nothing.
    """
    graph = step.graph
    lengths = graph.op("Unsqueeze", step.input(4), graph.integers([1])) if step.has(4) else None
    cell, inputs = _CELLS[step.node.op_type](step, k)
    hidden = _own(step, 5, k) if step.has(5) else _zeros(step)
    memory = _own(step, 6, k) if step.has(6) else _zeros(step)
    shown = []
    for time in times:
        now = cell(_part(inputs, time), hidden, memory)
        if lengths is None:
            hidden, memory = now
            shown.append(hidden)
        else:
            going = lengths > time
            hidden, memory = going.where(now[0], hidden), going.where(now[1], memory)
            shown.append(going.where(now[0], 0))
    return shown, hidden, memory


def _lstm(step: Step, k: int) -> tuple[Cell, Tensor]:
    graph, (biases, recurrent_biases) = step.graph, _biases(step, k)
    recurrent_weights = _transposed(_own(step, 2, k))
    inputs = _inputs(step, k, biases + recurrent_biases)
    peepholes = _split(_own(step, 7, k), 3) if step.has(7) else None

    def cell(x: Tensor, hidden: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        i, o, f, c = _split(x + graph.op("MatMul", hidden, recurrent_weights), 4)
        if peepholes:
            i, f = i + peepholes[0] * before, f + peepholes[2] * before
        after = _sigmoid(f) * before + _sigmoid(i) * _tanh(c)
        if peepholes:
            o = o + peepholes[1] * after
        return _sigmoid(o) * _tanh(after), after

    return cell, inputs


def _gru(step: Step, k: int) -> tuple[Cell, Tensor]:
    graph, (biases, recurrent_biases) = step.graph, _biases(step, k)
    weights = _split(_transposed(_own(step, 2, k)), 3)
    added = _split(recurrent_biases, 3)
    reset_last = step.attribute("linear_before_reset")

    def cell(x: Tensor, hidden: Tensor, unused: Tensor) -> tuple[Tensor, Tensor]:
        z, r, h = _split(x, 3)
        z, r = (
            _sigmoid(part + graph.op("MatMul", hidden, weights[i]) + added[i])
            for i, part in enumerate((z, r))
        )
        if reset_last:
            h = h + r * (graph.op("MatMul", hidden, weights[2]) + added[2])
        else:
            h = h + graph.op("MatMul", r * hidden, weights[2]) + added[2]
        return (1 - z) * _tanh(h) + z * hidden, unused

    return cell, _inputs(step, k, biases)


def _rnn(step: Step, k: int) -> tuple[Cell, Tensor]:
    biases, recurrent_biases = _biases(step, k)
    weights = _transposed(_own(step, 2, k))

    def cell(x: Tensor, hidden: Tensor, unused: Tensor) -> tuple[Tensor, Tensor]:
        return _tanh(x + step.graph.op("MatMul", hidden, weights)), unused

    return cell, _inputs(step, k, biases + recurrent_biases)


_CELLS = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}


def _inputs(step: Step, k: int, biases: Tensor) -> Tensor:
    """What all steps take from the sequence: (length, batch, gates * size)."""
    return step.graph.op("MatMul", step.input(), _transposed(_own(step, 1, k))) + biases


def _biases(step: Step, k: int) -> tuple[Tensor, Tensor]:
    """Those of the sequence and those of the state, (gates * size,) each."""
    if step.has(3):
        of_inputs, of_state = _split(_own(step, 3, k), 2)
        return of_inputs, of_state
    zeros = step.graph.constant([0] * step.sizes(step.input(1), 1)[0], step.input().dtype)
    return zeros, zeros


def _zeros(step: Step) -> Tensor:
    """A state of zeros, (batch, size)."""
    graph = step.graph
    batch = graph.op("Gather", graph.op("Shape", step.input()), graph.integers([1]), axis=0)
    size = graph.integers(step.sizes(step.input(2), 2))
    return graph.zeros(graph.op("Concat", batch, size, axis=0), step.input().dtype)


def _own(step: Step, position: int, k: int) -> Tensor:
    """Return what direction k has of an input: (directions, ..) -> (..)."""
    return _part(step.input(position), k)


def _part(x: Tensor, k: int) -> Tensor:
    return x.graph.op("Gather", x, x.graph.constant(k, TensorProto.INT64), axis=0)


def _split(x: Tensor, parts: int) -> tuple[Tensor, ...]:
    return x.graph.op("Split", x, outputs=parts, axis=-1, num_outputs=parts)


def _stacked(parts: Sequence[Tensor], axes: list[int]) -> Tensor:
    """Put axes of size 1 in front, and join along the first."""
    graph = parts[0].graph
    return graph.op(
        "Concat", *(graph.op("Unsqueeze", x, graph.integers(axes)) for x in parts), axis=0
    )


def _transposed(x: Tensor) -> Tensor:
    return x.graph.op("Transpose", x, perm=[1, 0])


def _sigmoid(x: Tensor) -> Tensor:
    return x.graph.op("Sigmoid", x)


def _tanh(x: Tensor) -> Tensor:
    return x.graph.op("Tanh", x)
