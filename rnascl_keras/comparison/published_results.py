"""Points of the paper's Table 1, beside which our own are drawn: published, not measured here."""

from __future__ import annotations

import math
from dataclasses import dataclass

RADII = (8 / 255, 0.031)
"""Of PGD-20 in all of them; Hydra's is the second, which is as good as the first."""


def is_published_at(epsilon: float) -> bool:
    """Return whether figures at this radius may stand beside the published ones."""
    return any(math.isclose(epsilon, radius, rel_tol=1e-3) for radius in RADII)


@dataclass(frozen=True)
class PublishedResult:
    """One row of Table 1: CIFAR-10, 8/255, accuracies in %, multiply-adds in millions."""

    name: str
    clean: float
    pgd20: float
    macs: float
    adversarial: bool


TABLE_1 = (
    PublishedResult("RNAS-CL-S3", 89.4, 34.3, 6.64, False),
    PublishedResult("RNAS-CL-S5", 90.4, 35.59, 11.02, False),
    PublishedResult("RNAS-CL-S7", 90.62, 37.24, 15.58, False),
    PublishedResult("RNAS-CL-M", 92.46, 39.84, 326, False),
    PublishedResult("RNAS-CL-L", 92.6, 41.9, 1210, False),
    PublishedResult("MobileNetV2-ARD", 76.13, 38.21, 300, False),
    PublishedResult("RNAS-CL-S3 + TRADES", 83.45, 43.07, 6.64, True),
    PublishedResult("RNAS-CL-S5 + TRADES", 84.75, 44.68, 11.02, True),
    PublishedResult("RNAS-CL-S7 + TRADES", 85.81, 43.24, 15.58, True),
    PublishedResult("RNAS-CL-M + TRADES", 87.29, 51.76, 326, True),
    PublishedResult("RNAS-CL-L + TRADES", 86.28, 53.69, 1210, True),
    PublishedResult("Hydra ResNet-18", 69.0, 41.6, 37.63, True),
    PublishedResult("Hydra ResNet-34", 71.8, 44.4, 75.43, True),
    PublishedResult("Hydra ResNet-50", 73.9, 45.3, 85.92, True),
)
