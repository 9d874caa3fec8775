"""Small classifiers in NumPy and float64, whose gradients are written by hand."""

from __future__ import annotations

import numpy as np

SHAPE, CLASSES = (5, 4, 2), 5


class LinearClassifier:
    """logits = x W + b; every image is computed by itself, so batches change nothing."""

    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias
        self.asked = []

    def logits(self, images):
        self.asked.append(len(images))
        flat = images.reshape(len(images), -1)
        return np.stack([x @ self.weight for x in flat]) + self.bias

    def logits_and_gradient(self, images, loss, labels, targets):
        logits = self.logits(images)
        _, slopes = loss(np, logits, labels, targets)
        return logits, np.stack([self.weight @ s for s in slopes]).reshape(images.shape)


class TwoLayers(LinearClassifier):
    """A hidden layer of tanh between, for a loss that is not linear."""

    def __init__(self, first, weight, bias):
        super().__init__(weight, bias)
        self.first = first

    def logits(self, images):
        self.hidden = np.stack([np.tanh(x.ravel() @ self.first) for x in images])
        return super().logits(self.hidden)

    def logits_and_gradient(self, images, loss, labels, targets):
        logits = self.logits(images)
        _, slopes = loss(np, logits, labels, targets)
        back = np.stack([self.weight @ s for s in slopes]) * (1 - self.hidden**2)
        return logits, np.stack([self.first @ s for s in back]).reshape(images.shape)


def linear_classifier(seed=0, shape=SHAPE, classes=CLASSES):
    rng = np.random.default_rng(seed)
    return LinearClassifier(rng.normal(size=(np.prod(shape), classes)), rng.normal(size=classes))


def two_layers(seed=0, shape=SHAPE, classes=CLASSES, hidden=20):
    rng = np.random.default_rng(seed)
    pixels = int(np.prod(shape))
    first = rng.normal(size=(pixels, hidden)) * 2 / np.sqrt(pixels)
    return TwoLayers(first, rng.normal(size=(hidden, classes)), np.zeros(classes))


def images_of(count=12, seed=0, shape=SHAPE):
    """Images, some of whose pixels lie at 0 and 1."""
    return np.random.default_rng(seed).uniform(-0.2, 1.2, (count, *shape)).clip(0, 1)
