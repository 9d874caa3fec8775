"""Post-activation residual networks for small images (He et al., 2016), and teachers by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.teachers.blocks import classifier, convolution, normalization, pixels
from rnascl_keras.teachers.digits_cnn import build_digits_cnn


@dataclass(frozen=True)
class ResNetRow:
    """One residual network: the stem's width, each stage's width, and its number of blocks."""

    stem: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]

    def with_base_width(self, width: int) -> ResNetRow:
        """Return the network with its stem `width` wide and its stages scaled alike."""
        widths = tuple(width * stage // self.stem for stage in self.widths)
        return ResNetRow(width, widths, self.blocks)


RESNETS = {
    "resnet20": ResNetRow(16, (16, 32, 64), (3, 3, 3)),
    "resnet32": ResNetRow(16, (16, 32, 64), (5, 5, 5)),
    "resnet44": ResNetRow(16, (16, 32, 64), (7, 7, 7)),
    "resnet56": ResNetRow(16, (16, 32, 64), (9, 9, 9)),
    "resnet18": ResNetRow(64, (64, 128, 256, 512), (2, 2, 2, 2)),
    "resnet34": ResNetRow(64, (64, 128, 256, 512), (3, 4, 6, 3)),
}

TEACHERS = (*RESNETS, "digits_cnn")


def build_teacher(
    architecture: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    width: int | None = None,
) -> keras.Model:
    """Build an untrained teacher: a functional model of stock layers, pixels in, logits out.

    Args:
        architecture: one of `TEACHERS`. "resnet18" and "resnet34" have the stem usual for 32-pixel
            images: 3 x 3, stride 1, no pooling.
        input_shape: (h, w, c), pixels in [0, 1].
        classes: number of logits.
        mean: per channel, subtracted before the first layer; no normalisation by default.
        std: per channel, divided by after `mean`.
        width: base width of a ResNet in place of its own (16 or 64), for a slimmer one.

    Raises:
        UserError: unknown `architecture`, `width` not positive or given for another network than a
            ResNet, `mean` or `std` not fitting the channels.
    """
    settings = {"input_shape": tuple(input_shape), "classes": classes, "mean": mean, "std": std}
    if architecture not in TEACHERS:
        raise UserError(
            f"teacher architecture {architecture!r} is unknown; expected one of "
            f"{', '.join(TEACHERS)}.{nearest(architecture, TEACHERS)}"
        )
    if width is not None and (architecture not in RESNETS or width < 1):
        raise UserError(
            f"width {width} does not fit {architecture!r}; only ResNets take one, of at least 1."
        )
    if architecture == "digits_cnn":
        return build_digits_cnn(**settings)
    row = RESNETS[architecture]
    row = row if width is None else row.with_base_width(width)
    return build_resnet(row, name=architecture, **settings)


def build_resnet(
    row: ResNetRow,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "resnet",
) -> keras.Model:
    """Build the residual network of `row`; other arguments as for `build_teacher`.

    Every stage but the first starts with stride 2. Layers are called `stem_conv`,
    `stage1_block1_conv1`, `..._bn1`, `..._relu1`, `..._shortcut`, ..., `logits`.
    """
    images, x = pixels(input_shape, mean, std)
    x = convolution(x, row.stem, 3, "stem_conv")
    x = keras.layers.ReLU(name="stem_relu")(normalization(x, "stem_bn"))
    for stage, (width, blocks) in enumerate(zip(row.widths, row.blocks, strict=True), start=1):
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _residual_block(x, width, strides, f"stage{stage}_block{block}")
    return classifier(images, x, classes, name)


def _residual_block(x, width: int, strides: int, prefix: str):
    """(batch, h, w, c) -> (batch, h / strides, w / strides, width)."""
    shortcut = x
    if strides > 1 or x.shape[-1] != width:
        shortcut = convolution(x, width, 1, f"{prefix}_shortcut", strides=strides)
        shortcut = normalization(shortcut, f"{prefix}_shortcut_bn")
    x = convolution(x, width, 3, f"{prefix}_conv1", strides=strides)
    x = keras.layers.ReLU(name=f"{prefix}_relu1")(normalization(x, f"{prefix}_bn1"))
    x = convolution(x, width, 3, f"{prefix}_conv2")
    x = normalization(x, f"{prefix}_bn2")
    x = keras.layers.Add(name=f"{prefix}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{prefix}_relu2")(x)
