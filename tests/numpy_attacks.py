"""Attacks with fixed steps written anew in NumPy, on the classifiers of `classifiers`."""

import numpy as np
from classifiers import CLASSES


def gradient(model, x, labels, margin=False):
    """Of the cross-entropy, or of the margin, by the pixels: slopes by the logits, times W^T."""
    logits = x.reshape(len(x), -1) @ model.weight + model.bias
    one_hot = np.eye(CLASSES)[labels]
    if margin:
        slopes = np.eye(CLASSES)[np.where(one_hot, -np.inf, logits).argmax(1)] - one_hot
    else:
        odds = np.exp(logits - logits.max(1, keepdims=True))
        slopes = odds / odds.sum(1, keepdims=True) - one_hot
    return (slopes @ model.weight.T).reshape(x.shape)


def clip(x, images, epsilon):
    return np.clip(np.clip(x, images - epsilon, images + epsilon), 0, 1)


def start_of(images, epsilon, seed=0):
    """The documented random start: U(-1, 1) of a generator of (seed, index, run)."""
    noise = [
        np.random.default_rng((seed, i, 0)).uniform(-1, 1, x.shape) for i, x in enumerate(images)
    ]
    return clip(images + epsilon * np.stack(noise), images, epsilon)


def numpy_fgsm(model, images, labels, epsilon):
    return clip(images + epsilon * np.sign(gradient(model, images, labels)), images, epsilon)


def numpy_pgd(model, images, labels, epsilon, margin=False):
    x = start_of(images, epsilon)
    for _ in range(20):
        x = clip(x + epsilon / 4 * np.sign(gradient(model, x, labels, margin)), images, epsilon)
    return x


def numpy_cw(model, images, labels, epsilon):
    return numpy_pgd(model, images, labels, epsilon, margin=True)


def numpy_mi_fgsm(model, images, labels, epsilon):
    x, momentum = images, 0.0
    for _ in range(10):
        g = gradient(model, x, labels)
        momentum = momentum + np.stack([one / np.abs(one).sum() for one in g])
        x = clip(x + epsilon / 10 * np.sign(momentum), images, epsilon)
    return x


REFERENCES = {
    "fgsm": numpy_fgsm,
    "pgd": numpy_pgd,
    "mi_fgsm": numpy_mi_fgsm,
    "cw": numpy_cw,
}
