"""Common corruptions: the fifteen of Hendrycks and Dietterich (2019), at five severities.

Of bytes, by NumPy, SciPy and Pillow alone: `corrupt(images, "fog", 3)`.
"""

from __future__ import annotations

from rnascl_keras.corruptions.corrupt import (
    CORRUPTIONS,
    SEVERITIES,
    check_images,
    corrupt,
    corruptions_named,
)

__all__ = ["CORRUPTIONS", "SEVERITIES", "check_images", "corrupt", "corruptions_named"]
