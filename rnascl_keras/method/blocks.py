"""The inverted residual: one definition for the supernet and the student.

1x1 expansion, 3x3 depthwise, 1x1 projection, each with batch normalisation, ReLU or the space's
own activation after the first two (Sandler et al., 2018). The supernet passes masks; the student,
whose layers have just the chosen widths, passes none.

A mask follows *every* convolution's own batch normalisation and activation. Once, after the
expansion, would not do: the depthwise convolution's batch normalisation turns a masked channel's
zeros into its offset, which the projection and the attention map would then see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers, ops
from keras.config import floatx

from rnascl_keras.method.spaces import EXPANSION, SearchSpace

Tensor = Any
Mask = Callable[[Tensor], Tensor]


def block_names(depths: tuple[int, ...]) -> list[list[str]]:
    """Return the names of blocks, a list for each stage: `stage1_block1`, ..."""
    return [
        [f"stage{s}_block{b}" for b in range(1, depth + 1)] for s, depth in enumerate(depths, 1)
    ]


def convolution(
    x: Tensor,
    name: str,
    filters: int | None,
    *,
    kernel_size: int = 1,
    stride: int = 1,
    activation: str | None = "relu",
    mask: Mask | None = None,
) -> Tensor:
    """Convolution, its batch normalisation, its activation, its mask.

    Args:
        x: (batch, height, width, channels).
        name: of the convolution; `_bn`, `_relu` (or another activation) are appended for what
            follows it.
        filters: output channels, or None for a depthwise convolution.
        kernel_size: side of the kernel.
        stride: in both directions.
        activation: that follows, or None.
        mask: applied last, or None.
    """
    shared = {"strides": stride, "padding": "same", "use_bias": False, "name": name}
    if filters is None:
        x = layers.DepthwiseConv2D(kernel_size, **shared)(x)
    else:
        x = layers.Conv2D(filters, kernel_size, **shared)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    if activation == "relu":
        x = layers.ReLU(name=f"{name}_relu")(x)
    elif activation:
        x = layers.Activation(activation, name=f"{name}_{activation}")(x)
    return mask(x) if mask else x


def squeeze_excite(
    x: Tensor, name: str, squeezed: int, activation: str, mask: Mask | None = None
) -> Tensor:
    """Scale each channel by what all of them say together (Hu et al., 2018).

    Args:
        x: (batch, height, width, channels); masked channels are 0 and stay so.
        name: of the block.
        squeezed: channels between the two dense layers.
        activation: between them; after the second there is a sigmoid.
        mask: of the squeezed channels, or None.
    """
    channels = x.shape[-1]
    y = layers.GlobalAveragePooling2D(name=f"{name}_squeeze_pool")(x)
    y = layers.Dense(squeezed, activation=activation, name=f"{name}_squeeze")(y)
    y = mask(y) if mask else y
    y = layers.Dense(channels, activation="sigmoid", name=f"{name}_excite")(y)
    y = layers.Reshape((1, 1, channels), name=f"{name}_excite_shape")(y)
    return layers.Multiply(name=f"{name}_excited")([x, y])


def fit_channels(x: Tensor, channels: int) -> Tensor:
    """Zero-pad or cut the channels of x to `channels`."""
    surplus = channels - x.shape[-1]
    if surplus > 0:
        return ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, surplus]])
    return x[..., :channels] if surplus < 0 else x


def inverted_residual(
    x: Tensor,
    name: str,
    width: int,
    *,
    stride: int,
    residual: bool,
    activation: str = "relu",
    squeezed: int = 0,
    hidden_mask: Callable[[str], Mask] | None = None,
    squeezed_mask: Callable[[str], Mask] | None = None,
    output_mask: Callable[[str], Mask] | None = None,
) -> Tensor:
    """One block: out = mask(projection + input) where `residual`, else mask(projection).

    Args:
        x: (batch, height, width, channels).
        name: of the block.
        width: output channels.
        stride: of the depthwise convolution.
        residual: whether the input is added. Its channels are padded or cut to `width`.
        activation: after the first two convolutions.
        squeezed: channels of the squeeze-and-excitation before the projection; 0: none.
        hidden_mask: gives, for the name of a convolution, its mask of 6 x input channels.
        squeezed_mask, output_mask: likewise, of `squeezed` and of `width` channels.
    """
    hidden = x.shape[-1] * EXPANSION

    def mask_of(masks: Callable[[str], Mask] | None, convolution_name: str) -> Mask | None:
        return masks(convolution_name) if masks else None

    expand, depthwise, project = (f"{name}_{part}" for part in ("expand", "depthwise", "project"))
    shared: dict[str, Any] = {"activation": activation}
    y = convolution(x, expand, hidden, mask=mask_of(hidden_mask, expand), **shared)
    shared |= {"kernel_size": 3, "stride": stride}
    y = convolution(y, depthwise, None, mask=mask_of(hidden_mask, depthwise), **shared)
    if squeezed:
        mask = mask_of(squeezed_mask, f"{name}_squeeze")
        y = squeeze_excite(y, name, squeezed, activation, mask)
    y = convolution(y, project, width, activation=None, mask=mask_of(output_mask, project))
    if not residual:
        return y
    x = fit_channels(x, width)
    if output_mask:
        x = output_mask(f"{name}_input")(x)
    return layers.Add(name=f"{name}_add")([x, y])


def classifier(
    images: Tensor,
    body: Callable[[Tensor], Tensor],
    space: SearchSpace,
    classes: int,
) -> Tensor:
    """Stem, `body`, head convolution where the space has one, pooling, dense layer: logits.

    The dense layer computes in float32 also under mixed precision.
    """
    sizes: dict[str, Any] = {"kernel_size": 3, "stride": space.stem_stride}
    x = convolution(images, "stem", space.stem_width, activation=space.activation, **sizes)
    x = body(x)
    if space.head_width:
        x = convolution(x, "head", space.head_width, activation=space.activation)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(classes, name="logits", dtype=floatx())(x)
