"""The choice of a block's width by masks (section 3.3, A.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.config import floatx

from rnascl_keras.method.gumbel import GumbelChoice

Tensor = Any


def prefix_masks(widths: Sequence[int]) -> np.ndarray:
    """Return the masks (choices, largest width): row k is 1 in its first `widths[k]` channels."""
    return (np.arange(max(widths)) < np.asarray(widths)[:, None]).astype("float32")


@keras.saving.register_keras_serializable("rnascl_keras")
class ChannelChoice(GumbelChoice):
    """A block's choice among widths: called once a step, it gives the Gumbel weights g.

    Args:
        widths: the choices of output channels.
        noise, seed: see `GumbelChoice`.

    Call arguments:
        x: any tensor of the network; only the order of computation comes from it.
        training: whether to sample, or to give the one-hot argmax.

    Returns:
        g, float32, shape (choices,).
    """

    def __init__(self, widths: Sequence[int], **kwargs: Any) -> None:
        kwargs.pop("shape", None)
        super().__init__((len(widths),), **kwargs)
        self.widths = tuple(widths)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.sample() if training else self.selected()

    def compute_output_spec(self, x: Tensor, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor(self.shape, dtype=floatx())

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["shape"]
        return {**config, "widths": list(self.widths)}


@keras.saving.register_keras_serializable("rnascl_keras")
class ChannelMask(keras.layers.Layer):
    """Multiply z by the sum of masks weighted by g: (sum_k g_k mask_k) * z.

    One shared convolution of the largest width carries all choices (Fig. 5 of A.5, after FBNetV2);
    there is never one convolution for each.

    Args:
        widths: the choices, in the order of g.
        expansion: every width is multiplied by it: 6 for a block's hidden channels.

    Call arguments:
        inputs: z, (batch, height, width, expansion * largest width), and g, (choices,).
    """

    def __init__(self, widths: Sequence[int], expansion: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.expansion = expansion
        self.masks = prefix_masks([width * expansion for width in self.widths])

    def call(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        z, g = inputs
        mask = ops.matmul(ops.cast(g, floatx()), ops.convert_to_tensor(self.masks, floatx()))
        return z * ops.cast(mask, z.dtype)  # (channels,) over (batch, h, w, channels)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "widths": list(self.widths),
            "expansion": self.expansion,
        }
