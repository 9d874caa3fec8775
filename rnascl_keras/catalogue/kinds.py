"""What can be chosen by name, by kind: each name with a line of explanation."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnascl_keras.catalogue.words import first_sentence
from rnascl_keras.errors import look_up
from rnascl_keras.method.spaces import SPACES, SearchSpace
from rnascl_keras.recipe import recipe_folder, recipe_names

if TYPE_CHECKING:
    from rnascl_keras.teachers.networks.resnet import ResNetRow

Entries = dict[str, str]
"""By name, what it is, in one line."""


@dataclass(frozen=True)
class Kind:
    """Things of one kind.

    Attributes:
        title: what they are, and how one is chosen.
        entries: gives them.
        waits: whether TensorFlow is needed for that, which takes seconds to start.
    """

    title: str
    entries: Callable[[], Entries]
    waits: bool = False


def kind_of(name: str) -> Kind:
    """Return the kind called `name`.

    Raises:
        UserError: there is none.
    """
    return look_up("kind", name, KINDS)


def of_docstrings(things: Mapping[str, Any]) -> Entries:
    """Return what the docstrings of classes and functions say; of a second name, the first."""
    first: dict[int, str] = {}
    told = {}
    for name, thing in things.items():
        before = first.setdefault(id(thing), name)
        told[name] = first_sentence(thing.__doc__) if before == name else f"as {before}"
    return told


def _recipes() -> Entries:
    files = {name: recipe_folder() / f"{name}.py" for name in recipe_names()}
    return {
        n: first_sentence(ast.get_docstring(ast.parse(f.read_text()))) for n, f in files.items()
    }


def _spaces() -> Entries:
    return {name: _space_words(space) for name, space in SPACES.items()}


def _space_words(space: SearchSpace) -> str:
    widths = [width for stage in space.stages for width in stage.widths]
    students = 1
    for stage in space.stages:
        students *= len(stage.widths) ** stage.depth
    return (
        f"{sum(space.depths)} blocks in {len(space.stages)} stages, {min(widths)} to "
        f"{max(widths)} channels, {students:,} students; stem of stride {space.stem_stride}"
    )


def _teachers() -> Entries:
    from rnascl_keras.models.included import card_title
    from rnascl_keras.teachers.included import included_teachers
    from rnascl_keras.teachers.networks.architectures import OTHERS, RESNETS, SCALED
    from rnascl_keras.teachers.networks.cell_rows import CELL_NETWORKS

    given = {name: f"weights: {card_title('teachers', name)}" for name in included_teachers()}
    rows = {name: f"architecture: {_resnet_words(row)}" for name, row in RESNETS.items()}
    others = of_docstrings(OTHERS | SCALED)
    others |= dict.fromkeys(CELL_NETWORKS, "a network of cells; see `rnascl rivals`")
    return given | rows | {name: f"architecture: {told}" for name, told in others.items()}


def _resnet_words(row: ResNetRow) -> str:
    kind = "pre-activation residual" if row.preactivation else "residual"
    images = "ImageNet's stem" if row.imagenet else "for small images"
    return (
        f"{kind} network of {sum(row.blocks)} blocks, {row.widths[0]} to {row.widths[-1]} "
        f"channels, {images}"
    )


def _students() -> Entries:
    from rnascl_keras.models.included import card_title
    from rnascl_keras.students import student_names

    return {name: card_title("students", name) for name in student_names()}


def _attacks() -> Entries:
    from rnascl_keras.attacks import ATTACKS

    return of_docstrings(ATTACKS)


def _datasets() -> Entries:
    from rnascl_keras.data import digits, folder, npz, prepared

    readers = {"digits": digits, "FOLDER": folder, "FILE.npz": npz, "NAME": prepared}
    place = os.environ.get("TFDS_DATA_DIR")
    there = prepared.prepared_names(Path(place)) if place else []
    return of_docstrings(readers) | dict.fromkeys(there, f"prepared in {place}")


def _methods() -> Entries:
    from rnascl_keras.comparison.methods import METHODS

    goes_on = "; on adversarial images, from the searched student on"
    return {name: row.name + goes_on * row.adversarial for name, row in METHODS.items()}


KINDS = {
    "recipes": Kind("settings of whole runs; rnascl run NAME", _recipes),
    "spaces": Kind("what is searched; space=", _spaces),
    "teachers": Kind(
        "to learn from; teacher.weights=, teacher.architecture=", _teachers, waits=True
    ),
    "students": Kind("trained, loaded by name; evaluate NAME, train.start=", _students),
    "attacks": Kind("to measure by; --attacks, evaluation.attacks=", _attacks),
    "datasets": Kind("where images come from; --data, data.source=", _datasets),
    "methods": Kind(
        "ways to train a student; rnascl compare RECIPE --methods", _methods, waits=True
    ),
}
