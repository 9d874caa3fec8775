"""Probabilities that are mixed of several: a mean, a weighted mean or a product of softmaxes.

An ensemble that is averaged in probability has no tensor of logits, and neither have trees that
vote, or one operator that holds a model and its softmax. The logarithm of what it gives
serves as one: its softmax are the same probabilities, and it has a gradient where these are flat
because a class is sure.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnascl_keras.export.gradient.classical import gives_shares
from rnascl_keras.export.gradient.final_activation import (
    LOGARITHMS,
    SHAPE_ONLY,
    SIGMOID,
    SOFTMAX,
    TANH,
    activation_of,
    axis_of,
)
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD
from rnascl_keras.export.gradient.written_out import falling_sigmoid, taken_from_one

MIXTURE = "mixture"
# They leave some of the classes.
_CUTTING = {"Gather", "Slice", "Split"}
# The batch's, the members' and the classes'.
_MOST_AXES = 3
# What they make of numbers that are not negative is not: of all inputs, or of the first.
_MATRICES = {"Einsum", "MatMul"}
_OF_ALL = _MATRICES | {"Add", "Concat", "Div", "Max", "Mean", "Min", "Mul", "Sum"}
_OF_THE_FIRST = SHAPE_ONLY | {
    *("Abs", "Clip", "DequantizeLinear", "Dropout", "Expand", "Gather"),
    *("Pow", "QuantizeLinear", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("ReduceProd", "ReduceSum", "Slice", "Split", "Sqrt", "Tile", "Transpose"),
}


def mixes_probabilities(graph: onnx.GraphProto, name: str) -> bool:
    """Whether a tensor is made of softmaxes, sigmoids or votes by sums, products and whatever else
    leaves what is not negative so, with weights that are not negative; one at least is over the
    classes.

    Args:
        graph: with inferred shapes.
        name: of the tensor, (batch, classes) but for axes of length 1.
    """
    known = KnownTensors(graph)
    classes = _classes(known.shape(name))
    pending, seen, passed, kinds = [name], set[str](), set[str](), set[str]()
    while pending:
        name = pending.pop()
        if name in seen or not name:
            continue
        seen.add(name)
        value, node = known.value(name), known.producers.get(name)
        if known.dtype(name) == TensorProto.BOOL:  # 0 or 1, where it is made a number
            continue
        if value is not None:
            if not (value >= 0).all():
                return False
            continue
        if node is not None and gives_shares(node):
            kinds.add(SOFTMAX)
            continue
        if node is None or node.domain not in STANDARD:
            return False
        found = activation_of(node, known)
        if found is None and (z := falling_sigmoid(node, known)):
            found = SIGMOID, z
        if found is not None and found[0] == TANH:
            return False
        if found is not None and node.op_type not in LOGARITHMS:
            kinds |= _kinds_over(classes, node, *found, known, passed)
            continue
        rest = _rest_of_one(node, known)
        if rest and classes == 1:  # of several classes, it turns their order round
            pending.append(rest)
            continue
        if node.op_type not in _OF_ALL | _OF_THE_FIRST:
            return False
        passed.add(node.op_type)
        pending += node.input if node.op_type in _OF_ALL else node.input[:1]
    # sigmoids before a matrix are a hidden layer
    return SOFTMAX in kinds or (bool(kinds) and not passed & _MATRICES)


def logarithm(name: str, dtype: int, made: str, *, odds: bool) -> list[onnx.NodeProto]:
    """Return nodes that make logits of probabilities p.

    The smallest normal number is added before, so that a p of 0 has a logarithm, too.

    Args:
        name: of p.
        dtype: of p, a float's; half precision, in which small ones are 0, is widened first.
        made: name of the logits.
        odds: whether p is of one class against another: log p - log(1 - p) instead of log p.
    """
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(dtype))
    nodes: list[onnx.NodeProto] = []
    if kind.itemsize < np.dtype(np.float32).itemsize:
        kind = np.dtype(np.float32)
        nodes.append(helper.make_node("Cast", [name], [f"{made}/wide"], to=1))
        name = f"{made}/wide"
    least = f"{made}/least"
    nodes.append(_constant(least, float(np.finfo(kind).tiny), kind))
    if not odds:
        return nodes + _log(name, made, least)
    nodes.append(_constant(f"{made}/one", 1, kind))
    nodes.append(helper.make_node("Sub", [f"{made}/one", name], [f"{made}/rest"]))
    nodes += _log(name, f"{made}/for", least)
    nodes += _log(f"{made}/rest", f"{made}/against", least)
    return [*nodes, helper.make_node("Sub", [f"{made}/for", f"{made}/against"], [made])]


def _log(name: str, made: str, least: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Add", [name, least], [f"{made}/positive"]),
        helper.make_node("Log", [f"{made}/positive"], [made]),
    ]


def _constant(name: str, value: float, dtype: np.dtype) -> onnx.NodeProto:
    tensor = numpy_helper.from_array(np.array(value, dtype))
    return helper.make_node("Constant", [], [name], value=tensor)


def _rest_of_one(node: onnx.NodeProto, known: KnownTensors) -> str:
    """Return p where a node makes 1 - p of a softmax or sigmoid, or of some of it, else ""."""
    name = rest = taken_from_one(node, known)
    while (before := known.producers.get(name)) is not None and before.domain in STANDARD:
        found = activation_of(before, known)
        if found is not None and found[0] != TANH and before.op_type not in LOGARITHMS:
            return rest
        if before.op_type not in SHAPE_ONLY | _CUTTING:
            break
        name = before.input[0]
    return ""


def _kinds_over(
    classes: int | None,
    node: onnx.NodeProto,
    kind: str,
    logits: str,
    known: KnownTensors,
    passed: set[str],
) -> set[str]:
    """Return the kind of an activation that is over so many classes, as far as that is known; or
    over more, where some were cut off; or over fewer, where sigmoids were joined.

    Args:
        passed: the operators that come after it.
    """
    shape = known.shape(logits)
    if classes is None or shape is None:
        return {kind}
    if kind == SOFTMAX:
        axis = axis_of(node, known)
        size = shape[axis] if -len(shape) <= axis < len(shape) else 0
        cut = bool(passed & _CUTTING) and isinstance(size, int) and size > classes
        fits = size in (classes, None) or cut
    else:  # else of maps, which are a hidden layer
        all_or_some = classes in shape or classes == 1 or passed & (_CUTTING | {"Concat"})
        fits = len(shape) <= _MOST_AXES and bool(all_or_some)
    return {kind} if fits else set()


def _classes(shape: tuple[int | str | None, ...] | None) -> int | None:
    sizes = [size for size in (shape or (None, None))[1:] if size != 1]
    if not sizes:
        return 1
    return sizes[0] if isinstance(sizes[0], int) else None
