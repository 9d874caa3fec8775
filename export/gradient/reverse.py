"""The sweep back from the logits to the images."""

from __future__ import annotations

import onnx

from rnascl_keras.errors import UserError
from rnascl_keras.export.gradient.graph import Graph, Tensor
from rnascl_keras.export.gradient.path import path_nodes
from rnascl_keras.export.gradient.registry import RULES, Step, Unsupported, key

_MOST_NAMED = 20


def back_propagate(graph: Graph, source: str, target: str, slopes: Tensor) -> Tensor:
    """Add the nodes that turn `slopes`, the loss's gradient by `target`, into that by `source`.

    Raises:
        UserError: `target` does not depend on `source`, or does by operators without a rule; all
            of them are named.
    """
    path = path_nodes(graph.model.graph, graph.known, source, target)
    if not path:
        raise UserError(
            "the model's output does not depend on its images in a way that has a gradient; give "
            "a classifier, or attack it by score (square)."
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
        raise UserError("no gradient reaches the images; attack the model by score (square).")
    return total


def _apply(step: Step) -> dict[int, Tensor]:
    function, differentiable = RULES.get(key(step.node), (None, None))
    if function is None:
        raise Unsupported("no rule")
    if differentiable is not None and not step.wanted <= differentiable:
        names = [step.node.input[i] for i in sorted(step.wanted - differentiable)]
        raise Unsupported(f"its input {', '.join(map(_own_name, names))} depends on the images")
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
    """Return one line that names every operator and node, those of one reason together."""
    groups: dict[tuple[str, str], list[str]] = {}
    # the sweep went backwards
    for node, reason in reversed(refused):
        name = _own_name(node.name) or _own_name(next(filter(None, node.output)))
        groups.setdefault((key(node), reason), []).append(name)
    described = [
        f"{operator} ({reason}; {_listed(names)})" for (operator, reason), names in groups.items()
    ]
    return (
        f"no gradient through {', '.join(described)}; attack this model by score (square), which "
        "needs logits only, or export it with other operators."
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    plural = "s" if len(names) > 1 else ""
    return f"node{plural} {shown}" + (f" and {more} more" if more > 0 else "")


def _own_name(name: str) -> str:
    """Return the name that a tensor or node has in the file, without the prefix put before it."""
    return name.partition("/")[2]
