"""Functions of a file's own, where they are in another opset than the file."""

from __future__ import annotations

import onnx
from onnx import defs

from rnascl_keras.export.gradient.subgraphs import all_nodes


def align_functions(model: onnx.ModelProto) -> None:
    """Give functions the model's opset where they mean the same in it: of another one, onnx leaves
    them where they are. In place.

    Args:
        model: the domain of its standard operators is "".
    """
    opset = next((o.version for o in model.opset_import if o.domain == ""), None)
    for function in model.functions:
        own = next((o for o in function.opset_import if o.domain == ""), None)
        if opset is None or own is None:
            continue
        if all(_is_same(node, own.version, opset) for node in all_nodes(function.node)):
            own.version = opset


def _is_same(node: onnx.NodeProto, *opsets: int) -> bool:
    """Whether an operator is the same in these opsets."""
    if node.domain != "":
        return True
    if not all(defs.has(node.op_type, max_inclusive_version=o, domain="") for o in opsets):
        return False
    return len({defs.get_schema(node.op_type, o, "").since_version for o in opsets}) == 1
