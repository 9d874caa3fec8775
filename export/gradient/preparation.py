"""Bringing a model into the one form that the rules are written for, or refusing it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import onnx
from onnx import TensorProto, checker, compose, helper, inliner, shape_inference
from onnx.external_data_helper import uses_external_data

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.export.gradient.control_flow import put_in_place
from rnascl_keras.export.gradient.definitions import opset_of, with_definitions
from rnascl_keras.export.gradient.final_activation import without_final_activation
from rnascl_keras.export.gradient.float_weights import with_float_weights
from rnascl_keras.export.gradient.folding import fold_integers
from rnascl_keras.export.gradient.known import KnownTensors, true_inputs
from rnascl_keras.export.gradient.newer import without_newer
from rnascl_keras.export.gradient.older import in_opset
from rnascl_keras.export.gradient.path import path_nodes
from rnascl_keras.export.gradient.recurrent import written_out
from rnascl_keras.export.gradient.registry import RULES, STANDARD, key
from rnascl_keras.export.gradient.subgraphs import all_nodes
from rnascl_keras.export.gradient.whole_axes import leave_out_whole_axes

# From 18 on, all axes are inputs, and a scatter can add.
LEAST_OPSET, MOST_OPSET = 18, 21
LEAST_IR, MOST_IR = 8, 10
PREFIX = "model/"
# A definition can hold operators that have one themselves.
_MOST_DEFINITIONS = 5
# Each folding can make further shapes known, from which further integers follow; each takes time in
# proportion to the nodes. A small graph is folded more often.
_FEWEST_FOLDINGS, _MOST_FOLDINGS = 5, 40
_MOST_NODES_FOLDED = 20_000
# branches and loops in each other
_DEEPEST = 16
_BY_SCORE = "attack it by score (square), which needs logits only"


def prepare(model: onnx.ModelProto, sizes: Sequence[int] | None = None) -> onnx.ModelProto:
    """Return a copy of opset 18 to 21 with one input and one output, its shapes inferred.

    All names get a prefix of their own. A softmax or sigmoids at the end are taken off.
    Operators on the path from input to output that have no rule are replaced by ONNX's own
    definition, if there is one.

    Args:
        model: takes float images (batch, ...); its first output, logits or probabilities, is
            (batch, classes).
        sizes: of the images' axes after the first; where the model says others, UserError.

    Raises:
        UserError: it is no such model.
    """
    model = with_short_domains(model)
    with _refusing("is no valid ONNX model"):
        checker.check_model(model)
    if any(map(uses_external_data, model.graph.initializer)):
        raise UserError("the model's weights are in another file; give it as onnx.load returns it.")
    if model.graph.sparse_initializer:
        raise UserError("the model has sparse weights; write them as plain tensors.")
    model = converted(model)
    _keep_sole_input(model.graph, sizes)
    del model.graph.output[1:], model.graph.quantization_annotation[:]
    model = _without_control_flow(folded(model))
    model = folded(without_final_activation(model) or model)
    with_float_weights(model.graph)
    model = compose.add_prefix(model, PREFIX)
    _check_output(model.graph.output[0])
    steps = written_out(model)
    return _defined(folded(steps) if steps else model)


@contextlib.contextmanager
def _refusing(what: str, *remedy: str) -> Iterator[None]:
    """Turn an error of onnx's, which have no common class, into a UserError."""
    try:
        yield
    except Exception as error:
        raise UserError("; ".join((f"the model {what}: {one_line(error)}", *remedy))) from error


def with_short_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that calls the domain of the standard operators as onnx's own tools do."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    parts: list[Any] = [*copy.opset_import, *all_nodes(copy.graph.node)]
    for function in copy.functions:
        parts += [*function.opset_import, *all_nodes(function.node)]
    for part in parts:
        if part.domain in STANDARD:
            part.domain = ""
    return copy


def converted(model: onnx.ModelProto, least: int = LEAST_OPSET) -> onnx.ModelProto:
    """Put functions of its own in place, and write it in an opset, at least `least`, and IR version
    that we write."""
    if model.functions:
        with _refusing("has functions that cannot be put in place"):
            model = inliner.inline_local_functions(model)
    opset = opset_of(model)
    wanted = min(max(opset, least), MOST_OPSET)
    if wanted != opset:
        if wanted < opset:
            model = without_newer(inferred(model), wanted) or model
        with _refusing(f"cannot be converted from opset {opset} to {wanted}", _BY_SCORE):
            model = in_opset(model, wanted)
    model.ir_version = min(max(model.ir_version, LEAST_IR), MOST_IR)
    return model


def _keep_sole_input(graph: onnx.GraphProto, sizes: Sequence[int] | None) -> None:
    inputs = true_inputs(graph)
    if len(inputs) != 1:
        names = ", ".join(repr(value.name) for value in inputs) or "none"
        raise UserError(f"expected a model with one input, the images; its inputs are: {names}.")
    del graph.input[:]
    graph.input.extend(inputs)
    tensor = graph.input[0].type.tensor_type
    if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        name = helper.tensor_dtype_to_string(tensor.elem_type).removeprefix("TensorProto.")
        raise UserError(
            f"the model takes images of type {name.lower()}; a gradient needs float32 or float64: "
            f"{_BY_SCORE}."
        )
    axes = tensor.shape.dim
    if len(axes) < 2:
        raise UserError(
            f"the model's input {graph.input[0].name!r} has {len(axes)} axes; expected a batch of "
            "images, such as (batch, h, w, c)."
        )
    for axis in axes:
        # what some exporters write for a size left open
        if axis.HasField("dim_value") and axis.dim_value <= 0:
            axis.Clear()
    if not axes[0].HasField("dim_value") and not axes[0].dim_param:
        axes[0].dim_param = "batch"
    if sizes is not None:
        _fix_sizes(axes[1:], sizes)


def _fix_sizes(axes: Sequence[onnx.TensorShapeProto.Dimension], sizes: Sequence[int]) -> None:
    shape = tuple(axis.dim_value or axis.dim_param or "any" for axis in axes)
    fits = len(shape) == len(sizes) and all(
        own == size or isinstance(own, str) for own, size in zip(shape, sizes, strict=True)
    )
    if not fits:
        raise UserError(f"the model takes images of shape {shape}; got {tuple(sizes)}.")
    for axis, size in zip(axes, sizes, strict=True):
        axis.dim_value = size


def inferred(model: onnx.ModelProto, *, values: bool = True) -> onnx.ModelProto:
    """Return a copy of `model` with the shapes that follow from its input's.

    Args:
        values: follow the values of computed shapes too, which onnx does one by one, however many
            there are.

    Raises:
        UserError: they contradict each other.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    # what the file says of tensors in between may be stale
    del bare.graph.value_info[:]
    with _refusing("has shapes that do not fit"):
        return shape_inference.infer_shapes(bare, data_prop=values)


def folded(model: onnx.ModelProto, *, values: bool = True) -> onnx.ModelProto:
    """Return a copy with the shapes that follow also where they depend on computed integers.

    Args:
        values: see `inferred`.
    """
    model = inferred(model, values=values)
    often = _MOST_NODES_FOLDED // (1 + len(model.graph.node))
    for _ in range(min(max(often, _FEWEST_FOLDINGS), _MOST_FOLDINGS)):
        folded_some = fold_integers(model.graph)
        if not leave_out_whole_axes(model.graph, opset_of(model)) and not folded_some:
            break
        model = inferred(model, values=values)
    return model


def _without_control_flow(model: onnx.ModelProto) -> onnx.ModelProto:
    for _ in range(_DEEPEST):
        flat = put_in_place(model)
        if flat is None:
            break
        model = folded(flat)
    return model


def _check_output(output: onnx.ValueInfoProto) -> None:
    tensor = output.type.tensor_type
    name = output.name.removeprefix(PREFIX)
    if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise UserError(f"the model's output {name!r} is neither float32 nor float64; {_BY_SCORE}.")
    if len(tensor.shape.dim) != 2:
        raise UserError(
            f"the model's output {name!r} has {len(tensor.shape.dim)} axes; expected logits of "
            "shape (batch, classes): give a classifier."
        )


def _defined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Put ONNX's definitions in the place of operators on the path that have no rule."""
    for _ in range(_MOST_DEFINITIONS):
        graph = model.graph
        path = path_nodes(graph, KnownTensors(graph), graph.input[0].name, graph.output[0].name)
        without = {key(node) for node, _ in path} - RULES.keys()
        with _refusing("has operators whose definition cannot be put in their place", _BY_SCORE):
            defined = with_definitions(model, without)
        if defined is None:
            break
        model = folded(defined)
    return model
