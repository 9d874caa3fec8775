"""Every rule: importing this module registers them."""

from rnascl_keras.export.gradient import (  # noqa: F401
    activations,
    arithmetic,
    convolution,
    linear,
    normalisation,
    pooling,
    quantisation,
    reductions,
    resizing,
    shapes,
)
