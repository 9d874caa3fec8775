"""Gumbel-softmax, its noise and its temperature (section 3.2)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops
from keras.config import floatx

from rnascl_keras.errors import check_name

Tensor = Any

START_TEMPERATURE = 5.0
DECAY_RATE = 0.045
DECAY_EPOCHS = 100
NOISES = ("gumbel", "normal")
FIRST_SEED = 99
SEEDS_OF_A_RUN = 2000


def gumbel_softmax(logits: Tensor, noise: Tensor, gumbel_temperature: Tensor) -> Tensor:
    """Return g(v) = softmax((v + epsilon) / tau) along the last axis.

    Args:
        logits: v, the Gumbel parameters, shape (..., choices).
        noise: epsilon, the same shape.
        gumbel_temperature: tau, a positive scalar; towards 0 the result becomes one-hot.
    """
    return _softmax((logits + noise) / gumbel_temperature)


def _softmax(logits: Tensor) -> Tensor:
    """Return the softmax along the last axis: 1, and no gradient, where there is one choice, of
    which Keras warns."""
    return 1.0 + 0.0 * logits if logits.shape[-1] == 1 else ops.softmax(logits, axis=-1)


def decayed_temperature(
    epoch: int, epochs: int, start: float = START_TEMPERATURE, rate: float = DECAY_RATE
) -> float:
    """Return tau in `epoch` (from 0) of a search of `epochs` epochs.

    A.1: 5.0, times exp(-0.045) after each of 100 epochs, 0.0555 after the last. A shorter search
    scales the rate, so that it ends there too.

    Args:
        epoch, epochs: see above.
        start: tau at the start.
        rate: of decay in a search of 100 epochs.
    """
    return start * math.exp(-rate * DECAY_EPOCHS * epoch / epochs)


def tutor_seed(run_seed: int) -> int:
    """Return the seed of a run's tutor choice; its blocks' choices have those that follow it.

    A run keeps `SEEDS_OF_A_RUN` seeds to itself, so that no choice of another run draws the same
    noise: were run 1's seeds one further on than run 0's, it would draw run 0's noise, each choice
    its neighbour's, and two runs would not be independent. Keras hands a seed to TensorFlow modulo
    2^31 - 2, up to which this stays distinct for a million runs, and 2,000 choices are more than
    any space has.

    Args:
        run_seed: of the recipe, from 0.
    """
    return FIRST_SEED + SEEDS_OF_A_RUN * run_seed


class GumbelChoice(keras.layers.Layer):
    """A distribution over choices, or one for each row, sampled by Gumbel-softmax.

    In training mode a call draws one sample; in inference it gives the one-hot argmax of the
    parameters, without noise: what would be selected now (section 3.4).

    Args:
        shape: (choices,), or (rows, choices) for independent rows.
        noise: `"gumbel"` is Gumbel(0, 1), as in all published code; `"normal"` is N(0, 1), as the
            paper has it literally.
        seed: of the noise.

    Attributes:
        logits: the Gumbel parameters v, trainable, zeros at the start.
        gumbel_temperature: tau, a non-trainable variable, so a compiled step sees it change.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        noise: str = "gumbel",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_name("noise", noise, NOISES)
        self.shape = tuple(shape)
        self.noise = noise
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # In float32 whatever the precision policy: gradients here are of size 1e-6.
        self.logits = self.add_weight(
            shape=self.shape, initializer="zeros", dtype=floatx(), autocast=False, name="logits"
        )
        self.gumbel_temperature = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(START_TEMPERATURE),
            dtype=floatx(),
            autocast=False,
            trainable=False,
            name="gumbel_temperature",
        )

    def sample(self) -> Tensor:
        """Return one sample of the Gumbel weights g; rows sum to one."""
        return gumbel_softmax(self.logits, self._draw_noise(), self.gumbel_temperature)

    def selected(self) -> Tensor:
        """Return the one-hot argmax of the parameters."""
        return ops.one_hot(ops.argmax(self.logits, axis=-1), self.shape[-1], dtype=floatx())

    def probabilities(self) -> Tensor:
        """Return softmax(v): how probable each choice is to be the largest under Gumbel noise."""
        return _softmax(self.logits)

    def _draw_noise(self) -> Tensor:
        if self.noise == "normal":
            return keras.random.normal(self.shape, dtype=floatx(), seed=self.seed_generator)
        # -log(-log(u)), with u away from 0 and 1 where a logarithm would be infinite
        u = keras.random.uniform(
            self.shape, 1e-7, 1 - 1e-7, dtype=floatx(), seed=self.seed_generator
        )
        log_u: Tensor = ops.log(u)
        log_exponential: Tensor = ops.log(-log_u)
        return -log_exponential

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "shape": list(self.shape),
            "noise": self.noise,
            "seed": self.seed,
        }
