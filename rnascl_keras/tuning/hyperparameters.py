"""What can be tuned: names, the recipe's settings behind them, and the values that are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnascl_keras.assignments import with_settings
from rnascl_keras.errors import UserError, look_up
from rnascl_keras.method.attention import default_map_size
from rnascl_keras.method.cost import COMBINE
from rnascl_keras.method.gumbel import NOISES
from rnascl_keras.method.losses import KL_DIRECTIONS
from rnascl_keras.recipe import Recipe

GAMMAS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Of gamma_s and gamma_t, as in A.1."""


@dataclass(frozen=True)
class Hyperparameter:
    """One row of what can be tuned.

    Attributes:
        settings: of the recipe, which all take the value.
        values: that are tried, besides the recipe's own; empty for the map size, see `values_of`.
        only_with: (another hyperparameter, the value of it) without which this one does nothing.
    """

    settings: tuple[str, ...]
    values: tuple[Any, ...] = ()
    only_with: tuple[str, str] | None = None


def _in_all_phases(setting: str) -> tuple[str, ...]:
    return tuple(f"{phase}.{setting}" for phase in ("search", "train", "finetune"))


HYPERPARAMETERS = {
    "gamma_s": Hyperparameter(("search.gamma_s",), GAMMAS),
    "gamma_t": Hyperparameter(("train.gamma_t", "finetune.gamma_t"), GAMMAS),
    "kl": Hyperparameter(_in_all_phases("kl"), KL_DIRECTIONS),
    "softening": Hyperparameter(_in_all_phases("softening"), (1.0, 2.0, 4.0, 8.0)),
    "combine": Hyperparameter(("search.combine",), COMBINE),
    "beta": Hyperparameter(("search.beta",), (0.3, 0.6, 1.2, 2.4), ("combine", "multiply")),
    "alpha": Hyperparameter(("search.alpha",), (0.05, 0.2, 0.8, 3.2), ("combine", "add")),
    "taps": Hyperparameter(("search.taps",), ("conv", "block")),
    "map_size": Hyperparameter(_in_all_phases("map_size")),
    "noise": Hyperparameter(("search.noise",), NOISES),
    "gumbel_temperature": Hyperparameter(("search.gumbel_temperature",), (1.0, 5.0, 10.0)),
    "gumbel_decay": Hyperparameter(("search.gumbel_decay",), (0.02, 0.045, 0.07)),
}


def find_names(names: Sequence[str], recipe: Recipe) -> list[str]:
    """Return these names in the order of `HYPERPARAMETERS`; all of them where none is given.

    Raises:
        UserError: there is none of a name, or it does nothing in this recipe.
    """
    for name in names:
        parent, value = look_up("--tune", name, HYPERPARAMETERS).only_with or (None, None)
        if parent and parent not in names and (own := own_value(recipe, parent)) != value:
            raise UserError(
                f"--tune {name}: it counts only with {parent}={value}, and recipe {recipe.name} "
                f"has {own!r}; tune {parent} too, or leave {name} out."
            )
    return [name for name in HYPERPARAMETERS if name in names or not names]


def own_value(recipe: Recipe, name: str) -> Any:
    """Return the recipe's own value of a hyperparameter; where phases differ, the search's."""
    section, _, setting = HYPERPARAMETERS[name].settings[0].partition(".")
    return getattr(getattr(recipe, section), setting)


def values_of(recipe: Recipe, name: str, input_shape: Sequence[int]) -> tuple[list[Any], Any]:
    """Return the values that are tried, and which of them is the recipe's own.

    The map size, written `8x8`, is tried at half and at twice the recipe's own too.
    """
    own = own_value(recipe, name)
    if name == "map_size":
        height, width = own or default_map_size(input_shape)
        sizes = [(height // 2, width // 2), (height, width), (2 * height, 2 * width)]
        return [f"{h}x{w}" for h, w in sizes if h and w], f"{height}x{width}"
    values = list(HYPERPARAMETERS[name].values)
    if own not in values:
        values.append(own)
    return (values if isinstance(own, str) else sorted(values)), own


def with_values(recipe: Recipe, values: dict[str, Any], own: dict[str, Any]) -> Recipe:
    """Return the recipe with these values of hyperparameters, which has `own` as it is."""
    assignments = []
    for name, value in values.items():
        if value == own[name]:
            continue
        text = f"[{value.replace('x', ',')}]" if name == "map_size" else value
        for setting in HYPERPARAMETERS[name].settings:
            if recipe.finetune or not setting.startswith("finetune."):
                assignments.append(f"{setting}={text}")
    return with_settings(recipe, assignments)
