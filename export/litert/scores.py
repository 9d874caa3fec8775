"""Which output of a LiteRT file says the class, and which of its tensors holds the logits."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from dataclasses import dataclass

import numpy as np

from rnascl_keras.errors import UserError, check_name
from rnascl_keras.export.attacked_output import ClassScores
from rnascl_keras.export.litert.reading import LiteRTFile, Operator, Tensor

_ACTIVATIONS = {
    "SOFTMAX": "softmax",
    "LOG_SOFTMAX": "softmax",
    "LOGISTIC": "sigmoid",
    "TANH": "tanh",
}
# They leave classes in their order.
_SHAPE_ONLY = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
_QUANTISING = {"QUANTIZE", "DEQUANTIZE"}


@dataclass(frozen=True)
class Scores(ClassScores):
    """The output of a LiteRT file that is attacked.

    Attributes:
        logits: number of the tensor that holds the logits, before the final activation.
    """

    logits: int


def find_scores(file: LiteRTFile, name: str | None = None) -> Scores:
    """Return the output to attack.

    Args:
        file: as it was read.
        name: of the output, as `named_outputs` has it; by default the only one that can be scores
            of classes.

    Raises:
        UserError: there is no such output, or there are several.
    """
    outputs = named_outputs(file)
    described = ", ".join(f"{key!r} {_described(file.tensors[n])}" for key, n in outputs.items())
    able = [
        key
        for key, n in outputs.items()
        if _can_be_scores(file.tensors[n]) and not _holds_largest_only(file, n)
    ]
    if name is not None:
        check_name("output", name, outputs)
    if not able or (name is not None and name not in able):
        raise UserError(
            f"expected an output of numbers of shape (batch, classes), got {described or 'none'}; "
            "export a classifier with the scores of all classes."
        )
    # logits beside their own probabilities are one output
    if name is None and len({_logits(file, outputs[key])[0] for key in able}) > 1:
        raise UserError(
            f"several outputs can be scores of classes: {described}. Say which is to be attacked "
            f"with --output, e.g. --output {shlex.quote(able[-1])}."
        )
    name = able[0] if name is None else name
    logits, activation = _logits(file, outputs[name])
    classes = _classes(file.tensors[logits])
    others = tuple(key for key in outputs if key != name)
    is_binary = classes == 1
    return Scores(name, activation, 2 if is_binary else classes, is_binary, others, logits)


def named_outputs(file: LiteRTFile) -> dict[str, int]:
    """Return the numbers of the outputs' tensors by names that tell them apart.

    LiteRT goes by numbers: names can be empty, or those of several tensors. Then the place among
    the outputs is part of the name, of each that shares it, so that none is meant unawares.
    """
    own = {n: file.tensors[n].name for n in file.outputs}
    count, taken, named = Counter(own.values()), set(own.values()), {}
    for n, name in own.items():
        if count[name] > 1 or not name.strip():
            place = file.outputs.index(n)
            name = f"{name} ({place})" if name.strip() else f"output {place}"
            while name in taken:
                name += f" ({place})"
            taken.add(name)
        named[name] = n
    return named


def _can_be_scores(tensor: Tensor) -> bool:
    """Whether it has at most one axis beside the batch's that is longer than 1, and numbers that
    are no labels: floats, or integers that stand for some."""
    floats = tensor.dtype in (np.dtype(np.float32), np.dtype(np.float64))
    quantised = str(tensor.dtype) in ("int8", "uint8", "int16") and tensor.scale is not None
    longer = [size for size in tensor.sizes[1:] if size != 1]
    return (floats or quantised) and len(tensor.sizes) >= 2 and len(longer) <= 1


def _logits(file: LiteRTFile, output: int) -> tuple[int, str | None]:
    """Return the tensor that goes into the final activation of an output, the first of several, and
    which the last is; the output itself where there is none."""
    producers = _producers(file)
    found: tuple[int, str | None] = (output, None)
    tensor, classes = output, _classes(file.tensors[output])
    for _ in file.operators:
        operator = producers.get(tensor)
        if operator is None or not operator.inputs:
            break
        before = operator.inputs[0]
        # else it is over other things than the classes
        if _classes(file.tensors[before]) != classes or not _can_be_scores(file.tensors[before]):
            break
        if operator.name in _ACTIVATIONS:
            found = before, found[1] or _ACTIVATIONS[operator.name]
        elif operator.name not in _SHAPE_ONLY | _QUANTISING:
            break
        tensor = before
    return found


def _holds_largest_only(file: LiteRTFile, output: int) -> bool:
    """Whether an output is the values of a TopK, or the maximum over all classes: how sure the file
    is of the class that another output names."""
    producers, tensor = _producers(file), output
    for _ in file.operators:
        operator = producers.get(tensor)
        if operator is None or not operator.inputs:
            return False
        tensor = operator.inputs[0]
        if operator.name == "TOPK_V2":
            return True
        if operator.name == "REDUCE_MAX":
            return _can_be_scores(file.tensors[tensor])
        if operator.name not in _SHAPE_ONLY | _QUANTISING:
            return False
    return False


def _producers(file: LiteRTFile) -> dict[int, Operator]:
    return {n: operator for operator in file.operators for n in operator.outputs}


def _classes(tensor: Tensor) -> int | None:
    sizes = tensor.sizes[1:]
    return None if None in sizes else math.prod(size or 1 for size in sizes)


def _described(tensor: Tensor) -> str:
    sizes = ", ".join(str(size or "any") for size in tensor.sizes)
    return f"{tensor.dtype or 'of another type'} ({sizes})"
