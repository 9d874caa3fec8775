"""What a command's MODEL stands for: a file, a student by name, a recipe; and what it cannot be."""

from __future__ import annotations

from pathlib import Path

from rnascl_keras.errors import UserError, check_name
from rnascl_keras.models.bounds import from_h5
from rnascl_keras.models.hub import is_on_hub, model_file
from rnascl_keras.recipe import recipe_names
from rnascl_keras.students import student_file, student_names

DEPLOYED = (".onnx", ".tflite")
OLDER_KERAS = (".h5", ".hdf5")
FOREIGN = (".pt", ".pth", ".ckpt", ".safetensors", ".npz", ".pb", ".py", *OLDER_KERAS)
"""Endings of files that hold weights or code: no attack finds a graph in them."""


def is_model(named: str, command: str = "evaluate") -> bool:
    """Return whether a command that takes a recipe or a Keras model is given a model.

    Raises:
        UserError: it is neither.
    """
    suffix = Path(named).suffix.lower()
    if suffix in DEPLOYED:
        instead = f"type `rnascl attack {named}`" if command == "evaluate" else f"got {named}"
        raise UserError(f"{command} takes a RECIPE or a MODEL.keras; {instead}.")
    if named.endswith(".keras") or named in student_names():
        return True
    if suffix in OLDER_KERAS:
        raise UserError(
            f"{command} takes a .keras file; got {named}. Make one of it in Python: "
            f"{from_h5(named)}."
        )
    if suffix == ".keras":
        raise UserError(f"a Keras file's name ends in .keras; got {named}: rename it.")
    known = [*recipe_names(), *student_names()]
    if named not in known and suffix != ".py":
        expected = (
            "a .keras or .py file, a recipe of `rnascl list recipes`, or a student of the package: "
            f"{', '.join(student_names())}"
        )
        _check_no_folder(named, expected)
        check_name("recipe or model", named, known, expected)
    return False


def check_attacked(named: str) -> None:
    """Raise UserError where `attack` cannot take what is named; a file is not looked at."""
    suffix = Path(named).suffix.lower()
    if suffix == ".keras":
        raise UserError(
            f"attack takes a MODEL.onnx or MODEL.tflite; type `rnascl evaluate {named}`."
        )
    if suffix in FOREIGN:
        raise UserError(
            f"attack takes an .onnx or .tflite file, and evaluate a .keras file; got {named}. "
            "Export the model first."
        )
    if named in student_names() or is_on_hub(named) or Path(named).is_file():
        return
    students = student_names()
    expected = f"an .onnx or .tflite file, or a student of the package: {', '.join(students)}"
    _check_no_folder(named, expected)
    if not suffix:
        check_name("model", named, students, expected)


def file_of(named: str, form: str) -> Path:
    """Return the file of that form of a student that comes with the package, where it is one's
    name, else that of the path, or of the hub."""
    return student_file(named, form) if named in student_names() else model_file(named)


def _check_no_folder(named: str, expected: str) -> None:
    if Path(named).is_dir():
        raise UserError(f"{named} is a folder; expected {expected}.")
