"""Which of a file's outputs says the class, and the graph cut down to its logits.

Files have further outputs beside the scores: labels, features, boxes. To attack one of these gives
figures that mean nothing, so an output is taken only where it can be no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto, helper

from rnascl_keras.errors import UserError, check_name
from rnascl_keras.export.gradient.classical_written_out import with_classical_written_out
from rnascl_keras.export.gradient.final_activation import (
    TANH,
    final_activation,
    without_final_activation,
)
from rnascl_keras.export.gradient.known import true_inputs
from rnascl_keras.export.gradient.largest_scores import holds_largest_only
from rnascl_keras.export.gradient.mixture import MIXTURE, logarithm, mixes_probabilities
from rnascl_keras.export.gradient.older import say_softmax_axes
from rnascl_keras.export.gradient.preparation import inferred
from rnascl_keras.export.gradient.two_classes import with_softmax_of_two

_FLOATS: set[int] = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}
# Of a quantised file, logits can be whole numbers; elsewhere those are labels.
_WHOLE: set[int] = {TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32}


@dataclass(frozen=True)
class ClassScores:
    """The output of a file that is attacked, whatever its format.

    Attributes:
        name: what the file calls it.
        activation: what it ends in: "softmax", "sigmoid", "tanh", a "mixture" of several softmaxes
            or sigmoids, or None.
        classes: how many; None where the file leaves it open.
        is_binary: whether the file gives one number z a row, here made into the logits (0, z).
        others: the file's outputs left aside.
    """

    name: str
    activation: str | None
    classes: int | None
    is_binary: bool
    others: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """What is attacked, in a phrase."""
        gives = {None: "logits", TANH: "scores"}.get(self.activation, "probabilities")
        words = f"gives {gives}, {self.classes or 'so many'} classes in {self.name!r}"
        if self.is_binary:
            words += ", of one number z a row, taken as the logits (0, z)"
        if self.activation == MIXTURE:
            words += ", of no single softmax or sigmoid; the logarithm of them is attacked"
        elif self.activation:
            words += f"; the logits before its {self.activation} are attacked"
        if self.others:
            words += f"; left aside: {', '.join(map(repr, self.others))}"
        return words


@dataclass(frozen=True)
class AttackedOutput(ClassScores):
    """The output of an ONNX file that is attacked.

    Attributes:
        model: a copy of the file's with one output, the logits, (batch, classes); of what `name`
            gives they are what comes before the final activation, or its logarithm where it is
            mixed of several.
    """

    model: onnx.ModelProto


def attacked_output(model: onnx.ModelProto, name: str | None = None) -> AttackedOutput:
    """Return the output to attack.

    Args:
        model: as it was read.
        name: of the output; by default the only one that can be scores of classes. Two that are
            one before their activations, such as logits beside probabilities, count as one.

    Raises:
        UserError: there is no such output, or there are several.
    """
    model = with_softmax_of_two(inferred(with_classical_written_out(model)))
    say_softmax_axes(model)
    outputs = {value.name: value for value in model.graph.output}
    if name is not None:
        check_name("output", name, outputs)
        named = outputs[name]
        if not (_can_be_scores(named, _FLOATS | _WHOLE) or _is_number_a_row(named, model)):
            raise UserError(
                f"output {name!r} is {_described(outputs[name])}; expected numbers of shape "
                f"(batch, classes). All outputs: {_all_described(model)}."
            )
        if holds_largest_only(model.graph, name):
            raise UserError(
                f"output {name!r} holds the largest scores of an image only; export those of all "
                f"classes. All outputs: {_all_described(model)}."
            )
    else:
        name = _only_scores(model)
    return _cut(model, name, tuple(other for other in outputs if other != name))


def _only_scores(model: onnx.ModelProto) -> str:
    whole = [v for v in model.graph.output if not holds_largest_only(model.graph, v.name)]
    # beside how sure the file is, whole numbers say of which class
    has_labels = len(whole) < len(model.graph.output)
    for kinds in (_FLOATS,) if has_labels else (_FLOATS, _WHOLE):
        able = [value for value in whole if _can_be_scores(value, kinds)]
        by_logits = {_logits(model.graph, value.name): value.name for value in able[::-1]}
        if len(by_logits) == 1:
            return next(iter(by_logits.values()))
        if by_logits:
            raise UserError(
                f"several outputs can be scores of classes: {_all_described(model)}. Say which is "
                f"to be attacked with --output, e.g. --output {able[-1].name}."
            )
    numbers = [value.name for value in whole if _is_number_a_row(value, model)]
    if len(numbers) == 1:
        return numbers[0]
    raise UserError(
        "expected an output of numbers of shape (batch, classes), got "
        f"{_all_described(model) or 'none'}; export a classifier with the scores of all classes."
    )


def _can_be_scores(value: onnx.ValueInfoProto, types: set[int]) -> bool:
    """Whether it has at most one axis beside the batch's that is longer than 1."""
    if value.type.WhichOneof("value") != "tensor_type":
        return False
    tensor = value.type.tensor_type
    if tensor.elem_type not in types:
        return False
    if not tensor.HasField("shape"):
        return True
    sizes = [axis.dim_value for axis in tensor.shape.dim[1:]]
    return len(sizes) >= 1 and sum(size != 1 for size in sizes) <= 1


def _is_number_a_row(value: onnx.ValueInfoProto, model: onnx.ModelProto) -> bool:
    """Whether it is one float for each image, (batch,), that says which of two classes: a sigmoid,
    or all that the file gives. Beside labels it can be how sure the file is."""
    tensor = value.type.tensor_type
    if tensor.elem_type not in _FLOATS or len(tensor.shape.dim) != 1:
        return False
    batches = [given.type.tensor_type.shape.dim[:1] for given in true_inputs(model.graph)]
    own = tensor.shape.dim[0].dim_value
    if not any(axes and axes[0].dim_value == own for axes in batches):
        return False
    return len(model.graph.output) == 1 or bool(final_activation(model.graph, value.name))


def _with_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Return a copy of `model` with the one output `name`."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    (kept,) = [value for value in model.graph.output if value.name == name]
    del copy.graph.output[:]
    copy.graph.output.append(kept)
    return copy


def _logits(graph: onnx.GraphProto, name: str) -> str:
    """Return the tensor that an output is made of, before its activations."""
    while (found := final_activation(graph, name)) is not None:
        name = found.logits
    producers = {x: node for node in graph.node for x in node.output}
    while name in producers and producers[name].op_type == "Identity":
        name = producers[name].input[0]
    return name


def _cut(model: onnx.ModelProto, name: str, others: tuple[str, ...]) -> AttackedOutput:
    model = _with_output(model, name)
    found = final_activation(model.graph)
    activation = found.kind if found else None
    # what is left can end in one, too: a softmax of another's logarithm
    while (left := without_final_activation(model)) is not None:
        model = inferred(left)
    graph, tensor = model.graph, model.graph.output[0].type.tensor_type
    axes = [axis.dim_value or axis.dim_param or None for axis in tensor.shape.dim]
    classes = next((size for size in axes[1:] if size != 1), 1 if axes else None)
    is_binary = classes == 1
    if not found and tensor.elem_type in _FLOATS and mixes_probabilities(graph, name):
        activation = MIXTURE
        _append_logarithm(graph, tensor, odds=is_binary)
    if axes and len(axes) != 2:
        # (batch, k, 1, 1) -> (batch, k), and (batch,) -> (batch, 1)
        _append(graph, "Flatten", [graph.output[0].name], axis=1)
    if is_binary:
        z = graph.output[0].name
        # 0 of any type and batch, and undefined where z is
        _append(graph, "Sub", [z, z])
        _append(graph, "Concat", [graph.output[0].name, z], axis=1)  # (batch, 1) -> (batch, 2)
        classes = 2
    if axes:
        logits = graph.output[0].name
        shape = [axes[0], classes]
        graph.output[0].CopyFrom(helper.make_tensor_value_info(logits, tensor.elem_type, shape))
    known = classes if isinstance(classes, int) else None
    return AttackedOutput(name, activation, known, is_binary, others, model)


def _append(graph: onnx.GraphProto, operator: str, inputs: list[str], **attributes: Any) -> None:
    """Add a node at the end, and make what it gives the output."""
    name = _new_name(graph)
    graph.node.append(helper.make_node(operator, inputs, [name], **attributes))
    graph.output[0].name = name


def _append_logarithm(graph: onnx.GraphProto, tensor: Any, *, odds: bool) -> None:
    """Make the logarithm of the output the output, at least in single precision."""
    name = _new_name(graph)
    graph.node.extend(logarithm(graph.output[0].name, tensor.elem_type, name, odds=odds))
    graph.output[0].name = name
    if tensor.elem_type == TensorProto.FLOAT16:
        tensor.elem_type = TensorProto.FLOAT


def _new_name(graph: onnx.GraphProto) -> str:
    """Return a name that no tensor has, and that none begins with."""
    taken = {x.partition("/")[0] for node in graph.node for x in (*node.input, *node.output)}
    return next(n for k in range(len(taken) + 1) if (n := f"logits_{k}") not in taken)


def _all_described(model: onnx.ModelProto) -> str:
    return ", ".join(f"{value.name!r} {_described(value)}" for value in model.graph.output)


def _described(value: onnx.ValueInfoProto) -> str:
    if value.type.WhichOneof("value") != "tensor_type":
        return str(value.type.WhichOneof("value")).removesuffix("_type")
    tensor = value.type.tensor_type
    name = helper.tensor_dtype_to_string(tensor.elem_type).removeprefix("TensorProto.").lower()
    if not tensor.HasField("shape"):
        return f"{name} of unknown shape"
    sizes = [str(axis.dim_value or axis.dim_param or "any") for axis in tensor.shape.dim]
    return f"{name} ({', '.join(sizes)})"
