"""The trials of a tuning as a picture, and what it shows in words."""

from __future__ import annotations

import io
import itertools
import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnascl_keras.report.style import ACCENT, FAINT, INK, MUTED, report_style
from rnascl_keras.tuning.table import in_words, what_counts
from rnascl_keras.units import percent, radius

COLOURS = {True: "#2b6cb0", False: "#a9b3bf"}
MARKERS = {True: "o", False: "x"}
COLUMNS = 4


def in_a_sentence(tuning: dict[str, Any]) -> str:
    """Return what the picture shows, for those who do not see it."""
    trials, least = tuning["trials"], tuning["objective"]["least_clean"]
    best = trials[0]
    enough = sum(trial["clean"] >= least for trial in trials)
    return (
        f"{len(trials)} trials of recipe {tuning['recipe']}, clean against robust accuracy, and "
        f"robust accuracy by the value of each setting. Ranked by {what_counts(tuning)}; "
        f"{enough} trials reach that. The best has {percent(best['clean'])} % clean and "
        f"{percent(best['pgd20'])} % under PGD-20, with these settings changed: "
        f"{in_words(best['settings'], tuning['own'])}."
    )


def tuning_picture(tuning: dict[str, Any]) -> bytes:
    """Draw the trials; return a PNG with `in_a_sentence` as its description.

    Args:
        tuning: as in `tune.json`, the best trial first.
    """
    names = list(tuning["tuned"])
    rows = math.ceil(len(names) / COLUMNS)
    with report_style():
        figure = Figure(figsize=(7.2, 3.2 + 1.5 * rows), dpi=144, layout="constrained")
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=[3.2, 1.5 * rows])
        above, below = parts.flat
        _accuracies(above.subplots(), tuning)
        panels = below.subplots(rows, COLUMNS, sharey=True, squeeze=False).flat
        for axes, name in itertools.zip_longest(panels, names):
            if name is None:
                axes.set_axis_off()
            else:
                _by_value(axes, name, tuning)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Description": in_a_sentence(tuning)})
    return picture.getvalue()


def _accuracies(axes: Axes, tuning: dict[str, Any]) -> None:
    """Draw each trial at its two accuracies, with its rank."""
    goal = tuning["objective"]
    for rank, trial in enumerate(tuning["trials"], start=1):
        x, y = 100 * trial["clean"], 100 * trial["pgd20"]
        is_enough = trial["clean"] >= goal["least_clean"]
        axes.plot(x, y, MARKERS[is_enough], color=ACCENT if rank == 1 else COLOURS[is_enough])
        axes.annotate(str(rank), (x, y), (4, 3), textcoords="offset points", fontsize=7)
    axes.axvline(100 * goal["least_clean"], color=MUTED, linestyle="--", linewidth=0.8)
    axes.set_xlabel("clean accuracy, %; dashed: the least that counts")
    axes.set_ylabel(f"PGD-20 at {radius(goal['epsilon'])}, %")
    axes.set_title(f"{tuning['recipe']}: {len(tuning['trials'])} trials; number: rank")
    axes.grid(color=FAINT)
    axes.margins(0.08)


def _by_value(axes: Axes, name: str, tuning: dict[str, Any]) -> None:
    """Draw the robust accuracy of the trials by the value of one setting."""
    values = [str(value) for value in tuning["tuned"][name]]
    for rank, trial in enumerate(tuning["trials"], start=1):
        if name in trial["settings"]:
            is_enough = trial["clean"] >= tuning["objective"]["least_clean"]
            x, y = values.index(str(trial["settings"][name])), 100 * trial["pgd20"]
            colour = ACCENT if rank == 1 else COLOURS[is_enough]
            axes.plot(x, y, MARKERS[is_enough], color=colour, markersize=4)
    axes.set_xticks(range(len(values)), [_short(value) for value in values], color=INK, fontsize=7)
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set_title(name, fontsize=8)
    axes.grid(axis="y")


def _short(value: str) -> str:
    """Write a value for a narrow place: long words in two lines, numbers without ``.0``."""
    return value.removesuffix(".0").replace("_", "\n")
