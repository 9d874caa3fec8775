"""All pictures of a report's page, drawn from a run's figures and arrays."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnascl_keras.report import audit_plots, keys, plots, search_plots
from rnascl_keras.report.audit_words import strongest_attack
from rnascl_keras.report.style import LINE_COLOURS
from rnascl_keras.report.sweep_plot import accuracy_by_radius


@dataclass(frozen=True)
class ReportPictures:
    """What the pictures are drawn from. An empty array or list leaves its picture out.

    Args:
        tutor_probabilities: (n_s, n_t), a row per student layer, each summing to 1.
        student_layers: the n_s names.
        teacher_layers: the n_t names.
        channel_history: by name of a choice, (epochs, n_choices) probabilities.
        channel_widths: by name of a choice, its n_choices widths.
        tutor_entropy: (epochs,) in nats, mean over the student layers.
        gumbel_temperature: (epochs,).
        images: (k, h, w, c), pixels in [0, 1]; each is followed by itself, attacked.
        labels: k true classes, names or numbers.
        predictions: the k classes that the student predicts.
        attention: by pair of layers, `student_layer`, `teacher_layer`, and the maps of the images
            in `student` and `teacher`, (k, h', w') each.
        fooled: images that the last student was fooled on, see `evaluation.Examples`; or None.
    """

    tutor_probabilities: np.ndarray
    student_layers: Sequence[str]
    teacher_layers: Sequence[str]
    channel_history: dict[str, np.ndarray]
    channel_widths: dict[str, Sequence[int]]
    tutor_entropy: np.ndarray
    gumbel_temperature: np.ndarray
    images: np.ndarray
    labels: Sequence[Any]
    predictions: Sequence[Any]
    attention: Sequence[dict[str, Any]] = field(default_factory=list)
    fooled: Any = None


def draw_pictures(
    report: dict[str, Any], given: ReportPictures, headline: dict[str, Any]
) -> dict[str, Any]:
    """Return the pictures as SVG, by name; None where there is nothing to draw from.

    Args:
        report: the content of `report.json`.
        given: the arrays that it does not hold.
        headline: the last student's figures, with the `class_names`; empty where it is not known.
    """
    models = {key: report[key] for key in keys.model_keys(report)}
    names = keys.model_names(report)
    return {
        "accuracy": plots.robust_accuracy(models, keys.accuracy_keys(report), names),
        "sweep": _sweep(models, names),
        "channels": _by_stage(
            search_plots.channel_probabilities(given.channel_history, given.channel_widths)
        ),
        "tutors": _tutors(given),
        "entropy": _entropy(given),
        "temperature": _temperature(given),
        "attention": _attention(given),
        "confusion": _confusion(headline),
        "fooled": _fooled(given, headline),
    }


def _sweep(models: dict[str, dict[str, Any]], names: dict[str, str]) -> str | None:
    swept = {names[key]: m["sweep"] for key, m in models.items() if "sweep" in m}
    if not swept:
        return None
    return accuracy_by_radius(
        next(iter(swept.values()))["epsilon"],
        {name: sweep["accuracy"]["pgd20"] for name, sweep in swept.items()},
        {name: sweep["intervals"]["pgd20"] for name, sweep in swept.items()},
        {name: sweep["clean"] for name, sweep in swept.items()},
        {names[key]: colour for key, colour in LINE_COLOURS.items()},
        # evaluations of older runs have none
        clean_intervals={
            name: sweep.get("clean_interval", [sweep["clean"]] * 2) for name, sweep in swept.items()
        },
    ).decode()


def _by_stage(panels: dict[str, str]) -> list[dict[str, str]]:
    """Return the channel choices' pictures stage by stage: each stage begins a new row."""
    stages = itertools.groupby(panels.items(), key=lambda panel: panel[0].partition("_")[0])
    return [dict(stage) for _, stage in stages]


def _tutors(given: ReportPictures) -> str | None:
    if not np.size(given.tutor_probabilities):
        return None
    return search_plots.tutor_map(
        given.tutor_probabilities, given.student_layers, given.teacher_layers
    )


def _entropy(given: ReportPictures) -> str | None:
    if not np.size(given.tutor_entropy):
        return None
    return search_plots.tutor_entropy(given.tutor_entropy, len(given.teacher_layers))


def _temperature(given: ReportPictures) -> str | None:
    if not np.size(given.gumbel_temperature):
        return None
    return search_plots.gumbel_temperature(given.gumbel_temperature)


def _attention(given: ReportPictures) -> str | None:
    if not (len(given.images) and given.attention):
        return None
    return plots.attention_maps(
        given.images, given.labels, given.predictions, given.attention, attacked=True
    )


def _confusion(headline: dict[str, Any]) -> str | None:
    if "confusion" not in headline:
        return None
    return audit_plots.confusion_map(headline, strongest_attack(headline))


def _fooled(given: ReportPictures, headline: dict[str, Any]) -> str | None:
    if given.fooled is None or not (len(given.fooled.rows) and headline):
        return None
    return audit_plots.gallery(given.fooled, headline)
