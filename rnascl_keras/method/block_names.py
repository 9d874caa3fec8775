"""Which block a layer belongs to, by its name: ours and those of keras.applications."""

from __future__ import annotations

import re

_OF_BLOCKS = (
    re.compile(r"(block(?:35|17|8)_\d+)_conv"),  # InceptionResNetV2
    re.compile(r"(.*block_?\d+[a-z]?)(?:_|$)"),  # ours, ResNet, DenseNet, EfficientNet, VGG, ...
    re.compile(r"(expanded_conv(?:_\d+)?)_(?:expand|depthwise|project)"),  # MobileNetV2 and V3
    re.compile(r"conv_(?:dw|pw)(_\d+)"),  # MobileNet
)
_JOINED = re.compile(r"(?:mixed_?\d+[a-z]?|(?:normal|reduction)_concat_\w+)$")


def block_of(convolution: str) -> str | None:
    """Return a key of the block that a convolution belongs to; None where its name tells none."""
    found = (pattern.match(convolution) for pattern in _OF_BLOCKS)
    return next((match[1] for match in found if match), None)


def is_whole_block(layer: str) -> bool:
    """Return whether a layer joins the branches of a block, whose convolutions have no telling
    names: those of Inception networks and NASNet."""
    return _JOINED.match(layer) is not None
