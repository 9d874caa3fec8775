"""Recipe: the settings of a run; reading one from a file."""

from __future__ import annotations

import importlib.resources
import importlib.util
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator

from rnascl_keras.assignments import first_problem, with_settings
from rnascl_keras.errors import UserError, check_name
from rnascl_keras.method.spaces import SearchSpace, get_space
from rnascl_keras.section import Seed, Settings
from rnascl_keras.settings import (
    Cache,
    Data,
    Derive,
    Distillation,
    Distribution,
    Evaluation,
    Export,
    Finetune,
    Search,
    Teacher,
    Train,
    Training,
)

__all__ = [
    "Cache",
    "Data",
    "Derive",
    "Distribution",
    "Evaluation",
    "Export",
    "Finetune",
    "Recipe",
    "Search",
    "Teacher",
    "Train",
    "load_recipe",
    "recipe_names",
    "with_settings",
]


def _file_name(name: str) -> str:
    """Return a recipe's name, which is that of its folder and begins those of files."""
    if name in (".", "..") or any(sign in name for sign in "/\\\0"):
        raise UserError(
            f"a recipe's name is also that of a folder, so it cannot be {name!r}; leave out / and "
            "\\."
        )
    return name


class Recipe(Settings):
    """All settings of a run; a recipe file defines `recipe = Recipe(...)`.

    Attributes:
        name: of the run's folder; by default that of the recipe's file.
        space: what is searched: of `rnascl list spaces`, or a `SearchSpace`; none: a teacher alone.
        seed: of everything that is drawn.
    """

    name: Annotated[str, AfterValidator(_file_name)] = ""
    space: str | SearchSpace | None
    data: Data = Data()
    teacher: Teacher
    cache: Cache = Cache()
    search: Search = Search()
    derive: Derive = Derive()
    train: Train = Train()
    finetune: Finetune | None = Finetune()
    export: Export = Export()
    evaluation: Evaluation = Field(default_factory=Evaluation)
    distribution: Distribution = Distribution()
    seed: Seed = 0

    @model_validator(mode="after")
    def _agree_on_the_maps(self) -> Recipe:
        sizes = {name: section.map_size for name, section in self._phases().items()}
        if self.cache.views and len(set(sizes.values())) > 1:
            told = ", ".join(f"{name}.map_size={size}" for name, size in sizes.items())
            raise UserError(
                f"{told}: with cache.views above 0 they share one cache of the teacher's maps; "
                "give them the same, or set cache.views=0."
            )
        return self

    @model_validator(mode="after")
    def _hold_images_out_where_the_best_epoch_is_kept(self) -> Recipe:
        for name, section in self._phases().items():
            if getattr(section, "keep", "last") == "best" and not self.data.validation:
                raise UserError(
                    f'{name}.keep="best" looks for the best epoch on images held out of training; '
                    "give their number, e.g. data.validation=1000."
                )
        return self

    def trainings(self) -> list[tuple[str, Training]]:
        """Return the sections that train something, by name."""
        names = [] if self.teacher.weights else ["teacher"]
        return [(name, getattr(self, name)) for name in names] + list(self._phases().items())

    @property
    def views(self) -> int:
        """How many views of each image are cached; 0: none, the teacher is asked live."""
        return min(self.cache.views, max((p.epochs for p in self._phases().values()), default=0))

    @property
    def caches_gradients(self) -> bool:
        """Whether there is a cache that holds the teacher's input gradients."""
        return self.views > 0 and self.cache.gradients

    def _phases(self) -> dict[str, Distillation]:
        if self.space is None:
            return {}
        phases = {"search": self.search, "train": self.train, "finetune": self.finetune}
        return {name: phase for name, phase in phases.items() if phase}

    @property
    def search_space(self) -> SearchSpace:
        """The space itself, also where `space` is a name; UserError where there is none."""
        if self.space is None:
            raise UserError(
                f"recipe {self.name} has no space to search; give it with --set space=S3."
            )
        return get_space(self.space)


def recipe_folder() -> Path:
    """Return where the recipes that come with the package lie."""
    return Path(str(importlib.resources.files("rnascl_keras.recipes")))


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(f.stem for f in recipe_folder().glob("*.py") if not f.stem.startswith("_"))


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
        check_name("recipe", name_or_file, known, f"one of {', '.join(known)}, or a .py file")
        path = recipe_folder() / f"{path}.py"
    recipe = _recipe_of(path)
    if not recipe.name:
        recipe = recipe.model_copy(update={"name": path.stem})
    recipe = with_settings(recipe, assignments)
    if recipe.space is not None:
        get_space(recipe.space)
    return recipe


def _line_of(error: BaseException, path: Path) -> str:
    """Say in which line of the recipe it happened; a SyntaxError says so itself."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path.absolute()]
    return f" (line {lines[-1]})" if lines else ""


def _recipe_of(path: Path) -> Recipe:
    spec: Any = importlib.util.spec_from_file_location(f"rnascl_recipe_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ValidationError as error:
        raise UserError(f"recipe {path}: {first_problem(error, Recipe)}") from error
    except UserError as error:
        raise UserError(f"recipe {path}: {error}") from error
    except (Exception, SystemExit) as error:  # one that ends the interpreter looks like success
        raise UserError(
            f"recipe {path} cannot be read: {type(error).__name__}: {error}{_line_of(error, path)}."
        ) from error
    if not hasattr(module, "recipe"):
        raise UserError(f"{path} defines no `recipe`; it must define recipe = Recipe(...).")
    recipe = module.recipe
    if not isinstance(recipe, Recipe):
        raise UserError(f"{path} must define recipe = Recipe(...); got {type(recipe).__name__}.")
    return recipe
