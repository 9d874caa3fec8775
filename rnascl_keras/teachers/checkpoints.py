"""Teachers from files: Keras' own, and EhanW's weights, whose architecture follows from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from rnascl_keras.errors import UserError, printable
from rnascl_keras.method.teacher import check_teacher
from rnascl_keras.models.bounds import limited_building
from rnascl_keras.models.logits import logits_model
from rnascl_keras.models.saving import load_model
from rnascl_keras.teachers.networks.resnet import ResNetRow, build_resnet
from rnascl_keras.teachers.published.assignment import assign
from rnascl_keras.teachers.published.names import EHANW, listed
from rnascl_keras.teachers.published.weight_files import read_weights

NUMBERED = re.compile(r"stage_(\d{1,9})\.(\d{1,9})\.")
"""Names of weights in a block; longer numbers are none, and take long to read."""
LONGEST_NAME = 60
"""Characters of a name in an error."""
CONVERT = "convert it with `rnascl convert-teacher` and give the .keras file that makes"


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
        path: a `.keras` file, see `logits_of`, or an `.npz` of float arrays of a CIFAR ResNet
            under PyTorch names: `conv_1.weight`, `bn_1.*`, `stage_1.0.conv_1.weight`,
            `stage_2.0.downsample.0.weight`, ..., `fc.*`. Depth and widths follow from the names
            and shapes. Other checkpoints are for `load_published`.
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
        model = logits_model(load_model(path))
    elif path.suffix == ".npz":
        if mean is None and std is None and input_shape[-1] == 3:
            mean, std = EHANW.normalisation or (None, None)
        weights = read_weights(path)
        row = _resnet_row(weights, path)
        with limited_building(path):
            model = build_resnet(row, input_shape=input_shape, classes=classes, mean=mean, std=std)
        assign(model, weights, EHANW.layer, path)
    else:
        raise UserError(f"teacher file {path} ends in {path.suffix!r}; expected .keras: {CONVERT}.")
    check_teacher(model, input_shape, classes)
    return model


def _resnet_row(weights: dict[str, np.ndarray], path: Path) -> ResNetRow:
    """Infer stem, widths and blocks from names and shapes."""
    indices: dict[int, int] = {}
    for name in weights:
        if match := NUMBERED.match(name):
            stage, block = int(match[1]), int(match[2])
            if max(stage, block) > len(weights):  # each has weights of its own
                raise UserError(
                    f"{path} holds {printable(name)[:LONGEST_NAME]}, but only {len(weights)} "
                    "weights; save it again, or give another."
                )
            indices[stage] = max(indices.get(stage, 0), block)
    stages = range(1, max(indices, default=1) + 1)
    needed = ["conv_1.weight", *(f"stage_{stage}.0.conv_1.weight" for stage in stages)]
    missing = [name for name in needed if name not in weights or weights[name].ndim != 4]
    if missing:
        raise UserError(
            f"{path} is not a CIFAR ResNet under EhanW's names: it has no convolution "
            f"{listed(missing)}, it holds {listed(list(weights))}; {CONVERT}."
        )
    stem, *widths = (weights[name].shape[0] for name in needed)
    blocks = tuple(indices[stage] + 1 for stage in stages)
    return ResNetRow(stem, tuple(widths), blocks)
