"""Teachers trained by others: a checkpoint under its published names becomes a Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.teachers.networks.architectures import (
    OTHERS,
    RESNETS,
    build_teacher,
    check_architecture,
)
from rnascl_keras.teachers.published.assignment import assign
from rnascl_keras.teachers.published.names import Scheme, listed, recognise
from rnascl_keras.teachers.published.weight_files import read_weights

PUBLISHED = (*RESNETS, "abcrown_resnet4b")

WRAPPERS = ("module.", "model.")
"""What DataParallel and the robustness package's AttackerModel put before every name."""

DUPLICATES = "attacker."
"""The AttackerModel's second reference to the same weights."""

NORMALISERS = (
    ("normalizer.new_mean", "normalizer.new_std"),  # robustness
    ("mu", "sigma"),  # RobustBench
    ("normalize.mean", "normalize.std"),
    ("mean", "std"),
)

Weights = dict[str, np.ndarray]
Channels = tuple[float, ...]  # a number each


@dataclass(frozen=True)
class Published:
    """A teacher made of a checkpoint.

    Attributes:
        model: images in [0, 1] -> logits.
        owner: whose names the weights have.
        mean: per channel, what the model subtracts first; None: nothing.
        std: per channel, what it divides by then.
        origin: where mean and std come from.
    """

    model: keras.Model
    owner: str
    mean: Channels | None
    std: Channels | None
    origin: str


def load_published(
    path: str | Path,
    architecture: str,
    *,
    classes: int | None = None,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Published:
    """Build the teacher whose weights a checkpoint holds. Code in the file is never run.

    Names may be those of kuangliu's CIFAR networks, of TRADES' WideResNet, of torchvision, of
    EhanW or of alpha-beta-CROWN, also as wrapped by DataParallel, by the robustness package or by
    RobustBench. The "preact_resnet18" is Rice et al.'s, with a normalisation before the last layer
    and shortcuts behind the first ReLU of their block.

    Args:
        path: a `.pt`, `.pth`, `.ckpt` or `.tar` of `torch.save`, an `.npz` or a `.safetensors`.
        architecture: one of `PUBLISHED`. Base width and classes follow from the weights.
        classes: what the weights are expected to tell apart, to be checked.
        image_size: height and width in pixels; by default 224 for ImageNet networks, else 32.
        mean: per channel, what the weights' owner subtracted; by default what the checkpoint
            holds, else what the owner of the names uses.
        std: per channel, what the owner divided by; as for `mean`.

    Raises:
        UserError: unknown architecture, unreadable file, or weights that do not fit.
    """
    path = Path(path)
    check_architecture(architecture, PUBLISHED)
    weights, buffers = unwrap(read_weights(path))
    scheme = recognise(weights, architecture, _outer_layers(architecture), path)
    if scheme.unused:
        weights = {k: v for k, v in weights.items() if not k.startswith(scheme.unused)}
    width, channels, found = _sizes(weights, scheme, architecture, path)
    if classes is not None and classes != found:
        raise UserError(f"the weights in {path} are for {found} classes, not for {classes}.")
    mean, std, origin = _normalisation((mean, std), buffers, scheme, channels)
    size = image_size or (224 if architecture.startswith("imagenet_") else 32)
    model = build_teacher(
        architecture,
        input_shape=(size, size, channels),
        classes=found,
        mean=mean,
        std=std,
        width=width,
    )
    assign(model, weights, scheme.layer, path)
    return Published(model, scheme.owner, mean, std, origin)


def unwrap(weights: Weights) -> tuple[Weights, tuple[Channels, Channels] | None]:
    """Take off what wraps a network.

    Returns:
        the network's weights by name, and the wrapper's (mean, std) where it has them.
    """
    buffers = None
    while True:
        weights = {k: v for k, v in weights.items() if not k.startswith(DUPLICATES)}
        for pair in NORMALISERS:
            if set(pair) <= set(weights):
                mean, std = (tuple(weights[name].ravel().tolist()) for name in pair)
                buffers = mean, std
                weights = {k: v for k, v in weights.items() if k not in pair}
        wrapper = next((w for w in WRAPPERS if all(k.startswith(w) for k in weights)), None)
        if not weights or wrapper is None:
            return weights, buffers
        weights = {k.removeprefix(wrapper): v for k, v in weights.items()}


def _normalisation(
    given: tuple[Any, Any], buffers: tuple[Channels, Channels] | None, scheme: Scheme, channels: int
) -> tuple[Channels | None, Channels | None, str]:
    """Return mean and std, and where they come from: what is given, then what was saved."""
    mean, std = given
    if given != (None, None):
        return mean, std, "as given"
    if buffers:
        mean, std = buffers
        return mean, std, "from the checkpoint"
    if channels == 3 and scheme.normalisation:
        mean, std = scheme.normalisation
    return mean, std, f"the default for the names of {scheme.owner}"


def _outer_layers(architecture: str) -> set[str]:
    """Return our names of the layers with weights that lie in no block."""
    if architecture in OTHERS:
        return {"stem_conv", "hidden", "logits"}
    norm = "final_bn" if RESNETS[architecture].preactivation else "stem_bn"
    return {"stem_conv", norm, "logits"}


def _sizes(
    weights: Weights, scheme: Scheme, architecture: str, path: Path
) -> tuple[int | None, int, int]:
    """Return base width (None: the architecture's own), channels of the images, and classes."""
    layers = {"stem_conv": 4, "stage1_block1_conv1": 4, "logits": 2}
    names = {layer: f"{scheme.layer(layer)}.weight" for layer in layers}
    wrong = [
        name
        for layer, name in names.items()
        if name not in weights or weights[name].ndim != layers[layer]
    ]
    if wrong:
        raise UserError(
            f"the weights in {path} do not fit {architecture}: missing or of another shape: "
            f"{listed(wrong)}."
        )
    stem, block, logits = (weights[name].shape for name in names.values())
    if architecture in OTHERS:
        return None, stem[1], logits[0]
    row = RESNETS[architecture]
    width = block[0] // (row.bottleneck or 1)
    return (None if width == row.widths[0] else width), stem[1], logits[0]
