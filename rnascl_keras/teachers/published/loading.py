"""Teachers trained by others: a checkpoint under its published names becomes a Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import UserError, naming
from rnascl_keras.models.bounds import limited_building
from rnascl_keras.teachers.networks.architectures import (
    OTHERS,
    RESNETS,
    build_teacher,
    check_architecture,
)
from rnascl_keras.teachers.published.assignment import assign
from rnascl_keras.teachers.published.names import NORMALISERS, Scheme, listed, recognise
from rnascl_keras.teachers.published.weight_files import read_weights

PUBLISHED = (*RESNETS, "abcrown_resnet4b")

WRAPPERS = ("module.", "model.")
"""What DataParallel and the robustness package's AttackerModel put before every name."""

DUPLICATES = "attacker."
"""The AttackerModel's second reference to the same weights."""

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
    weights = read_weights(path)
    with naming(path):
        weights, buffers = unwrap(weights)
    scheme = recognise(weights, architecture, _outer_layers(architecture), path)
    if scheme.unused:
        weights = {k: v for k, v in weights.items() if not k.startswith(scheme.unused)}
    width, channels, found = _sizes(weights, scheme, architecture, path)
    if classes is not None and classes != found:
        raise UserError(f"the weights in {path} are for {found} classes, not for {classes}.")
    mean, std, origin = _normalisation((mean, std), buffers, scheme, channels)
    size = image_size or (224 if architecture.startswith("imagenet_") else 32)
    with limited_building(path):
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
        the network's weights by name, and the wrappers' (mean, std) where they have them.

    Raises:
        UserError: a wrapper has two of them, or one of another number of channels than the one
            around it.
    """
    buffers = None
    while True:
        weights = {k: v for k, v in weights.items() if not k.startswith(DUPLICATES)}
        pairs = [pair for pair in NORMALISERS if set(pair) <= set(weights)]
        if len(pairs) > 1:
            raise UserError(
                f"it holds {' and '.join(' with '.join(pair) for pair in pairs)} beside each "
                "other; save the weights with the one that their owner used."
            )
        for pair in pairs:
            mean, std = (tuple(weights[name].ravel().tolist()) for name in pair)
            buffers = _composed(buffers, (mean, std)) if buffers else (mean, std)
            weights = {k: v for k, v in weights.items() if k not in pair}
        wrapper = next((w for w in WRAPPERS if all(k.startswith(w) for k in weights)), None)
        if not weights or wrapper is None:
            return weights, buffers
        weights = {k.removeprefix(wrapper): v for k, v in weights.items()}


def _composed(
    outer: tuple[Channels, Channels], inner: tuple[Channels, Channels]
) -> tuple[Channels, Channels]:
    """Return the (mean, std) of one normalisation after another.

    ((x - m1) / s1 - m2) / s2 = (x - (m1 + s1 m2)) / (s1 s2)
    """
    counts = [len(values) for values in (*outer, *inner)]
    if len(set(counts)) > 1:
        raise UserError(
            f"one normalisation in another has {counts[2]} mean(s) and {counts[3]} std(s), that "
            f"around it {counts[0]} and {counts[1]}; expected one per channel in all."
        )
    rows = list(zip(*outer, *inner, strict=True))  # (m1, s1, m2, s2) of each channel
    return tuple(m1 + s1 * m2 for m1, s1, m2, _ in rows), tuple(s1 * s2 for _, s1, _, s2 in rows)


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
