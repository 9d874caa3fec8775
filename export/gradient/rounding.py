"""Whether what was rounded is subtracted from what it was made of.

The gradient of such a difference is its own: that of x - floor(x), or of x - t sign(x) beyond t, is
1. Let through the rounding besides, it would be 0, or 1 - t. Where nothing is left of x itself, as
of x + (round(x) - x), by which networks are trained through their rounding, it has to go through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx

from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD

_SUMS = {"Add", "Sub"}
_PRODUCTS = {"Div", "Mul"}
# of the constants that multiply; more are no threshold, and cost time
_MOST_VALUES = 2**16
# what is less of the whole was left by rounding
_LEAST = 1e-5


@dataclass(frozen=True)
class _Share:
    """Of a tensor own x + rounded r + a constant, elementwise, the factors; and the sum of the
    sizes of all terms of x."""

    own: np.ndarray
    rounded: np.ndarray
    size: np.ndarray

    def plus(self, other: _Share, sign: int) -> _Share:
        rounded = self.rounded + sign * other.rounded
        return _Share(self.own + sign * other.own, rounded, self.size + other.size)

    def times(self, factor: np.ndarray) -> _Share:
        return _Share(self.own * factor, self.rounded * factor, self.size * np.abs(factor))

    @property
    def is_difference(self) -> bool:
        """Whether x is in it, and r subtracted from it, everywhere."""
        return bool(np.all((np.abs(self.own) > _LEAST * self.size) & (self.own * self.rounded < 0)))


_CONSTANT = _Share(np.zeros(()), np.zeros(()), np.zeros(()))


def is_subtracted(graph: onnx.GraphProto, known: KnownTensors, node: onnx.NodeProto) -> bool:
    """Whether the output of `node` goes nowhere but into differences from what it was made of.

    Args:
        graph: with nodes in order.
        node: rounds its input.
    """
    root, one = _root(node.input[0], known), np.ones(())
    shares = {root: _Share(one, 0 * one, one)}
    shares[node.output[0]] = _Share(0 * one, one, 0 * one)
    outputs = {output.name for output in graph.output}
    made = {node.output[0]}  # of what was rounded, and perhaps of x
    for reader in graph.node:
        inputs = made.intersection(reader.input)
        if not inputs and shares.keys().isdisjoint(reader.input):
            continue
        share = _share(reader, shares, known)
        if share is not None and reader.output[0] not in shares:
            shares[reader.output[0]] = share
            made |= set(reader.output) if inputs else set()
        elif not all(shares[name].is_difference for name in inputs):
            return False
    return all(shares[name].is_difference for name in made & outputs)


def _root(name: str, known: KnownTensors) -> str:
    """Return what `name` is a multiple of, and a constant added."""
    seen = set()
    while name not in seen and (node := known.producers.get(name)) is not None:
        seen.add(name)
        before = [x for x in node.input if x and _constant(x, known) is None]
        if node.domain not in STANDARD or len(before) != 1:
            break
        if not (node.op_type in _SUMS | _PRODUCTS and _share(node, {before[0]: _CONSTANT}, known)):
            break
        name = before[0]
    return name


def _share(node: onnx.NodeProto, shares: dict[str, _Share], known: KnownTensors) -> _Share | None:
    """Return what a node makes of what is in `shares`, None where that is no sum of it."""
    if node.domain not in STANDARD:
        return None
    if node.op_type in ("Identity", "Neg"):
        return shares[node.input[0]].times(np.array(-1.0 if node.op_type == "Neg" else 1.0))
    if node.op_type in _SUMS:
        first, second = (_summand(name, shares, known) for name in node.input)
        if first is None or second is None or not _fit(first.size, second.size):
            return None
        return first.plus(second, 1 if node.op_type == "Add" else -1)
    if node.op_type in _PRODUCTS:
        first, second = node.input
        if node.op_type == "Mul" and first not in shares:
            first, second = second, first
        factor = _constant(second, known)
        if first not in shares or factor is None or not np.all(factor != 0):
            return None
        if _fit(shares[first].size, factor):
            return shares[first].times(factor if node.op_type == "Mul" else 1 / factor)
    return None


def _fit(first: np.ndarray, second: np.ndarray) -> bool:
    try:
        return math.prod(np.broadcast_shapes(first.shape, second.shape)) <= _MOST_VALUES
    except ValueError:
        return False


def _summand(name: str, shares: dict[str, _Share], known: KnownTensors) -> _Share | None:
    return shares.get(name, None if _constant(name, known) is None else _CONSTANT)


def _constant(name: str, known: KnownTensors) -> np.ndarray | None:
    value = known.value(name)
    if value is None or value.dtype.kind != "f":
        return None
    return value.astype(np.float64)
