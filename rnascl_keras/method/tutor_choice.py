"""The choice of a tutor, a teacher layer, for every student layer (section 3.2)."""

from __future__ import annotations

from typing import Any

import keras

from rnascl_keras.method.gumbel import GumbelChoice

Tensor = Any


@keras.saving.register_keras_serializable("rnascl_keras")
class TutorChoice(GumbelChoice):
    """Gumbel weights g_ij of student layer i and teacher layer j, the weights of eq. 1.

    Args:
        n_s: number of the student's layers.
        n_t: number of the teacher's layers.
        noise, seed: see `GumbelChoice`.

    Call arguments:
        training: whether to sample, or to give each layer its most probable tutor.

    Returns:
        g, float32, shape (n_s, n_t); rows sum to one.
    """

    def __init__(self, n_s: int, n_t: int, **kwargs: Any) -> None:
        kwargs.pop("shape", None)
        super().__init__((n_s, n_t), **kwargs)
        self.built = True  # it has no input to be built from

    def call(self, training: bool = False) -> Tensor:
        return self.sample() if training else self.selected()

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        n_s, n_t = config.pop("shape")
        return {**config, "n_s": n_s, "n_t": n_t}
