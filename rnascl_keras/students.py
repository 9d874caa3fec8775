"""Robust students that come with the package, loaded by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnascl_keras.errors import check_name
from rnascl_keras.models.included import included

if TYPE_CHECKING:
    import keras

FORMS = (".keras", ".onnx", "_int8.onnx", ".md")
"""What there is of each student: for Keras, for onnxruntime, with 8-bit weights, its card."""


def student_names() -> list[str]:
    """Return the names of the students that come with the package."""
    return list(included("students"))


def load_student(name: str) -> keras.Model:
    """Return a student: stock Keras layers, pixels in [0, 1] -> logits.

    What it was trained on, what it withstands and what not stands in its card,
    `student_file(name, ".md")`.

    Args:
        name: one of `student_names()`, e.g. "cifar10_s3".

    Raises:
        UserError: no student has that name.

    Example::

        from rnascl_keras import evaluate
        from rnascl_keras.data import load_data
        from rnascl_keras.students import load_student

        images, labels = load_data("cifar10").test.first(1000)
        figures, _ = evaluate(load_student("cifar10_s3"), images, labels, epsilon=8 / 255)
    """
    from rnascl_keras.models.saving import load_model

    return load_model(student_file(name))


def student_file(name: str, form: str = ".keras") -> Path:
    """Return one of a student's files.

    Args:
        name: one of `student_names()`.
        form: one of `FORMS`.

    Raises:
        UserError: there is no such student, or not in that form.
    """
    check_name("student", name, student_names())
    check_name("form of a student", form, FORMS)
    return included("students")[name].with_name(f"{name}{form}")
