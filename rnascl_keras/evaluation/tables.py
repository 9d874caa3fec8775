"""The figures of a model, or of several, as tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from rnascl_keras.console import PlainConsole
from rnascl_keras.corruptions import SEVERITIES
from rnascl_keras.data.image_files import shown_path
from rnascl_keras.evaluation.corrupted import Corrupted
from rnascl_keras.evaluation.evaluate import Evaluation
from rnascl_keras.evaluation.sweep import Sweep
from rnascl_keras.report.corruption_words import corruption_name, corruption_words
from rnascl_keras.report.keys import (
    all_keys,
    attack_how,
    attack_name,
    difference_name,
    shown_keys,
)
from rnascl_keras.units import percent, points, radius

SHOWN_CLASSES = 20


def print_figures(
    path: Path, evaluation: Evaluation, sweep: Sweep | None, class_names: Sequence[str]
) -> None:
    """Print all that was found of one model."""
    console = PlainConsole()
    console.print(_accuracies(path, evaluation))
    if np.count_nonzero(evaluation.class_counts) <= SHOWN_CLASSES:
        console.print(_classes(evaluation, class_names))
    if sweep:
        console.print(_sweep(sweep))
    if evaluation.near_chance:
        words = f"No verdict on robustness: {evaluation.near_chance}"
        console.print(words, highlight=False, style="bold red")
    if evaluation.check:
        console.print(f"False robustness? {evaluation.check.verdict}", highlight=False)


def print_corrupted(path: Path, corrupted: Corrupted) -> None:
    """Print the accuracies of one model under corruptions."""
    console = PlainConsole()
    title = f"{shown_path(path.name)} under corruptions, in %, first {corrupted.n} images"
    table = Table("severity", *map(str, SEVERITIES), "mean", title=title)
    for name, shares in corrupted.accuracy.items():
        mean = sum(shares) / len(shares)
        table.add_row(corruption_name(name), *map(percent, (*shares, mean)))
    console.print(table)
    for line in corruption_words(corrupted.as_dict()):
        console.print(line, highlight=False)


def print_comparison(
    names: Sequence[str], evaluations: Sequence[Evaluation], compared: dict[str, Any]
) -> None:
    """Print how several models differ, see `several.compare`."""
    console = PlainConsole()
    keys = shown_keys(all_keys(evaluation.accuracy for evaluation in evaluations))
    table = Table("", *map(attack_name, keys), title="All files, in %")
    for name, evaluation in zip(names, evaluations, strict=True):
        shares = [evaluation.accuracy.get(key) for key in keys]
        table.add_row(name, *map(_share, shares))
    console.print(table)
    table = Table("points", "", "difference", "95 % interval", title="Paired, on the same images")
    for pair in compared["differences"]:
        title = f"{pair['first']} − {pair['second']}"
        bounds = " to ".join(map(points, pair["interval"]))
        table.add_row(title, difference_name(pair), points(pair["difference"]), bounds)
    console.print(table)
    for key, rows in compared["transfer"].items():
        title = f"{attack_name(key)}: right in %, on images made on another file"
        table = Table("made on", title=title)
        for name in names:
            table.add_column(name, overflow="fold")
        for name, shares in zip(names, rows, strict=True):
            table.add_row(name, *map(_share, shares))
        console.print(table)


def _accuracies(path: Path, evaluation: Evaluation) -> Table:
    norm = "" if evaluation.norm == "Linf" else f" in {evaluation.norm}"
    keys = shown_keys(evaluation.accuracy)
    reach = f", {radius(evaluation.epsilon)}{norm}" if len(keys) > 1 else ""
    table = Table(title=f"{shown_path(path.name)}, first {evaluation.n} images{reach}")
    for column in ("", "accuracy", "95 % interval", ""):
        table.add_column(column)
    for key in keys:
        low, high = evaluation.intervals[key]
        interval = f"{percent(low)} to {percent(high)}"
        how = attack_how(key, evaluation.norm)
        table.add_row(attack_name(key), percent(evaluation.accuracy[key]), interval, how)
    return table


def _classes(evaluation: Evaluation, class_names: Sequence[str]) -> Table:
    """Return a table with a row for each class that has images."""
    table = Table("class", "images", title="By class, in %")
    keys = shown_keys(evaluation.per_class)
    for key in keys:
        table.add_column(attack_name(key), justify="right")
    for k, count in enumerate(evaluation.class_counts):
        if not count:
            continue
        shares = [evaluation.per_class[key][k] for key in keys]
        table.add_row(class_names[k], str(count), *map(_share, shares))
    return table


def _share(share: float | None) -> str:
    return "–" if share is None else percent(share)


def _sweep(sweep: Sweep) -> Table:
    """Return a table with a row for each radius."""
    table = Table("radius", title=f"By radius, in %, first {sweep.n} images")
    for key in sweep.accuracy:
        table.add_column(attack_name(key), justify="right")
    for k, epsilon in enumerate(sweep.epsilon):
        table.add_row(radius(epsilon), *(percent(shares[k]) for shares in sweep.accuracy.values()))
    return table
