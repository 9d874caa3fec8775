"""Teachers from files: Keras' own, and published weights under their PyTorch names."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.logits import logits_model
from rnascl_keras.teachers.resnet import ResNetRow, build_resnet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")  # in the order Keras keeps them
NAMED_AT_MOST = 6  # weights listed in an error


def load_teacher(
    path: str | Path,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> keras.Model:
    """Load a trained teacher, (batch, *input_shape) in [0, 1] -> logits (batch, classes).

    Args:
        path: a `.keras` file (a softmax at its end is left out), or an `.npz` of float arrays of a
            CIFAR ResNet under PyTorch names: `conv_1.weight`, `bn_1.*`, `stage_1.0.conv_1.weight`,
            `stage_2.0.downsample.0.weight`, ..., `fc.*`. Depth and widths follow from the names
            and shapes.
        input_shape: (h, w, c) of the images.
        classes: number of classes of the data.
        mean: per channel, what the weights' owner subtracted. An `.npz` does not hold it: by
            default ImageNet's for three channels, none else. A `.keras` file holds its own.
        std: per channel, what the owner divided by; as for `mean`.

    Raises:
        UserError: the file cannot be read, weights are missing, surplus or of another shape, or
            the teacher does not fit the data.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"teacher file {path} does not exist.")
    if path.suffix == ".keras":
        if mean is not None or std is not None:
            raise UserError(f"{path} holds its own normalisation; leave out mean and std.")
        model = _load_keras(path)
    elif path.suffix == ".npz":
        if mean is None and std is None and input_shape[-1] == 3:
            mean, std = IMAGENET_MEAN, IMAGENET_STD
        weights = _read_npz(path)
        row = _resnet_row(weights, path)
        model = build_resnet(row, input_shape=input_shape, classes=classes, mean=mean, std=std)
        _assign(model, weights, path)
    else:
        raise UserError(f"teacher file {path} ends in {path.suffix!r}; expected .keras or .npz.")
    check_teacher(model, input_shape, classes)
    return model


def check_teacher(model: keras.Model, input_shape: tuple[int, int, int], classes: int) -> None:
    """Raise UserError unless `model` maps (batch, *input_shape) to (batch, classes)."""
    takes, gives = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if not (isinstance(gives, tuple) and len(gives) == 2 and isinstance(gives[1], int)):
        raise UserError(
            f"the teacher's output has shape {gives}; expected (None, {classes}): a classifier."
        )
    if gives[1] != classes:
        raise UserError(
            f"the teacher tells {gives[1]} classes apart, the data has {classes}; give a teacher "
            "trained on this data set."
        )
    fits = (
        isinstance(takes, tuple)
        and len(takes) == 4
        and all(t in (None, i) for t, i in zip(takes[1:], input_shape, strict=True))
    )
    if not fits:
        raise UserError(
            f"the teacher takes images of shape {takes}, the data's are {tuple(input_shape)}; give "
            "a teacher for images of this size, or set the data's image size."
        )


def _load_keras(path: Path) -> keras.Model:
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"teacher file {path} cannot be loaded by Keras: {reason}") from error
    return logits_model(model)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"teacher file {path} is not a readable .npz: {error}") from error
    # PyTorch's batch norm counts its updates; nothing depends on it.
    return {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}


def _resnet_row(weights: dict[str, np.ndarray], path: Path) -> ResNetRow:
    """Infer stem, widths and blocks from names and shapes."""
    indices: dict[int, int] = {}
    for name in weights:
        if match := re.match(r"stage_(\d+)\.(\d+)\.", name):
            stage, block = int(match[1]), int(match[2])
            indices[stage] = max(indices.get(stage, 0), block)
    stages = range(1, max(indices, default=1) + 1)
    needed = ["conv_1.weight", *(f"stage_{stage}.0.conv_1.weight" for stage in stages)]
    missing = [name for name in needed if name not in weights or weights[name].ndim != 4]
    if missing:
        raise UserError(
            f"{path} is not a CIFAR ResNet of the known naming: it has no convolution "
            f"{_listed(missing)}. It holds {_listed(list(weights))}."
        )
    stem, *widths = (weights[name].shape[0] for name in needed)
    blocks = tuple(indices[stage] + 1 for stage in stages)
    return ResNetRow(stem, tuple(widths), blocks)


def _torch_name(layer: str) -> str:
    """Return the PyTorch name of a layer of ours, e.g. stage1_block1_bn2 -> stage_1.0.bn_2."""
    fixed = {"stem_conv": "conv_1", "stem_bn": "bn_1", "logits": "fc"}
    if layer in fixed:
        return fixed[layer]
    stage, block, part = re.fullmatch(r"stage(\d+)_block(\d+)_(\w+)", layer).groups()
    part = {"shortcut": "downsample.0", "shortcut_bn": "downsample.1"}.get(part, part)
    part = re.sub(r"^(conv|bn)(\d)$", r"\1_\2", part)
    return f"stage_{stage}.{int(block) - 1}.{part}"


def _assign(model: keras.Model, weights: dict[str, np.ndarray], path: Path) -> None:
    """Set the model's weights, or raise UserError naming those that do not fit."""
    missing, misshapen, values = [], [], {}
    used: set[str] = set()
    for layer in (layer for layer in model.layers if layer.weights):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        kinds = BATCH_NORM if is_norm else ("weight", "bias")[: len(layer.weights)]
        names = [f"{_torch_name(layer.name)}.{kind}" for kind in kinds]
        used.update(names)
        for name, variable in zip(names, layer.weights, strict=True):
            if name not in weights:
                missing.append(name)
                continue
            value = _to_keras(weights[name])
            if value.shape != tuple(variable.shape):
                expected = _to_torch_shape(tuple(variable.shape))
                misshapen.append(f"{name} {weights[name].shape} instead of {expected}")
            values.setdefault(layer.name, []).append(value)
    surplus = [name for name in weights if name not in used]
    undefined = [name for name in used & set(weights) if not np.all(np.isfinite(weights[name]))]
    wrong = {
        "missing": missing,
        "surplus": surplus,
        "of another shape": misshapen,
        "not finite": sorted(undefined),
    }
    faults = "; ".join(f"{what}: {_listed(names)}" for what, names in wrong.items() if names)
    if faults:
        raise UserError(f"the weights in {path} do not fit the ResNet they name: {faults}.")
    for name, value in values.items():
        model.get_layer(name).set_weights(value)


def _to_keras(value: np.ndarray) -> np.ndarray:
    """(out, in, h, w) -> (h, w, in, out); (out, in) -> (in, out); vectors stay."""
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def _to_torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape before `_to_keras`."""
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
