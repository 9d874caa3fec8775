"""What it costs to attack a file in a process of its own.

    python -m benchmarks.room [--batch 128] [--repeats 9]

PGD-20 and the logits on the largest student of S3 and on a student of digits, exported to ONNX with
random weights: time in a guarded process over time in this one, turns interleaved. At most 1.05 is
asked for. Waits of a few per cent drown in a busy machine's noise: look at the turns' range.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import compare
from rnascl_keras.attacks import PGD
from rnascl_keras.export import OnnxClassifier, export_student
from rnascl_keras.export.room.guarded import GuardedClassifier
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.spaces import SPACES

SHAPES = {"S3": (32, 32, 3), "digits": (8, 8, 1)}


def file_of(space: str, folder: Path) -> Path:
    """Write the largest student of a space."""
    widths = tuple((max(stage.widths),) * stage.depth for stage in SPACES[space].stages)
    model = Architecture(SPACES[space], widths, input_shape=SHAPES[space]).build()
    images = np.zeros((1, *SHAPES[space]), np.float32)
    return export_student(model, folder, space, images).onnx_path


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=9)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for space, shape in SHAPES.items():
            path = file_of(space, Path(folder))
            guarded, plain = GuardedClassifier(path), OnnxClassifier(path)
            random = np.random.default_rng(0)
            images = random.uniform(0, 1, (settings.batch, *shape)).astype(np.float32)
            labels = plain.logits(images).argmax(axis=1)
            attack = PGD(8 / 255, stop_early=False)
            compare(
                f"{space}: PGD-20, guarded over plain",
                lambda: attack.perturb(guarded, images, labels),  # noqa: B023  called at once
                lambda: attack.perturb(plain, images, labels),  # noqa: B023
                repeats=settings.repeats,
            )
            compare(
                f"{space}: logits, guarded over plain",
                lambda: guarded.logits(images),  # noqa: B023
                lambda: plain.logits(images),  # noqa: B023
                repeats=settings.repeats,
            )


if __name__ == "__main__":
    main()
