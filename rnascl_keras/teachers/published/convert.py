"""`rnascl convert-teacher`: a published checkpoint becomes a `.keras` file."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from rnascl_keras.errors import UserError
from rnascl_keras.files.full_disk import reporting_full_disk
from rnascl_keras.files.whole import check_writable
from rnascl_keras.method.taps import tap
from rnascl_keras.models.saving import save_model
from rnascl_keras.models.size import model_parameters
from rnascl_keras.teachers.published.loading import Published, load_published


def convert_teacher(
    checkpoint: Path,
    architecture: str,
    out: Path,
    *,
    classes: int | None = None,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Convert a checkpoint, write `out`, and say what it is; arguments as for `load_published`."""
    if out.suffix != ".keras":
        raise UserError(f"--out {out} has to end in .keras.")
    check_writable(out, [checkpoint])
    teacher = load_published(
        checkpoint, architecture, classes=classes, image_size=image_size, mean=mean, std=std
    )
    taps = len(tap(teacher.model).names)
    with reporting_full_disk(out.parent, out.name, then="it begins anew"):
        save_model(teacher.model, out)
    for line in _description(teacher, taps, architecture, out):
        say(line)


def _description(teacher: Published, taps: int, architecture: str, out: Path) -> list[str]:
    model, file = teacher.model, shlex.quote(str(out))
    parameters = model_parameters(model)
    height, width, channels = model.input_shape[1:]
    classes = model.output_shape[1]
    normalisation = "none"
    if teacher.mean is not None and teacher.std is not None:
        mean, std = (", ".join(f"{x:.4g}" for x in xs) for xs in (teacher.mean, teacher.std))
        normalisation = f"mean {mean}, std {std}"
    data = "cifar10" if (height, classes) == (32, 10) else "DATA"
    return [
        f"{architecture}: {parameters:,} parameters, {height} x {width} x {channels} images, "
        f"{classes} classes, names of {teacher.owner}",
        f"normalisation: {normalisation} ({teacher.origin})",
        f"taps: {taps} convolutions",
        f"written: {out}",
        f"next: rnascl evaluate {file} --data {data} --n 1000",
        f"  or: rnascl run RECIPE --set teacher.weights={file}",
    ]
