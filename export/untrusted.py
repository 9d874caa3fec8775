"""Reading an ONNX file that may come from anywhere: what is handed on is small enough and whole.

Neither onnx nor onnxruntime is made for files that mean harm. So before either of them works on
one, its structure is looked over here, in plain Python; all files are loaded by `read_model`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import onnx
from onnx import inliner

from rnascl_keras.errors import UserError, naming, one_line
from rnascl_keras.export.bounded_sizes import check_constants, check_sizes
from rnascl_keras.export.functions import align_functions
from rnascl_keras.export.gradient.preparation import folded, with_short_domains
from rnascl_keras.export.gradient.subgraphs import subgraphs
from rnascl_keras.export.normalisations import define_normalisations
from rnascl_keras.export.stated_outputs import check_model, give_shapes, take_shapes
from rnascl_keras.export.weights import check_weights, embed_external_data
from rnascl_keras.export.zip_maps import without_zip_maps

# protobuf can write no larger one
MOST_BYTES = 2**31 - 1
# a quantised DenseNet-201, or a large vision transformer, has some 3,000
MOST_NODES = 10_000
MOST_CONNECTIONS = 20 * MOST_NODES
# of graphs in graphs, and of functions that call functions
DEEPEST = 16
LONGEST_NAME = 1000

# of a file without standard operators: what is put into it knows this version
_ADDED_OPSET = 17
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
# onnxruntime's own, for the tensors of one kind of processor; they trust their weights' layout
_OF_ONE_PROCESSOR = {"com.microsoft.nchwc", "com.ms.internal.nhwc"}
# of com.microsoft: runs a compiled program from another file
_FOREIGN_PROGRAM = "EPContext"


def read_model(path: Path) -> onnx.ModelProto:
    """Return the model in `path`, its weights and functions in place.

    Weights in other files are read from the model's own folder only, and nothing in the file is
    run. Memory stays bounded: no file, graph or tensor is larger than this package's limits.

    Raises:
        UserError: there is no such file, it is no valid ONNX model, or one of these limits is
            exceeded.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of an .onnx file.")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UserError(f"{path} has {size:,} bytes; an ONNX file has at most {MOST_BYTES:,}.")
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except Exception as error:  # protobuf's errors have no closer base class
        raise UserError(f"{path} cannot be read as ONNX: {one_line(error)}") from error
    with naming(path):
        try:
            return checked(model, path.parent)
        except UnicodeDecodeError as error:  # told where a text is first looked at
            raise UserError("it is no valid ONNX model: a text in it is not UTF-8.") from error


def checked(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Return a model that was read from `folder`, as `read_model` does.

    Raises:
        UserError: it is no valid ONNX model, or a limit is exceeded.
    """
    model = with_short_domains(model)
    # none of this is part of the classifier
    model.DiscardUnknownFields()
    del model.training_info[:], model.graph.quantization_annotation[:]
    for field in ("producer_name", "producer_version", "domain", "doc_string"):
        model.ClearField(field)
    model.graph.ClearField("doc_string")
    _mend(model)
    graphs = list(_graphs(model.graph))
    bodies = [graph.node for graph in graphs]
    for function in model.functions:
        inner = [g for node in function.node for sub in subgraphs(node) for g in _graphs(sub, 2)]
        graphs += inner
        bodies += [function.node, *(graph.node for graph in inner)]
    _check_counts(bodies)
    _check_calls(model)
    _check_names(model, graphs, bodies)
    _check_domains(model, bodies)
    for graph in graphs:
        # inferred anew: what the file says of tensors in between need not be true
        del graph.value_info[:]
    tensors = [t for graph in graphs for t in graph.initializer]
    tensors += [t for body in bodies for node in body for t in _tensors(node)]
    if any(graph.sparse_initializer for graph in graphs):
        raise UserError("it has sparse weights; write them as plain tensors.")
    embed_external_data(tensors, folder, most_bytes=MOST_BYTES - model.ByteSize())
    check_weights(tensors)
    try:
        if model.functions:
            align_functions(model)
            model = inliner.inline_local_functions(model)
        define_normalisations(model)
        without_zip_maps(model.graph)
        check_model(model)
    except Exception as error:  # onnx's errors have no common class
        raise UserError(f"it is no valid ONNX model: {one_line(error)}") from error
    stated = take_shapes(model.graph)
    # the second inference is safe only where the first finds no long vector
    check_sizes(folded(model, values=False).graph)
    inferred = folded(model).graph
    check_constants(inferred)
    give_shapes(model.graph, stated, inferred)
    return model


def _mend(model: onnx.ModelProto) -> None:
    """Put right what onnxruntime takes, and onnx's own checker does not."""
    model.graph.name = model.graph.name or "classifier"
    # in version 3 every weight has to be an input, too
    if model.ir_version:
        model.ir_version = max(model.ir_version, 4)
    # trees and the like need no standard operator; what stands in for them does
    if model.opset_import and "" not in {o.domain for o in model.opset_import}:
        model.opset_import.add(domain="", version=_ADDED_OPSET)


def _graphs(graph: onnx.GraphProto, depth: int = 1) -> Iterator[onnx.GraphProto]:
    """Yield a graph and all within it."""
    if depth > DEEPEST:
        raise UserError(f"its graphs lie more than {DEEPEST} deep in each other; flatten them.")
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from _graphs(inner, depth + 1)


def _tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise UserError("it has sparse weights; write them as plain tensors.")


def _check_counts(bodies: Iterable[Collection[onnx.NodeProto]]) -> None:
    nodes = sum(map(len, bodies))
    if nodes > MOST_NODES:
        raise UserError(f"it has {nodes} nodes; an image classifier has at most {MOST_NODES}.")
    ends = sum(len(node.input) + len(node.output) for body in bodies for node in body)
    if ends > MOST_CONNECTIONS:
        raise UserError(
            f"its nodes have {ends} inputs and outputs; those of an image classifier have at most "
            f"{MOST_CONNECTIONS}."
        )


def _check_calls(model: onnx.ModelProto) -> None:
    """Raise UserError where the file's own functions call themselves, or grow too much in place."""
    functions = {(f.domain, f.name, f.overload): f.node for f in model.functions}
    counts: dict[tuple[str, str, str], int] = {}

    def count(nodes: Iterable[onnx.NodeProto], depth: int) -> int:
        if depth > DEEPEST:
            raise UserError(
                f"its functions call each other more than {DEEPEST} deep, or in a circle; export "
                "without functions."
            )
        total = 0
        for node in nodes:
            name = (node.domain, node.op_type, node.overload)
            if name in functions and name not in counts:
                counts[name] = count(functions[name], depth + 1)
            total += 1 + counts.get(name, 0)
            total += sum(count(graph.node, depth) for graph in subgraphs(node))
        return total

    for nodes in (model.graph.node, *functions.values()):
        if count(nodes, 0) > MOST_NODES:
            raise UserError(
                f"with its functions in place it has more than {MOST_NODES} nodes; an image "
                "classifier has fewer. Export without functions."
            )


def _check_names(
    model: onnx.ModelProto,
    graphs: Iterable[onnx.GraphProto],
    bodies: Iterable[Iterable[onnx.NodeProto]],
) -> None:
    """Raise UserError for names that no message could show."""
    names = {o.domain for o in model.opset_import}
    for function in model.functions:
        names.update((function.domain, function.name, *function.input, *function.output))
    for graph in graphs:
        names.add(graph.name)
        names.update(tensor.name for tensor in graph.initializer)
        for value in (*graph.input, *graph.output):
            names.add(value.name)
            names.update(axis.dim_param for axis in value.type.tensor_type.shape.dim)
    for body in bodies:
        for node in body:
            names.update((node.name, node.op_type, node.domain, *node.input, *node.output))
            names.update(attribute.name for attribute in node.attribute)
    for name in names:
        # protobuf gives bytes that are no text as they are
        if isinstance(name, bytes) or len(name) > LONGEST_NAME or not name.isprintable():
            raise UserError(
                f"it has the name {name[:40]!r} of {len(name)} characters; expected printable "
                f"ones, at most {LONGEST_NAME}. Rename what is called so."
            )


def _check_domains(model: onnx.ModelProto, bodies: Iterable[Iterable[onnx.NodeProto]]) -> None:
    own = {(f.domain, f.name) for f in model.functions}
    for body in bodies:
        for node in body:
            known = node.domain in _DOMAINS and node.op_type != _FOREIGN_PROGRAM
            if known or (node.domain, node.op_type) in own:
                continue
            if node.domain in _OF_ONE_PROCESSOR:
                raise UserError(
                    f"it has the operator {node.domain}.{node.op_type}, which onnxruntime writes "
                    "where it optimises a file for the processor it runs on; expected a file for "
                    "any. Take the one that it was made of, or let onnxruntime optimise it with "
                    "ORT_ENABLE_EXTENDED at most."
                )
            raise UserError(
                f"it has the operator {node.domain}.{node.op_type}, which is a program outside "
                "of the file; expected those of ONNX and onnxruntime only. Export it without."
            )
