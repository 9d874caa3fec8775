"""SGD with the learning-rate schedules of A.1."""

from __future__ import annotations

from typing import Any

import keras

from rnascl_keras.settings import Training


def learning_rate(
    settings: Training, steps_per_epoch: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the schedule of a training.

    `step` divides by 10 after 75 % and 90 % of the epochs (A.1, CIFAR-10), or after each of
    `decay_epochs`, and never where there are none; `cosine` falls to 0 (A.1, ImageNet-100);
    `one_cycle` rises linearly in the first 40 % and falls to 0 by cosine, which suits fast
    adversarial training.
    """
    steps = settings.epochs * steps_per_epoch
    peak = settings.learning_rate
    if settings.schedule == "step":
        usual = (round(0.75 * settings.epochs), round(0.9 * settings.epochs))
        epochs = usual if settings.decay_epochs is None else settings.decay_epochs
        bounds = [epoch * steps_per_epoch for epoch in epochs] or [steps]  # Keras wants one
        rates = [peak / 10**k for k in range(len(epochs) + 1)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            bounds, rates if epochs else [peak, peak]
        )
    rise = round(0.4 * steps) if settings.schedule == "one_cycle" else 0
    if not rise:
        return keras.optimizers.schedules.CosineDecay(peak, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - rise, warmup_target=peak, warmup_steps=rise
    )


def sgd(settings: Training, steps_per_epoch: int) -> keras.optimizers.SGD:
    """Return SGD as in A.1; weight decay is not its business, see `losses.l2_penalty`."""
    rate: Any = learning_rate(settings, steps_per_epoch)  # SGD's type knows numbers only
    return keras.optimizers.SGD(
        rate, momentum=settings.momentum, global_clipnorm=settings.clip_norm
    )
