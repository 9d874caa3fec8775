"""A classifier whose robust accuracy is known exactly, and images for it."""

from __future__ import annotations

import keras
import numpy as np


def brightness_model(activation=None, slope=1.0):
    """Two classes: is the mean pixel above a half? A step of every pixel by d moves it by d."""
    images = keras.Input((3, 3, 1))
    dense = keras.layers.Dense(2, activation=activation)
    model = keras.Model(images, dense(keras.layers.GlobalAveragePooling2D()(images)))
    dense.set_weights([slope * np.array([[-1.0, 1.0]]), slope * np.array([0.5, -0.5])])
    return model


def uniform_images(values):
    return np.broadcast_to(np.reshape(values, (-1, 1, 1, 1)), (len(values), 3, 3, 1)).astype("f4")


# distances from a half: 0.4, 0.2, 0.05, 0.05, 0.15, 0.3, the last one labelled wrong
VALUES, LABELS = [0.1, 0.3, 0.45, 0.55, 0.65, 0.8], np.array([0, 0, 0, 1, 1, 0])
