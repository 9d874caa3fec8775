"""Recipe: the typed settings of a run, checked before anything starts."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from rnascl_keras.attacks import make_attack
from rnascl_keras.errors import UserError, nearest
from rnascl_keras.spaces import SearchSpace, get_space


def _fraction(value: Any) -> Any:
    """Let `"8/255"` stand for a number; what is none is left for pydantic to refuse."""
    try:
        return float(Fraction(value)) if isinstance(value, str) and "/" in value else value
    except (ZeroDivisionError, OverflowError):
        return value


Radius = Annotated[float, BeforeValidator(_fraction), Field(gt=0, le=1)]
Positive = Annotated[float, BeforeValidator(_fraction), Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Settings with a fixed set of typed keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )


class Data(Settings):
    """Which images, and how they are varied.

    `source` is `digits`, a tensorflow-datasets name, a folder per class, or an `.npz`.
    """

    source: str = "cifar10"
    image_size: int | None = None
    augmentation: str = "none"
    validation: Annotated[int, Field(ge=0)] = 0
    class_list: str | None = None
    limit_train: int | None = None


class Training(Settings):
    """SGD and the schedule of its rate, see `schedules.learning_rate`."""

    epochs: Count = 100
    batch_size: Annotated[int, Field(ge=2)] = 128
    learning_rate: Positive = 0.1
    schedule: Literal["step", "cosine", "one_cycle"] = "step"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 2e-4


class Teacher(Training):
    """A teacher trained adversarially by `method`, or one read from `weights` (.keras or .npz).

    `mean` and `std` normalise pixels of [0, 1]; None means the usual ones of ImageNet for colour.
    `expected` says in words which weights a recipe without `architecture` wants.
    """

    architecture: str | None = None
    width: int | None = None
    weights: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    method: Literal["pgd", "fast"] = "fast"
    epsilon: Radius = 8 / 255
    steps: Count = 7
    step_size: Positive | None = None
    expected: str = ""


class Distillation(Training):
    """What the search and the training phase share: the teacher's terms of eq. 2 and 3."""

    kl: Literal["student_teacher", "teacher_student"] = "student_teacher"
    softening: Positive = 1.0
    map_size: tuple[int, int] | None = None


class Search(Distillation):
    """Eq. 2, its split batches, and the Gumbel variables' Adam."""

    gamma_s: float = 1.0
    alpha: float = 0.2
    beta: float = 0.6
    combine: Literal["multiply", "add"] = "multiply"
    taps: Literal["conv", "block"] = "conv"
    noise: Literal["gumbel", "normal"] = "gumbel"
    architecture_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    architecture_learning_rate: Positive = 0.01


class Derive(Settings):
    """`max_macs`: budget of multiply-adds; the most probable architecture within it is selected."""

    max_macs: Positive | None = None


class Tutored(Distillation):
    """Training with the chosen tutors, by eq. 3."""

    gamma_t: float = 1.0


class Train(Tutored):
    """`start` is `scratch` (A.1) or `supernet`, its weights sliced."""

    start: Literal["scratch", "supernet"] = "scratch"


class Finetune(Tutored):
    """TRADES in place of eq. 3's cross-entropy (section 4.1)."""

    epochs: Count = 20
    learning_rate: Positive = 0.01
    schedule: Literal["step", "cosine", "one_cycle"] = "cosine"
    trades_beta: Positive = 6.0
    epsilon: Radius = 0.031
    step_size: Positive = 0.007
    steps: Count = 10


class Evaluation(Settings):
    """Attacks on the first `n` images of the test split; on the first `check` of these, signs of
    false robustness are looked for."""

    n: Count = 1000
    epsilon: Radius = 8 / 255
    attacks: tuple[str, ...] = ("fgsm", "pgd", "mi_fgsm")
    check: Annotated[int, Field(ge=0)] = 200

    @model_validator(mode="after")
    def _know_the_attacks(self) -> Evaluation:
        for name in self.attacks:
            make_attack(name, self.epsilon)
        return self


class Recipe(Settings):
    """All settings of a run; a recipe file defines `recipe = Recipe(...)`."""

    name: str = ""
    space: str | SearchSpace
    data: Data = Data()
    teacher: Teacher
    search: Search = Search()
    derive: Derive = Derive()
    train: Train = Train()
    finetune: Finetune | None = Finetune()
    evaluation: Evaluation = Evaluation()
    seed: Annotated[int, Field(ge=0)] = 0

    def data_arguments(self) -> dict[str, Any]:
        """Return the arguments of `data.load_data` that the recipe settles."""
        return self.data.model_dump(exclude={"augmentation"})

    def trainings(self) -> list[tuple[str, Training]]:
        """Return the sections that train something, by name."""
        names = ["search", "train"] if self.teacher.weights else ["teacher", "search", "train"]
        return [(name, getattr(self, name)) for name in names] + (
            [("finetune", self.finetune)] if self.finetune else []
        )

    @property
    def search_space(self) -> SearchSpace:
        """The space itself, also where `space` is a name."""
        return get_space(self.space)


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    folder = importlib.resources.files("rnascl_keras.recipes")
    files = (Path(str(entry)) for entry in folder.iterdir())
    return sorted(f.stem for f in files if f.suffix == ".py" and not f.stem.startswith("_"))


def load_recipe(name_or_file: str, assignments: Iterable[str] = ()) -> Recipe:
    """Return a recipe, with `--set` assignments such as `search.epochs=5` applied.

    Raises:
        UserError: no such recipe, a file without `recipe`, an unknown or ill-typed setting.
    """
    path = Path(name_or_file)
    if path.suffix == ".py":
        if not path.is_file():
            raise UserError(f"there is no recipe file {path}.")
    else:
        known = recipe_names()
        if name_or_file not in known:
            raise UserError(
                f"unknown recipe {name_or_file!r}; known: {', '.join(known)}; or give a .py file."
                + nearest(name_or_file, known)
            )
        path = Path(str(importlib.resources.files("rnascl_keras.recipes"))) / f"{path}.py"
    recipe = _recipe_of(path)
    if not recipe.name:
        recipe = recipe.model_copy(update={"name": path.stem})
    recipe = with_settings(recipe, assignments)
    get_space(recipe.space)
    return recipe


def _recipe_of(path: Path) -> Recipe:
    spec = importlib.util.spec_from_file_location(f"rnascl_recipe_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ValidationError as error:
        raise UserError(f"recipe {path}: {_first_problem(error)}") from error
    except UserError as error:
        raise UserError(f"recipe {path}: {error}") from error
    except Exception as error:
        raise UserError(
            f"recipe {path} cannot be read: {type(error).__name__}: {error}."
        ) from error
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UserError(f"{path} must define recipe = Recipe(...); got {type(recipe).__name__}.")
    return recipe


def with_settings(recipe: Recipe, assignments: Iterable[str]) -> Recipe:
    """Return the recipe with assignments `section.key=value` applied, and checked again."""
    values = recipe.model_dump()
    known = _keys(recipe)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set wants KEY=VALUE, e.g. search.epochs=5; got {assignment!r}.")
        if key not in known:
            raise UserError(f"unknown setting {key!r}.{nearest(key, known)}")
        *sections, last = key.split(".")
        target = values
        for section in sections:
            target = target[section]
        target[last] = _value(text)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise UserError(f"--set {_first_problem(error)}") from error


def _keys(recipe: Recipe) -> list[str]:
    keys = []
    for name in type(recipe).model_fields:
        value = getattr(recipe, name)
        if isinstance(value, Settings):
            keys += [f"{name}.{key}" for key in type(value).model_fields]
        keys.append(name)
    return keys


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None if text in ("None", "none") else text


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "value_error"), problems[0])
    place: Sequence[Any] = [p for p in problem["loc"] if not str(p).startswith("function")]
    where = ".".join(map(str, place)) or "recipe"
    if problem["type"] == "value_error":  # ours: it says what came
        return f"{where}: {problem['ctx']['error']}"
    return f"{where}: {problem['msg']}; got {problem['input']!r}."
