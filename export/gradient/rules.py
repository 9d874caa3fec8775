"""Every rule: importing this module registers them."""

from rnascl_keras.export.gradient import (  # noqa: F401
    activations,
    arithmetic,
    control_flow,
    convolution,
    einsum,
    grid_sample,
    indexing,
    linear,
    normalisation,
    pooling,
    quantisation,
    recurrent,
    reductions,
    resizing,
    shapes,
    straight_through,
    trigonometry,
)
