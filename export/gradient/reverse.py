"""The sweep back from the logits to the images."""

from __future__ import annotations

from collections import Counter

import onnx

from rnascl_keras.errors import UserError
from rnascl_keras.export.gradient.graph import Graph, Tensor
from rnascl_keras.export.gradient.path import path_nodes
from rnascl_keras.export.gradient.registry import RULES, Step, Unsupported, key, own_name

# operators in one message
_MOST_NAMED = 6
_LONGEST = 100


def back_propagate(graph: Graph, source: str, target: str, slopes: Tensor) -> Tensor:
    """Add the nodes that turn `slopes`, the loss's gradient by `target`, into that by `source`.

    Raises:
        UserError: `target` does not depend on `source`, or does by operators without a rule, of
            which the message names the most frequent.
    """
    path = path_nodes(graph.model.graph, graph.known, source, target)
    if not path:
        raise UserError(
            "the model's output does not depend on its images in a way that has a gradient; give "
            "a classifier, or attack it with --attacks square."
        )
    parts: dict[str, list[Tensor]] = {target: [slopes]}
    refused: list[tuple[onnx.NodeProto, str]] = []
    for node, wanted in reversed(path):
        # A node's outputs are complete here: all that use them come later in the graph.
        gradients = tuple(_total(graph, name, parts.pop(name, [])) for name in node.output)
        if not any(gradients):
            continue
        try:
            result = _apply(Step(graph, node, gradients, wanted))
        except Unsupported as reason:
            refused.append((node, str(reason)))
            # Go on, to name all that is unsupported: a gradient of the right type and shape.
            result = {i: graph.tensor(node.input[i]) for i in wanted if i >= 0}
        for position in sorted(wanted & result.keys()):
            name = node.input[position]
            parts.setdefault(name, []).append(graph.gradient(result[position], name))
    if refused:
        raise UserError(_complaint(refused))
    total = _total(graph, source, parts.get(source, []))
    if total is None:
        raise UserError("no gradient reaches the images; attack the model with --attacks square.")
    return total


def _apply(step: Step) -> dict[int, Tensor]:
    function, differentiable = RULES.get(key(step.node), (None, None))
    if function is None:
        raise Unsupported("no rule")
    if differentiable is not None and not step.wanted <= differentiable:
        names = [step.node.input[i] for i in sorted(step.wanted - differentiable)]
        raise Unsupported(f"its input {', '.join(map(own_name, names))} depends on the images")
    try:
        return function(step)
    except (LookupError, TypeError, ValueError) as error:
        raise Unsupported("its attributes and shapes do not fit each other") from error


def _total(graph: Graph, name: str, parts: list[Tensor]) -> Tensor | None:
    """Return the sum of the gradients that reach a tensor, None where none does."""
    if len(parts) > 1:
        return graph.gradient(graph.op("Sum", *parts), name)
    return parts[0] if parts else None


def _complaint(refused: list[tuple[onnx.NodeProto, str]]) -> str:
    """Return one line that names the operators, how many nodes each has, and of the first of them
    what is wrong; and what to do."""
    counts = Counter(key(node) for node, _ in refused)
    # the sweep went backwards, so the first of each is the one that stays
    first = {key(node): (node, reason) for node, reason in refused}
    described = []
    for operator in sorted(counts, key=lambda operator: (-counts[operator], operator)):
        node, reason = first[operator]
        name = _short(own_name(node.name) or own_name(next(filter(None, node.output))))
        count = counts[operator]
        nodes = f"{count} nodes, the first {name!r}" if count > 1 else f"node {name!r}"
        described.append(f"{operator} ({nodes}: {_short(reason)})")
    more = len(described) - _MOST_NAMED
    listed = ", ".join(described[:_MOST_NAMED]) + (
        f" and {more} other operators" if more > 0 else ""
    )
    quantised = any("Integer" in operator or "QLinear" in operator for operator in counts)
    remedy = "quantise it anew as QDQ, or attack it" if quantised else "attack it"
    return f"no gradient through {listed}; {remedy} with --attacks square, which needs logits only."


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
