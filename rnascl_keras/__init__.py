"""Robust, compact image classifiers by architecture search under a robust teacher."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_HOME_OF = {
    "Architecture": "architecture",
    "ChoiceHistograms": "callbacks",
    "ChoiceHistory": "callbacks",
    "Checkpoint": "checkpoint",
    "CrossLayerDistiller": "distill",
    "CrossLayerSearch": "search",
    "GumbelTemperatureDecay": "callbacks",
    "Recipe": "recipe",
    "SearchSpace": "spaces",
    "Stage": "spaces",
    "Supernet": "supernet",
    "Trades": "trades",
    "Tutor": "architecture",
    "UserError": "errors",
    "copy_sliced_weights": "derive",
    "derive": "derive",
    "evaluate": "evaluate",
}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOME_OF[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """Keeps `rnascl_keras.derive` the function once its file of the same name is imported, too."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
