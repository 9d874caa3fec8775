"""Robust, compact image classifiers by architecture search under a robust teacher."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_HOME_OF = {
    "Architecture": "method.architecture",
    "ChoiceHistograms": "method.callbacks",
    "ChoiceHistory": "method.callbacks",
    "Checkpoint": "run.checkpoint",
    "CrossLayerDistiller": "method.distill",
    "CrossLayerSearch": "method.search",
    "GumbelTemperatureDecay": "method.callbacks",
    "Recipe": "recipe",
    "SearchSpace": "method.spaces",
    "Stage": "method.spaces",
    "Supernet": "method.supernet",
    "Trades": "method.trades",
    "Tutor": "method.architecture",
    "UserError": "errors",
    "copy_sliced_weights": "method.derive",
    "derive": "method.derive",
    "evaluate": "evaluation.evaluate",
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
    """Keeps `rnascl_keras.method.derive` the function once its file of the same name is imported, too."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
