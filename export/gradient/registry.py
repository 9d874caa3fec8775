"""The rules by operator, and what a rule is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper

from rnascl_keras.export.gradient.graph import Graph, Tensor

STANDARD = ("", "ai.onnx")
# Values of a constant that a rule makes; a small file can ask for far more.
_MOST_MADE = 2**26


class Unsupported(Exception):
    """A rule cannot differentiate this node; the message says why, for a list of such nodes."""


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name; what is not given is not there."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def own_name(name: str) -> str:
    """Return the name that a tensor or node has in the file, without the prefix put before it."""
    return name.partition("/")[2]


def known_shape(x: Tensor) -> tuple[Any, ...]:
    """Return a tensor's shape, see `Tensor`; Unsupported where even the rank is unknown."""
    if x.shape is None:
        raise Unsupported(f"the number of axes of {own_name(x.name)!r} is unknown")
    return x.shape


@dataclass(frozen=True)
class Step:
    """One node on the way back from the loss.

    Attributes:
        graph: where the rule adds its nodes.
        node: what is differentiated.
        gradients: of the loss by each output of the node; None where it does not matter.
        wanted: the positions of the inputs that depend on the images.
    """

    graph: Graph
    node: onnx.NodeProto
    gradients: tuple[Tensor | None, ...]
    wanted: frozenset[int]

    @property
    def gradient(self) -> Tensor:
        """By the first output, of a node whose other outputs do not matter."""
        if self.gradients[0] is None or any(self.gradients[1:]):
            raise Unsupported("an output other than its first is used")
        return self.gradients[0]

    def has(self, position: int) -> bool:
        """Whether the node has this input; optional ones may be left out."""
        return len(self.node.input) > position and self.node.input[position] != ""

    def has_output(self, position: int) -> bool:
        """Whether the node gives this output; optional ones may be left out."""
        return len(self.node.output) > position and self.node.output[position] != ""

    def input(self, position: int = 0) -> Tensor:
        """Return one of the node's inputs."""
        return self.graph.tensor(self.node.input[position])

    def output(self, position: int = 0) -> Tensor:
        """Return one of the node's outputs."""
        return self.graph.tensor(self.node.output[position])

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value; `default`, or the operator's own, where it is not given."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                return helper.get_attribute_value(attribute)
        schema = defs.get_schema(self.node.op_type, self.graph.opset, self.node.domain)
        known = schema.attributes.get(name)
        if known is None or not known.default_value.name:
            return default
        return helper.get_attribute_value(known.default_value)

    def constant(self, position: int) -> np.ndarray:
        """Return an input's value; Unsupported where it is known only when the graph runs."""
        value = self.graph.known.value(self.node.input[position])
        if value is None:
            raise Unsupported(f"its input {own_name(self.node.input[position])!r} is no constant")
        return value

    def rank(self, position: int = 0) -> int:
        """Return an input's number of axes; Unsupported where it is unknown."""
        shape = self.input(position).shape
        if shape is None:
            raise Unsupported("its input's number of axes is unknown")
        return len(shape)

    def sizes(self, tensor: Tensor, first: int) -> list[int]:
        """Return the sizes of axes `first` and later; Unsupported where one is left open."""
        sizes = None if tensor.shape is None else list(tensor.shape[first:])
        if sizes is None or not all(isinstance(size, int) for size in sizes):
            raise Unsupported("sizes beside the batch's are left open; fix the image size")
        return sizes

    def check_made(self, *sizes: int) -> None:
        """Refuse to make a constant of this shape where it is unreasonably large."""
        if math.prod(sizes) > _MOST_MADE:
            raise Unsupported(f"it needs a constant of the shape {list(sizes)}")


Rule = Callable[[Step], dict[int, Tensor]]

# (operator, with its domain where it is no standard one) -> (rule, the inputs it differentiates)
RULES: dict[str, tuple[Rule, frozenset[int] | None]] = {}


def key(node: onnx.NodeProto) -> str:
    """Return what a node's operator is called in `RULES`."""
    return node.op_type if node.domain in STANDARD else f"{node.domain}.{node.op_type}"


def rule(*operators: str, inputs: Iterable[int] | None = (0,)) -> Callable[[Rule], Rule]:
    """Register a rule: a step -> the gradient by each input that is wanted (or by more).

    Args:
        operators: whose rule it is.
        inputs: the inputs it can differentiate, None for all.
    """

    def register(function: Rule) -> Rule:
        differentiable = None if inputs is None else frozenset(inputs)
        RULES.update({operator: (function, differentiable) for operator in operators})
        return function

    return register


def unary(*operators: str) -> Callable[[Callable[..., Tensor]], Rule]:
    """Register the rule of a function of one tensor: (gradient, input, output) -> gradient."""

    def register(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Rule:
        def apply(step: Step) -> dict[int, Tensor]:
            return {0: function(step.gradient, step.input(), step.output())}

        return rule(*operators)(apply)

    return register
