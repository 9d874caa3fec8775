"""Labelled images: where they come from and how they are fed to a model.

Everything is NHWC, float32 in [0, 1]. Importing this package, reading an `.npz` and
`ImageData.first` on it need no TensorFlow.
"""

from __future__ import annotations

from rnascl_keras.data.augmentation import AUGMENTATIONS
from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.share import Share
from rnascl_keras.data.sources import Splits, load_data, load_test_data

__all__ = ["AUGMENTATIONS", "ImageData", "Share", "Splits", "load_data", "load_test_data"]
