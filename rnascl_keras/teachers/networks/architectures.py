"""Networks by name: teachers, and the rivals that the paper's tables compare with.

They share one table, so a rival is trained, attacked, exported and reported as a teacher is.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from rnascl_keras.errors import UserError, check_name
from rnascl_keras.models.image_input import check_classes, checked_input_shape
from rnascl_keras.teachers.networks.abcrown_resnet4b import build_abcrown_resnet4b
from rnascl_keras.teachers.networks.cell_network import build_cell_network
from rnascl_keras.teachers.networks.cell_rows import CELL_NETWORKS
from rnascl_keras.teachers.networks.digits_cnn import build_digits_cnn
from rnascl_keras.teachers.networks.mobilenet_v2 import build_mobilenet_v2
from rnascl_keras.teachers.networks.preact_resnet import build_preact_resnet
from rnascl_keras.teachers.networks.resnet import ResNetRow, build_resnet
from rnascl_keras.teachers.networks.students import STUDENTS, build_largest_student
from rnascl_keras.teachers.networks.vgg_densenet import build_densenet121_r, build_vgg11_r

THREE = (16, 32, 64)  # widths of the stages
FOUR = (64, 128, 256, 512)
WIDE = (160, 320, 640)

RESNETS = {
    "resnet20": ResNetRow(16, THREE, (3, 3, 3)),
    "resnet32": ResNetRow(16, THREE, (5, 5, 5)),
    "resnet44": ResNetRow(16, THREE, (7, 7, 7)),
    "resnet56": ResNetRow(16, THREE, (9, 9, 9)),
    "resnet18": ResNetRow(64, FOUR, (2, 2, 2, 2)),
    "resnet34": ResNetRow(64, FOUR, (3, 4, 6, 3)),
    "resnet50": ResNetRow(64, FOUR, (3, 4, 6, 3), bottleneck=1),
    "preact_resnet18": ResNetRow(64, FOUR, (2, 2, 2, 2), preactivation=True),
    "wide_resnet28_10": ResNetRow(16, WIDE, (4, 4, 4), preactivation=True),
    "wide_resnet34_10": ResNetRow(16, WIDE, (5, 5, 5), preactivation=True),
    "imagenet_resnet18": ResNetRow(64, FOUR, (2, 2, 2, 2), imagenet=True),
    "imagenet_resnet50": ResNetRow(64, FOUR, (3, 4, 6, 3), bottleneck=1, imagenet=True),
    "imagenet_wide_resnet50_2": ResNetRow(64, FOUR, (3, 4, 6, 3), bottleneck=2, imagenet=True),
}

SCALED = {
    "digits_cnn": build_digits_cnn,
    "mobilenetv2": build_mobilenet_v2,
    "vgg11_r": build_vgg11_r,
    "densenet121_r": build_densenet121_r,
}
"""Builders that take a `width`."""

OTHERS = {"abcrown_resnet4b": build_abcrown_resnet4b}

TEACHERS = (*RESNETS, *OTHERS, *SCALED, *CELL_NETWORKS)
NETWORKS = (*TEACHERS, *STUDENTS)
"""The largest students beside them: who compares networks trains them alike."""


def build_teacher(
    architecture: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    width: int | None = None,
    cells: int | None = None,
) -> keras.Model:
    """Build an untrained network: a functional model of stock layers, pixels in, logits out.

    Args:
        architecture: one of `NETWORKS`. The "imagenet_" ones are torchvision's; the other ResNets
            have the stem usual for 32-pixel images: 3 x 3, stride 1, no pooling.
        input_shape: (h, w, c), pixels in [0, 1].
        classes: number of logits.
        mean: per channel, subtracted before the first layer; no normalisation by default.
        std: per channel, divided by after `mean`.
        width: base width, of a ResNet's first stage, a cell network's first cell or another's first
            convolution, in place of its own, for a slimmer one: all widths are scaled alike.
        cells: number of cells, for a shorter cell network.

    Raises:
        UserError: unknown `architecture`, `width` or `cells` not positive or given for a network
            that takes none, `mean` or `std` not fitting the channels.
    """
    check_classes(classes)
    sizes = checked_input_shape(input_shape)
    settings = {"input_shape": sizes, "classes": classes, "mean": mean, "std": std}
    check_architecture(architecture, NETWORKS)
    _check_size(architecture, width, cells)
    if architecture in STUDENTS:
        return build_largest_student(architecture, **settings)
    if architecture in OTHERS:
        return OTHERS[architecture](**settings)
    if architecture in SCALED:
        return SCALED[architecture](width=width, **settings)
    if architecture in CELL_NETWORKS:
        cell_row = CELL_NETWORKS[architecture].slimmer(width, cells)
        return build_cell_network(cell_row, name=architecture, **settings)
    row = RESNETS[architecture]
    row = row if width is None else row.with_base_width(width)
    build = build_preact_resnet if row.preactivation else build_resnet
    return build(row, name=architecture, **settings)


def _check_size(architecture: str, width: int | None, cells: int | None) -> None:
    fixed = (*OTHERS, *STUDENTS)
    if width is not None and (architecture in fixed or width < 1):
        raise UserError(
            f"width {width} does not fit {architecture!r}; it is at least 1, and not for "
            f"{', '.join(fixed)}."
        )
    if cells is not None and (architecture not in CELL_NETWORKS or cells < 3):
        raise UserError(
            f"cells {cells} does not fit {architecture!r}; only cell networks such as darts take "
            "one, of at least 3."
        )


def check_architecture(name: str, known: Sequence[str]) -> None:
    """Raise UserError unless `name` is one of `known`."""
    check_name("teacher architecture", name, known)
