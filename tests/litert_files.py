"""LiteRT files of small networks, and images for them."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers

RANDOM = np.random.default_rng(0)
IMAGES = (RANDOM.integers(0, 256, (20, 8, 8, 3)) / 255).astype(np.float32)


def network(activation=None, units=4, of_hidden="relu"):
    """A small network, and the same without the activation at its end."""
    keras.utils.set_random_seed(0)
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation=of_hidden)(images)
    z = layers.Dense(units)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, layers.Activation(activation)(z) if activation else z), keras.Model(
        images, z
    )


def write(path, model, batch=None, low=0.0, high=1.0, kind=None, **settings):
    """Export to LiteRT by Keras itself; with integers from bytes on, of images in [low, high]."""
    if kind is not None:
        calibration = low + (high - low) * np.concatenate([0 * IMAGES[:1], 0 * IMAGES[:1] + 1])
        calibration = np.concatenate([calibration, low + (high - low) * IMAGES]).astype(np.float32)
        settings |= {
            "optimizations": [tf.lite.Optimize.DEFAULT],
            "representative_dataset": lambda: ([image[None]] for image in calibration),
            "target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            "inference_input_type": kind,
            "inference_output_type": kind,
        }
    shape = [tf.TensorSpec((batch, *model.inputs[0].shape[1:]), tf.float32)]
    model.export(path, format="litert", verbose=False, input_signature=shape, **settings)
    return path
