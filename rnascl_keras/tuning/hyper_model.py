"""A recipe as Keras Tuner's `HyperModel`."""

from __future__ import annotations

from collections.abc import Sequence

import keras_tuner

from rnascl_keras.recipe import Recipe
from rnascl_keras.tuning.hyperparameters import HYPERPARAMETERS, values_of, with_values


class RecipeHyperModel(keras_tuner.HyperModel):
    """Recipes that differ in some settings; what is built is a `Recipe`, not a network.

    For a tuner whose `run_trial` runs the recipe's stages, as `tuner.RecipeTuner`'s.

    Args:
        recipe: whose settings are tuned; its own values are the defaults.
        names: of `hyperparameters.HYPERPARAMETERS`, in that order.
        input_shape: (height, width, channels), which settles the usual size of maps.

    Attributes:
        choices: by name, the values that are tried.
        own: by name, the recipe's.
    """

    def __init__(self, recipe: Recipe, names: Sequence[str], input_shape: Sequence[int]) -> None:
        super().__init__(name=recipe.name)
        self.recipe = recipe
        self.names = list(names)
        tried = {name: values_of(recipe, name, input_shape) for name in names}
        self.choices = {name: values for name, (values, _) in tried.items()}
        self.own = {name: own for name, (_, own) in tried.items()}

    def build(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """Return the recipe with the values of `hp`."""
        values = {}
        for name in self.names:
            parent, wanted = HYPERPARAMETERS[name].only_with or (None, None)
            if parent in self.names:
                with hp.conditional_scope(parent, [wanted]):
                    value = self._choice(hp, name)
            else:
                value = self._choice(hp, name)
            if value is not None:  # it does nothing beside the others
                values[name] = value
        return with_values(self.recipe, values, self.own)

    def _choice(self, hp: keras_tuner.HyperParameters, name: str) -> float | str | None:
        return hp.Choice(name, self.choices[name], default=self.own[name])
