"""Operators that ONNX itself defines by others, with these in their place."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import onnx
from onnx import defs, helper, inliner

from rnascl_keras.export.gradient.registry import STANDARD, key

SOFTMAX_OF_ONE_AXIS = 13
"""From this opset on a softmax is over one axis; before, over all from that on."""


def with_definitions(model: onnx.ModelProto, operators: Collection[str]) -> onnx.ModelProto | None:
    """Return a copy with those of the operators in other words that ONNX defines by others; None
    where it defines none of them.

    Args:
        model: with inferred shapes.
        operators: as `registry.key` calls them.
    """
    defined = [name for name in sorted(operators) if _is_defined(model, name)]
    if not defined:
        return None
    _help_inliner(model, set(defined))
    names = [("", name) for name in defined]
    return inliner.inline_selected_functions(model, names, inline_schema_functions=True)


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators."""
    return max(o.version for o in model.opset_import if o.domain in STANDARD)


def _help_inliner(model: onnx.ModelProto, operators: set[str]) -> None:
    """Say what the inliner does not find out: initializers' types, and attributes' defaults."""
    for tensor in model.graph.initializer:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.value_info.append(value)
    for node in model.graph.node:
        if key(node) not in operators:
            continue
        given = {attribute.name for attribute in node.attribute}
        known = defs.get_schema(node.op_type, opset_of(model), "").attributes
        node.attribute.extend(
            attribute.default_value
            for name, attribute in known.items()
            if name not in given and attribute.default_value.name
        )


def _is_defined(model: onnx.ModelProto, operator: str) -> bool:
    opset = opset_of(model)
    if not defs.has(operator, max_inclusive_version=opset, domain=""):
        return False
    # onnx's type stubs lack these two
    schema: Any = defs.get_schema(operator, opset, "")
    return schema.has_function or schema.has_context_dependent_function
