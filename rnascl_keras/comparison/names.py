"""The names of the methods that are compared, for those who must not wait for Keras."""

from __future__ import annotations

METHOD_NAMES = (
    "cross_entropy",
    "last_layer",
    "gradient_alignment",
    "kl",
    "reversed_kl",
    "softened",
    "noisy",
    "reversed_kl_aligned",
    "strong_attention",
    "combined",
    "matched",
    "uniform",
    "random",
    "searched",
    "random_widths",
    "largest_widths",
    "searched_trades",
    "trades",
    "ard",
    "rslad",
    "ard_published",
    "rslad_published",
    "rslad_n_fgsm",
    "n_fgsm",
    "adaad",
    "adaad_entropy",
    "igdm",
    "adaad_published",
)
"""The keys of `methods.METHODS`, in its order."""
