"""Files of a newer Keras that an older one reads.

Keras writes all settings of a layer into a `.keras` file, those too that the layer has got since;
an older Keras, which does not know them, refuses the file. Left out, they are at their default,
which is what the older one does.
"""

from __future__ import annotations

from typing import Any

NEWER = {
    "renorm": False,  # BatchNormalization, Keras 3.14
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "use_gate": False,  # attention layers, 3.14
    "input_axes": None,  # initialisers by a tensor's fans, 3.15
    "output_axes": None,
    "sliding_window": None,  # attention layers, 3.15
}
"""Settings that Keras' classes have got since 3.13, the oldest we take, each with its default."""


def without_newer(config: Any) -> Any:
    """Return a model's configuration, or a part of it, without `NEWER` settings at their default.

    Only objects of Keras itself are touched: another's settings may bear the same names.
    """
    if isinstance(config, list):
        return [without_newer(x) for x in config]
    if not isinstance(config, dict):
        return config
    whole = {key: without_newer(value) for key, value in config.items()}
    settings = whole.get("config")
    if isinstance(settings, dict) and str(whole.get("module")).split(".")[0] == "keras":
        whole["config"] = {k: v for k, v in settings.items() if not _is_default(k, v)}
    return whole


def _is_default(key: str, value: Any) -> bool:
    return key in NEWER and value == NEWER[key]
