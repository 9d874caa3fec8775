"""How large and how fast students are once deployed, next to a teacher and to MobileNetV2.

Command: python -m benchmarks.deployed_sizes [STUDENT.keras ...] [--teacher TEACHER.keras]
Bytes and median latency in onnxruntime, one image at a time, float and int8, on one thread and on
all. By default the smallest and the largest student of space S3, the CIFAR-10 teacher that comes
with the package, and the structure of keras.applications' MobileNetV2 for the same images and
classes. Latencies do not depend on the weights, which are random but for the teacher's and those
given; sizes little: equal arrays of a new network, such as its offsets, are stored once. Everything
is written to a temporary folder. Nothing else should run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.table import Table

from rnascl_keras import Architecture
from rnascl_keras.console import PlainConsole
from rnascl_keras.export import measure_latency, quantise
from rnascl_keras.export.convert import write_onnx
from rnascl_keras.method.spaces import get_space
from rnascl_keras.models.saving import load_model
from rnascl_keras.teachers.included import teacher_file
from rnascl_keras.units import milliseconds, size

IMAGE_SHAPE, CLASSES = (32, 32, 3), 10
CALIBRATION = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("students", nargs="*", type=Path)
    parser.add_argument("--teacher", type=Path, default=teacher_file("cifar10_small"))
    settings = parser.parse_args()
    measured = {}
    for name, model in models(settings.students, settings.teacher).items():
        measured |= measure(name, model)
    show(measured)


def models(students: list[Path], teacher: Path) -> dict[str, keras.Model]:
    """Return what is compared, the teacher first."""
    space = get_space("S3")
    ends = {"S3, smallest": min, "S3, largest": max}
    ours = {path.stem: load_model(path) for path in students} or {
        name: Architecture(space, tuple(map(tuple, space.widths_everywhere(end)))).build()
        for name, end in ends.items()
    }
    mobile = keras.applications.MobileNetV2(
        input_shape=IMAGE_SHAPE,
        classes=CLASSES,
        # Keras leaves both without a type, and their defaults are texts
        weights=None,  # pyright: ignore[reportArgumentType]
        classifier_activation=None,  # pyright: ignore[reportArgumentType]
    )
    return {"teacher": load_model(teacher), "MobileNetV2": mobile, **ours}


def measure(name: str, model: keras.Model) -> dict[str, dict[str, float]]:
    """Return bytes and latency of a model's float and int8 file, by name of the file."""
    random = np.random.default_rng(0)
    images = random.random((CALIBRATION, *model.input_shape[1:]), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        paths = {f"{name}, {form}": Path(folder) / f"{form}.onnx" for form in ("float", "int8")}
        exact, int8 = paths.values()
        write_onnx(model, exact)
        # of random weights the classes mean nothing
        quantise(exact, int8, images, least_agreement=0.0)
        return {
            key: {"bytes": path.stat().st_size, **measure_latency(path)}
            for key, path in paths.items()
        }


def show(measured: dict[str, dict[str, float]]) -> None:
    """Print a table, each figure with how many times the float teacher's it goes into."""
    table = Table("", title="Deployed in onnxruntime; in brackets: the float teacher's over this")
    for column in ("size", "ms, one thread", "ms, all threads"):
        table.add_column(column, justify="right")
    first = next(iter(measured.values()))
    for name, figures in measured.items():
        words = dict.fromkeys(figures, milliseconds) | {"bytes": size}
        cells = [f"{words[key](n)} ({first[key] / n:.1f})" for key, n in figures.items()]
        table.add_row(name, *cells)
    PlainConsole(width=100).print(table)


if __name__ == "__main__":
    main()
