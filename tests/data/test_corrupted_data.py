"""Corrupted images that others published, read by TensorFlow Datasets' name of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rnascl_keras.corruptions import corrupt
from rnascl_keras.data.prepared import prepared_names
from rnascl_keras.data.sources import load_test_data

PLACE = os.environ.get("TFDS_DATA_DIR")


@pytest.mark.skipif(
    PLACE is None or "cifar10_corrupted" not in prepared_names(Path(PLACE)),
    reason="cifar10_corrupted is not in TFDS_DATA_DIR",
)
@pytest.mark.parametrize(
    "name", ["contrast", "brightness", "defocus_blur", "zoom_blur", "pixelate"]
)
def test_ours_are_the_published_ones_where_nothing_is_random(name):
    """The two sets' orders differ: images are told apart by their means, which are sorted."""
    clean = load_test_data("cifar10").pixels.array
    published = load_test_data(f"cifar10_corrupted/{name}_3").pixels.array
    ours = corrupt(clean, name, 3).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(np.sort(ours), np.sort(published.mean(axis=(1, 2, 3))), atol=0.6)
