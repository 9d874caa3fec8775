"""Clean and robust accuracy of a Keras model, with its uncertainty."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import binomtest
from tqdm import tqdm

from rnascl_keras.attacks import Attack, make_attack
from rnascl_keras.attacks.base import map_batches
from rnascl_keras.errors import UserError
from rnascl_keras.logits import logits_model

LogitsFunction = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        n: number of images.
        epsilon: radius of the L-infinity ball in pixel units of [0, 1].
        seed: of the random starts.
        accuracy: by key, from 0 to 1: "clean", each attack's key, and "worst", the images that are
            classified right when clean and under every attack.
        intervals: by the same keys, the 95 % Wilson interval [low, high]: what drawing other
            images would change, not what a stronger attack would.
    """

    n: int
    epsilon: float
    seed: int
    accuracy: dict[str, float]
    intervals: dict[str, list[float]]

    def as_dict(self) -> dict:
        """Return the evaluation as plain JSON values."""
        return dataclasses.asdict(self)


def evaluate(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    attacks: Sequence[str] = ("fgsm", "pgd", "mi_fgsm"),
    epsilon: float = 8 / 255,
    seed: int = 0,
    batch_size: int = 128,
    progress: bool = True,
) -> tuple[Evaluation, dict[str, np.ndarray]]:
    """Measure the model's accuracy on clean images and under each attack.

    A model whose last layer is a softmax is attacked at the logits before it; with `progress`,
    standard error says so.

    Args:
        model: (batch, h, w, c) in [0, 1] -> (batch, classes), run in inference mode.
        images: (n, h, w, c), pixels in [0, 1].
        labels: (n,) integers.
        attacks: names as `attacks.make_attack` takes them.
        epsilon: radius of the L-infinity ball in pixel units of [0, 1].
        seed: of the random starts, not negative.
        batch_size: images attacked at a time.
        progress: show a bar with the running accuracy for each attack.

    Returns:
        The evaluation, and by attack key the adversarial images, (n, h, w, c) float32.

    Raises:
        UserError: images, labels and model do not fit each other, or an attack is unknown.
    """
    chosen = [make_attack(name, epsilon) for name in attacks]
    images, labels = _checked_data(images, labels, seed)
    model = _checked_model(model, images, progress)
    batch_size = min(batch_size, len(images))
    logits_of = keras_logits(model, batch_size)

    logits = logits_of(images)
    _check_logits(logits, labels)
    right = {"clean": logits.argmax(axis=-1) == labels}
    adversarial = {}
    for attack in chosen:
        adversarial[attack.key], right[attack.key] = _under_attack(
            attack, model, logits_of, images, labels, batch_size, seed, progress
        )
    right["worst"] = np.all(list(right.values()), axis=0)
    evaluation = Evaluation(
        n=len(images),
        epsilon=float(epsilon),
        seed=seed,
        accuracy={key: float(np.mean(value)) for key, value in right.items()},
        intervals={key: wilson_interval(value) for key, value in right.items()},
    )
    return evaluation, adversarial


def keras_logits(model: keras.Model, batch_size: int = 128) -> LogitsFunction:
    """Return a function (n, h, w, c) -> (n, classes) float32 that runs the model in inference mode,
    compiled once, `batch_size` images at a time."""
    function = tf.function(lambda images: tf.cast(model(images, training=False), tf.float32))

    def logits(images: np.ndarray) -> np.ndarray:
        images = np.asarray(images, np.float32)
        spec = tf.TensorSpec((batch_size, *images.shape[1:]), tf.float32)
        compiled = function.get_concrete_function(spec)
        parts = map_batches(lambda batch: compiled(tf.constant(batch)), (images,), batch_size)
        return np.concatenate([part for _, part in parts])

    return logits


def accuracy_of(logits_of: LogitsFunction, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images, (n, h, w, c), whose largest logit is their label's, (n,)."""
    return float(np.mean(logits_of(images).argmax(axis=-1) == labels))


def wilson_interval(right: np.ndarray) -> list[float]:
    """Return [low, high], the 95 % Wilson score interval of the share of True in `right`, (n,)."""
    interval = binomtest(int(np.sum(right)), len(right)).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def _under_attack(
    attack: Attack,
    model: keras.Model,
    logits_of: LogitsFunction,
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    seed: int,
    progress: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the adversarial images, (n, h, w, c), and which stay classified right, (n,)."""
    right = np.zeros(len(images), bool)
    with tqdm(total=len(images), desc=attack.key, unit="image", disable=not progress) as bar:

        def judge(first: int, batch: np.ndarray) -> None:
            done = first + len(batch)
            right[first:done] = logits_of(batch).argmax(axis=-1) == labels[first:done]
            bar.set_postfix(accuracy=f"{right[:done].mean():.3f}", refresh=False)
            bar.update(len(batch))

        adversarial = attack.perturb(
            model, images, labels, batch_size=batch_size, seed=seed, progress=judge
        )
    return adversarial, right


def _checked_data(
    images: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return images as float32 and labels as an array, or raise UserError."""
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    if images.ndim != 4 or len(images) == 0:
        raise UserError(
            f"images have shape {images.shape}; expected (n, h, w, c) with n at least 1."
        )
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"labels are {labels.dtype} of shape {labels.shape}; expected one integer for each of "
            f"the {len(images)} images."
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= 0.0 and high <= 1.0):
        raise UserError(
            f"pixels range from {low:g} to {high:g}; expected [0, 1]. Divide uint8 images by 255, "
            "and leave normalisation to the model."
        )
    if seed < 0:
        raise UserError(f"seed is {seed}; expected an integer of at least 0.")
    return images, labels


def _checked_model(model: keras.Model, images: np.ndarray, progress: bool) -> keras.Model:
    """Return the model that gives logits; UserError where it does not take the images or does not
    give (batch, classes)."""
    expected = getattr(model, "input_shape", None)
    fits = expected is None or (
        len(expected) == 4
        and all(e in (None, got) for e, got in zip(expected[1:], images.shape[1:], strict=True))
    )
    if not fits:
        raise UserError(
            f"the model takes images of shape {expected}, the data's are {images.shape[1:]}; "
            "give data of the model's size."
        )
    logits = logits_model(model)
    if logits is not model and progress:
        print("The model ends in a softmax: the logits before it are attacked.", file=sys.stderr)
    output = logits(images[:1], training=False)
    shape = tuple(getattr(output, "shape", ()))
    if len(shape) != 2 or shape[1] < 2:
        raise UserError(
            f"the model's output for one image has shape {shape}; expected (1, classes): only "
            "classifiers can be evaluated."
        )
    return logits


def _check_logits(logits: np.ndarray, labels: np.ndarray) -> None:
    """Raise UserError where logits, (n, classes), cannot be attacked against `labels`, (n,)."""
    classes = logits.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(
            f"labels range from {labels.min()} to {labels.max()}; the model has {classes} outputs, "
            f"so 0 to {classes - 1} is expected."
        )
    if not np.all(np.isfinite(logits)):
        raise UserError("the model gives infinite or undefined (NaN) logits on the clean images.")
    if logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1.0, atol=1e-3):
        raise UserError(
            "the model gives probabilities, and its softmax is not its last layer; give the model "
            "without the softmax, else its gradients vanish and it looks robust."
        )
