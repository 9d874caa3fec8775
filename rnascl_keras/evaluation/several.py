"""Several models measured on the same images: how they differ, and whose images fool which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.attacks.classifier import as_classifier
from rnascl_keras.data.image_files import shown_path
from rnascl_keras.errors import ModelFailed
from rnascl_keras.evaluation.evaluate import accuracy_of
from rnascl_keras.evaluation.intervals import paired_interval
from rnascl_keras.evaluation.measured import Measured


def names_of(measured: Sequence[Measured]) -> list[str]:
    """Return a printable name for each model: that of its file, or where two are alike, the whole
    path, with a number behind it where even these are printed alike."""
    names = [shown_path(one.path.name) for one in measured]
    if len(set(names)) < len(names):
        names = [shown_path(one.path) for one in measured]
    return [
        f"{name} ({names[:k].count(name) + 1})" if name in names[:k] else name
        for k, name in enumerate(names)
    ]


def compare(measured: Sequence[Measured]) -> tuple[dict[str, Any], list[str]]:
    """Return how models that were measured on the same images differ, and what ended those that
    ended only when they were asked about each other's images.

    Returns:
        `differences`: for each pair of models and key of accuracy `first`, `second`, `key`, the
        `difference` of their accuracies and its 95 % `interval`, see `paired_interval`. Where one
        was attacked otherwise than the other, "worst" is that under the `attacks` that both were,
        which are then named, and is left out where there is none; and
        `transfer`: by attack's key a row for each model that the images were made on, and in it the
        accuracy of each model on these, None where it does not answer any more.
    """
    transfer, failed = _transfers(measured) if len(measured) > 1 else ({}, [])
    differences = _differences(measured, names_of(measured))
    return {"differences": differences, "transfer": transfer}, failed


def _differences(measured: Sequence[Measured], names: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for (first, one), (second, other) in combinations(zip(names, measured, strict=True), 2):
        ours, theirs = one.evaluation.right, other.evaluation.right
        both = [key for key in ours if key in theirs and key != "worst"]
        alike = ours.keys() == theirs.keys()
        for key in [*both, *(["worst"] if alike or both != ["clean"] else [])]:
            pair: dict[str, Any] = {"first": first, "second": second, "key": key}
            if key == "worst" and not alike:
                pair["attacks"] = [attack for attack in both if attack != "clean"]
            mine, yours = (_right(right, key, both) for right in (ours, theirs))
            apart = float(np.mean(mine) - np.mean(yours))
            found.append({**pair, "difference": apart, "interval": paired_interval(mine, yours)})
    return found


def _right(right: Mapping[str, np.ndarray], key: str, both: Sequence[str]) -> np.ndarray:
    """Return which images are right, (n,); the worst case under what `both` models underwent."""
    return np.all([right[k] for k in both], axis=0) if key == "worst" else right[key]


def _transfers(
    measured: Sequence[Measured],
) -> tuple[dict[str, list[list[float | None]]], list[str]]:
    ended: dict[Path, str] = {}

    def answered(one: Measured, key: str, made_on: Measured) -> float | None:
        if one is made_on:
            return one.evaluation.accuracy[key]
        try:
            logits = as_classifier(one.classifier).logits
            return accuracy_of(logits, made_on.made[key], one.images.labels)
        except ModelFailed as error:
            if not one.failed:  # else it is known why
                ended.setdefault(one.path, str(error))
            return None

    keys = [key for key in measured[0].made if all(key in one.made for one in measured)]
    found = {
        key: [[answered(one, key, made_on) for one in measured] for made_on in measured]
        for key in keys
    }
    return found, list(ended.values())
