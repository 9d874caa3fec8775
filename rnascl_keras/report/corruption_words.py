"""Accuracy under common corruptions, in words."""

from __future__ import annotations

from typing import Any

from rnascl_keras.corruptions import CORRUPTIONS
from rnascl_keras.report.keys import model_keys
from rnascl_keras.units import percent, with_capital

ALL = len(CORRUPTIONS)
"""Those of the published benchmark."""


def corruption_name(key: str) -> str:
    """Write a corruption's key for people: ``jpeg_compression`` as ``JPEG compression``."""
    return with_capital(key.replace("_", " ").replace("jpeg", "JPEG"))


def corruption_words(corrupted: dict[str, Any]) -> list[str]:
    """Return in sentences what the table of accuracies, see `evaluation.Corrupted`, comes to."""
    low, high = map(percent, corrupted["mean_interval"])
    error, widest = percent(corrupted["error"]), percent(_widest(corrupted))
    said = [
        f"Mean accuracy under {_how_many(corrupted)}: {percent(corrupted['mean'])} %, 95 % "
        f"interval {low} to {high}; mean error {error} %, as it is: the published mCE divides by "
        "AlexNet's errors.",
        f"The 95 % interval of a single figure reaches at most {widest} points to either side.",
        f"Parameters of {corrupted['published']} (Hendrycks and Dietterich, 2019)"
        f"{_scaled(corrupted)}.",
    ]
    return said + [f"{with_capital(note)}." for note in corrupted["notes"]]


def corrupted_models(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the models of a report came to under corruptions, by their keys."""
    found = {key: report[key].get("corrupted") for key in model_keys(report)}
    return {key: corrupted for key, corrupted in found.items() if corrupted}


def corrupted_in_words(report: dict[str, Any]) -> list[str]:
    """Return in a phrase what the mean of a report's models is of; nothing where none has one."""
    phrases = [
        f"mean accuracy under {_how_many(own)} at five severities, with the parameters of "
        f"{own['published']}"
        for own in corrupted_models(report).values()
    ]
    return phrases[:1]


def _how_many(corrupted: dict[str, Any]) -> str:
    count = len(corrupted["accuracy"])
    return f"all {ALL} corruptions (mCA)" if count == ALL else f"{count} of {ALL} corruptions"


def _scaled(corrupted: dict[str, Any]) -> str:
    scale = corrupted["scale"]
    return "" if scale == 1 else f", lengths in pixels times {scale:.3g}, as the images' size is"


def _widest(corrupted: dict[str, Any]) -> float:
    """Return the longest way from an accuracy to an end of its interval, from 0 to 1."""
    pairs = [
        (share, ends)
        for name, shares in corrupted["accuracy"].items()
        for share, ends in zip(shares, corrupted["intervals"][name], strict=True)
    ]
    return max(abs(end - share) for share, ends in pairs for end in ends)
