"""Running small nodes beforehand, on vectors of which some values are known only by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

# Operators that compute shapes, axes and pads. None runs long, and what comes out of one has no
# more elements than the product of its inputs', but for the last four.
_ONE_BY_ONE = {
    *("Abs", "Add", "And", "Ceil", "Div", "Equal", "Floor", "Greater", "GreaterOrEqual", "Less"),
    *("LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Round"),
    *("Sign", "Sqrt", "Sub", "Xor"),
}
# Operators that only move values, with the first input they do not move.
_MOVING = {
    **dict.fromkeys(("Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity"), 1),
    **dict.fromkeys(("Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"), 1),
    "Concat": None,
}
_OTHERS = {
    *("Cast", "Constant", "CumSum", "NonZero", "ReduceMax", "ReduceMin", "ReduceProd"),
    *("ReduceSum", "ScatterElements", "ScatterND", "Size", "TopK", "Where"),
}
_GROWING = {"ConstantOfShape", "Expand", "Range", "Tile"}
EVALUATED = _ONE_BY_ONE | _MOVING.keys() | _OTHERS | _GROWING
MOST_ELEMENTS = 1024
_LARGEST_RESULT = 16 * MOST_ELEMENTS

KNOWN, UNKNOWN = 0, -1
_SIZES = (TensorProto.INT32, TensorProto.INT64)

# What came out of small nodes: a graph is gone through again after each folding, and onnx's
# evaluator takes its time.
_REMEMBERED: dict[tuple, dict[str, Partial]] = {}
_MOST_REMEMBERED, _LARGEST_REMEMBERED = 4096, 64


@dataclass(frozen=True)
class Partial:
    """A tensor of which some values may be unknown.

    Attributes:
        values: any number where the value is unknown.
        kinds: int64, of the same shape: `KNOWN`, `UNKNOWN`, or a positive number, the same for
            values that are the same size left open.
        is_known: whether all values are.
    """

    values: np.ndarray
    kinds: np.ndarray
    is_known: bool = False

    @classmethod
    def known(cls, values: np.ndarray) -> Partial:
        """All of it is known. This takes no memory beside that of `values`."""
        return cls(values, np.broadcast_to(np.int64(KNOWN), values.shape), True)

    def part(self, start: int, end: int | None) -> Partial:
        """Return a stretch of a vector."""
        kinds = self.kinds[start:end]
        return Partial(self.values[start:end], kinds, not kinds.any())


def evaluate(node: onnx.NodeProto, inputs: Sequence[Partial | None]) -> dict[str, Partial]:
    """Return a node's outputs by name; none where they do not follow, or are too large.

    Args:
        inputs: None where an optional one is left out.
    """
    given = [x for x in inputs if x is not None]
    # one tensor can be joined to itself many times
    if node.op_type not in EVALUATED or sum(x.values.size for x in given) > MOST_ELEMENTS:
        return {}
    key = (node.SerializeToString(), *map(_contents, inputs))
    if key not in _REMEMBERED:
        found = _evaluated(node, inputs)
        if sum(x.values.size for x in (*given, *found.values())) > _LARGEST_REMEMBERED:
            return found
        if len(_REMEMBERED) >= _MOST_REMEMBERED:
            _REMEMBERED.clear()
        _REMEMBERED[key] = found
    return _REMEMBERED[key]


def _contents(x: Partial | None) -> tuple | None:
    if x is None:
        return None
    return x.values.dtype.str, x.values.shape, x.values.tobytes(), x.kinds.tobytes()


def _evaluated(node: onnx.NodeProto, inputs: Sequence[Partial | None]) -> dict[str, Partial]:
    # the name stands for the position: one tensor can be in several, and different in each
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = ["" if x is None else f"input{i}" for i, x in enumerate(inputs)]
    try:
        if not _count(node, inputs) <= MOST_ELEMENTS:
            return {}
        # what stands for an unknown value may not be divided by
        with np.errstate(all="ignore"):
            values = _run(copy, [None if x is None else x.values for x in inputs])
        kinds = _kinds(copy, inputs, values)
        results = zip(node.output, map(_partial, values, kinds), strict=True)
        return {name: x for name, x in results if x.values.size <= _LARGEST_RESULT}
    except Exception:  # whatever is wrong with the node, it is no constant
        return {}


def _partial(values: np.ndarray, kinds: np.ndarray) -> Partial:
    if not kinds.any():
        return Partial.known(values)
    return Partial(values, np.broadcast_to(kinds, values.shape))


def _count(node: onnx.NodeProto, inputs: Sequence[Partial | None]) -> float:
    """Return how many values come out of an operator that can make many of few."""
    if node.op_type not in _GROWING:
        return 0
    given = [x.values for x in inputs if x is not None]
    if node.op_type == "Range":
        start, limit, step = (x.item() for x in given)
        return abs((limit - start) / step)
    # as Python's numbers, which do not overflow
    sizes = math.prod(given[-1].tolist())
    return sizes * given[0].size if node.op_type == "Tile" else sizes


def _run(node: onnx.NodeProto, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    feeds = {name: x for name, x in zip(node.input, arrays, strict=True) if x is not None}
    results: Any = ReferenceEvaluator(node).run(None, feeds)
    return [np.asarray(x) for x in results]


def _kinds(
    node: onnx.NodeProto, inputs: Sequence[Partial | None], values: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return what is known of the values that come out."""
    if all(x is None or x.is_known for x in inputs):
        return [np.zeros(x.shape, np.int64) for x in values]
    given = [x for x in inputs if x is not None]
    if node.op_type in _MOVING:
        first = _MOVING[node.op_type] or len(inputs)
        if all(x is None or x.is_known for x in inputs[first:]):
            moved = [x.kinds if i < first else x.values for i, x in enumerate(given)]
            return _run(node, moved)
    if node.op_type in _ONE_BY_ONE:
        return [_one_by_one(node.op_type, given)]
    if node.op_type == "Size":
        return [np.array(KNOWN)]
    if node.op_type == "Cast":
        to = helper.get_node_attr_value(node, "to")
        if to in _SIZES and given[0].values.dtype.kind == "i":
            return [given[0].kinds]
        return [np.where(given[0].kinds == KNOWN, KNOWN, UNKNOWN)]
    if node.op_type == "Where":
        condition, yes, no = given
        chosen = np.where(condition.values, yes.kinds, no.kinds)
        return [np.where(condition.kinds == KNOWN, chosen, UNKNOWN)]
    raise ValueError(f"{node.op_type} of values that are not all known")


def _one_by_one(operator: str, inputs: Sequence[Partial]) -> np.ndarray:
    all_known = np.logical_and.reduce(np.broadcast_arrays(*(x.kinds == KNOWN for x in inputs)))
    kinds = np.where(all_known, KNOWN, UNKNOWN)
    if operator == "Equal":
        # what stands for a size is not negative, as no size is
        for x, other in (inputs, inputs[::-1]):
            negative = (other.kinds == KNOWN) & (other.values < 0)
            kinds = np.where((x.kinds > 0) & negative, KNOWN, kinds)
    return kinds
