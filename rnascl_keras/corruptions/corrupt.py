"""Corruptions by name, of bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnascl_keras.corruptions import blur, digital, noise, weather
from rnascl_keras.corruptions.numbers import in_bytes
from rnascl_keras.corruptions.severities import published_for
from rnascl_keras.errors import UserError, check_name

Corruption = Callable[[np.ndarray, np.random.Generator, Any, float], np.ndarray]
"""An image, (h, w, c) in [0, 1]; where what is random comes from; the published parameters of a
severity; by how much lengths in pixels grow. Gives an image, whose values may lie outside."""

CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}
SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(
    images: np.ndarray, name: str, severity: int, *, seed: int = 0, first: int = 0
) -> np.ndarray:
    """Return images, uint8 (n, h, w, c) of one or three channels, corrupted: as many bytes.

    Args:
        images: uint8 (n, h, w, c); of any size, see `severities` for what that changes.
        name: one of `CORRUPTIONS`.
        severity: from 1 to 5.
        seed: of what is random, not negative.
        first: number of the first image: what is random in an image depends on its number, not on
            those beside it.

    Raises:
        UserError: no such corruption, severity or seed, or other images.
    """
    check_name("corruption", name, list(CORRUPTIONS), f"one of {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise UserError(f"severity is {severity!r}; expected one of 1, 2, 3, 4, 5.")
    if seed < 0:
        raise UserError(f"seed is {seed}; expected an integer of at least 0.")
    images = np.asarray(images)
    check_images(images)
    published, scale = published_for(*images.shape[1:3])
    settings, number = published.values[name][severity - 1], list(CORRUPTIONS).index(name)
    corrupted = np.empty_like(images)
    for k, image in enumerate(images):
        random = np.random.default_rng((seed, number, severity, first + k))
        made = CORRUPTIONS[name](image / 255.0, random, settings, scale)
        corrupted[k] = in_bytes(made)
    return corrupted


def corruptions_named(text: str, called: str = "--corruptions") -> list[str]:
    """Return the corruptions in `fog,snow`, all of them for `all`; in the published order.

    Args:
        text: names between commas.
        called: what the user calls that.

    Raises:
        UserError: there is none of such a name.
    """
    wanted = [name.strip() for name in text.split(",")]
    if wanted == ["all"]:
        return list(CORRUPTIONS)
    expected = f"all, or some of {', '.join(CORRUPTIONS)}"
    for name in wanted:
        check_name(called, name, ["all", *CORRUPTIONS], expected)
    return [name for name in CORRUPTIONS if name in wanted or "all" in wanted]


def check_images(images: np.ndarray) -> None:
    """Raise UserError where images cannot be corrupted."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UserError(
            f"images to corrupt are {images.dtype} of shape {images.shape}; expected uint8 "
            "(n, h, w, 1) or (n, h, w, 3)."
        )
    if 0 in images.shape[1:3]:
        raise UserError(f"images to corrupt are {images.shape[1]} x {images.shape[2]} pixels.")
