"""Multiply-adds against counts by hand and against what is published of known networks."""

from __future__ import annotations

import keras
import pytest
from keras import layers, ops

from rnascl_keras.models.size import model_macs


def model_of(shape, *steps):
    """A functional model that does `steps` one after the other."""
    x = images = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(images, x)


def grouped():
    return keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(6, 3, groups=2)])


def called_twice():
    shared = layers.Conv2D(3, 3, padding="same")
    return model_of((8, 8, 3), shared, shared, layers.GlobalAveragePooling2D(), layers.Dense(2))


class Attending(keras.Model):
    """A product of two tensors that the images make, in a model without a graph of layers."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(5)
        self.build((None, 6, 4))

    def build(self, shape):
        self.dense.build(shape)
        self.inputs = [keras.KerasTensor(shape)]
        self.built = True

    def call(self, x, training=False):
        y = self.dense(x)
        return ops.einsum("bij,bkj->bik", y, y) + ops.matmul(y, ops.transpose(y, (0, 2, 1)))


BY_HAND = {
    "nested and grouped": (
        lambda: model_of((8, 8, 4), grouped(), layers.Flatten(), layers.Dense(2)),
        36 * 6 * 9 * 2 + 36 * 6 * 2,
    ),
    "called twice": (called_twice, 2 * 64 * 9 * 9 + 6),
    "dense on a map": (lambda: model_of((8, 8, 3), layers.Dense(5)), 64 * 3 * 5),
    "separable": (lambda: model_of((8, 8, 3), layers.SeparableConv2D(4, 3)), 36 * (9 * 3 + 3 * 4)),
    "transposed": (
        lambda: model_of((8, 8, 3), layers.Conv2DTranspose(4, 3, strides=2)),
        64 * 9 * 3 * 4,
    ),
    "depthwise, dilated": (
        lambda: model_of((8, 8, 3), layers.DepthwiseConv2D(3, dilation_rate=2, depth_multiplier=2)),
        16 * 6 * 9,
    ),
    "one axis": (lambda: model_of((16, 8), layers.Conv1D(5, 3)), 14 * 5 * 3 * 8),
    "three axes": (lambda: model_of((4, 4, 4, 2), layers.Conv3D(5, 2)), 27 * 5 * 8 * 2),
    "subclassed, products of tensors": (Attending, 6 * 4 * 5 + 2 * 6 * 6 * 5),
}


@pytest.mark.parametrize(("build", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_multiply_adds_are_those_by_hand(build, expected):
    assert model_macs(build()).total == expected
    assert not model_macs(build()).uncounted


def test_what_cannot_be_counted_is_named():
    counted = model_macs(model_of((16, 8), layers.LSTM(4), layers.Dense(2)))
    assert len(counted.uncounted) == 1
    assert "lstm" in counted.uncounted[0]


# G, for one image of the network's own size: Keras' documentation of applications, and the papers.
PUBLISHED = {"MobileNetV2": 0.300, "EfficientNetB0": 0.39, "ResNet50": 3.86}
SLOW = {"ConvNeXtTiny": 4.46, "Xception": 8.4, "DenseNet121": 2.83, "VGG16": 15.5}


@pytest.mark.parametrize(
    ("name", "published"),
    [*PUBLISHED.items(), *(pytest.param(*x, marks=pytest.mark.slow) for x in SLOW.items())],
)
def test_known_networks_have_their_published_multiply_adds(name, published):
    counted = model_macs(getattr(keras.applications, name)(weights=None))
    assert counted.total / 1e9 == pytest.approx(published, rel=0.02)
    assert not counted.uncounted
