"""What changes a step's images: attacks on the student, and noise.

An attack has `needs`, of which only `Need.LIVE_TEACHER` makes sense, and `perturb`. A
projected ascent is its start and its objective; both are functions, so that another attack is
another pair of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from rnascl_keras.attacks.ascent import ascend, check_ascent
from rnascl_keras.attacks.norms import check_epsilon
from rnascl_keras.distribution.replicas import draw_for_images
from rnascl_keras.method import losses
from rnascl_keras.method.need import Need
from rnascl_keras.method.step import Step

Tensor = Any
Noise = keras.random.SeedGenerator
Start = Callable[[Tensor, Noise], Tensor]
"""Images (batch, h, w, c), and a random generator -> where the ascent begins, the same shape."""
Objective = Callable[[Step], Callable[[Tensor], Tensor]]
"""Step -> a function of images (batch, h, w, c) to what is raised for each of them, (batch,)."""


class InnerAttack(Protocol):
    """What a `Distiller` takes as `attack`, or as `shown`."""

    @property
    def needs(self) -> Collection[Need]:
        """What it reads of a step, as of `terms.Term`."""
        ...

    def perturb(self, step: Step) -> Tensor:
        """Return other images in place of `step.images`, (batch, h, w, c), pixels in [0, 1]."""


def uniform_start(reach: float) -> Start:
    """Start at the images plus `reach` times U(-1, 1), in pixel units of [0, 1]."""

    def start(images: Tensor, noise: Noise) -> Tensor:
        change = draw_for_images(
            lambda shape: keras.random.uniform(shape, -1.0, 1.0, seed=noise), images
        )
        return images + reach * tf.cast(change, images.dtype)

    return start


def normal_start(deviation: float) -> Start:
    """Start at the images plus `deviation` times N(0, 1), in pixel units of [0, 1]."""

    def start(images: Tensor, noise: Noise) -> Tensor:
        change = draw_for_images(lambda shape: keras.random.normal(shape, seed=noise), images)
        return images + deviation * tf.cast(change, images.dtype)

    return start


def on_labels(step: Step) -> Callable[[Tensor], Tensor]:
    """Raise the student's cross-entropy on the labels (ARD's attack), by its log-odds."""
    return lambda x: losses.log_odds(step.labels, step.inference(x))


def on_teacher(step: Step) -> Callable[[Tensor], Tensor]:
    """Raise KL(teacher || student), the teacher's on the clean images (RSLAD's attack)."""
    return lambda x: losses.kl_divergence(step.teacher_logits, step.inference(x))


def on_both(step: Step) -> Callable[[Tensor], Tensor]:
    """Raise KL(teacher || student), both on the same image (AdaAD's attack).

    The teacher's answer changes with the image, and the gradient goes through it too.
    """
    return lambda x: losses.kl_divergence(step.ask_teacher(x), step.inference(x))


@dataclass(frozen=True)
class StepPGD:
    """Projected signed ascent on an objective, the student being in inference mode.

    Args:
        objective: what is raised: `on_labels`, `on_teacher`, `on_both`.
        start: where from: `uniform_start(epsilon)`, `normal_start(0.001)`.
        epsilon: radius of the L-infinity ball in pixel units of [0, 1].
        step_size: of a step, in the same units.
        steps: their number.
        needs: of the objective.

    Raises:
        UserError: one of them has no meaning, see `ascent.check_ascent`.
    """

    objective: Objective
    start: Start
    epsilon: float
    step_size: float
    steps: int
    needs: Collection[Need] = ()

    def __post_init__(self) -> None:
        check_ascent(self.epsilon, self.step_size, self.steps)

    def perturb(self, step: Step) -> Tensor:
        """Return images of the ball, (batch, h, w, c), without a gradient."""
        return ascend(
            self.objective(step),
            self.start(step.images, step.noise),
            step.images,
            epsilon=self.epsilon,
            step_size=self.step_size,
            steps=self.steps,
        )


def n_fgsm(objective: Objective, epsilon: float) -> StepPGD:
    """One step of `epsilon` from a uniform start twice as wide (de Jorge et al., 2022).

    The result is not projected into the ball, but may lie up to 3 `epsilon` away: that keeps
    training with a single step from catastrophic overfitting.

    Args:
        objective: as of `StepPGD`.
        epsilon: radius that is trained for, in pixel units of [0, 1].
    """
    check_epsilon(epsilon)
    # The start and the step together reach no farther than this ball; one of radius 1 holds all
    ball = min(1.0, 3 * epsilon)
    return StepPGD(objective, uniform_start(2 * epsilon), ball, step_size=epsilon, steps=1)


@dataclass(frozen=True)
class GaussianNoise:
    """Noise of each image's own, clipped to [0, 1]; as `shown`, the student sees it alone.

    Args:
        deviation: its standard deviation, in pixel units of [0, 1].
    """

    deviation: float
    needs: Collection[Need] = ()

    def perturb(self, step: Step) -> Tensor:
        """Return the images with noise, (batch, h, w, c)."""
        noisy = normal_start(self.deviation)(step.images, step.noise)
        return tf.clip_by_value(noisy, 0, 1)
