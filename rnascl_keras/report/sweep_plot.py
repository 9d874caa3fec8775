"""The picture of a sweep over the radius: arrays in, one SVG or PNG out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnascl_keras.report.keys import attack_name
from rnascl_keras.report.search_plots import spread
from rnascl_keras.report.style import ACCENT, INK, MUTED, WRONG, drawn, report_style
from rnascl_keras.units import percent, radius

LINES = (
    ("#2b6cb0", ()),
    (ACCENT, (4, 1.5)),
    ("#2f855a", (1.5, 1.2)),
    ("#805ad5", (6, 1.5, 1.5, 1.5)),
    (WRONG, (3, 1, 1, 1)),
    (MUTED, (8, 2)),
    (INK, ()),
)
"""Colours and dashes (empty: a whole line) of lines that are told apart by both."""
RADII = {"Linf": "L∞", "L2": "L2", "L1": "L1", "L0": "L0"}


def accuracy_by_radius(
    epsilon: Sequence[float],
    accuracy: Mapping[str, Sequence[float]],
    intervals: Mapping[str, Sequence[Sequence[float]]],
    clean: Mapping[str, float],
    colours: dict[str, str] | None = None,
    *,
    clean_intervals: Mapping[str, Sequence[float]],
    title: str = "",
    norm: str = "Linf",
    file_format: str = "svg",
) -> bytes:
    """Draw the accuracy over the radius, a line for each attack or model, with its 95 % interval.

    Args:
        epsilon: the radii, from small to large.
        accuracy: by attack's key or model's name, the accuracy at each radius, from 0 to 1.
        intervals: by the same, (low, high) at each radius.
        clean: by the same, the accuracy at radius 0.
        colours: by the same, where the lines have colours of their own.
        clean_intervals: by the same, (low, high) at radius 0.
        title: written above.
        norm: of the ball, "Linf", "L2", "L1" or "L0".
        file_format: "svg" or "png".
    """
    with report_style():
        figure = Figure(figsize=(5.1, 2.9))
        axes = figure.add_axes((0.145, 0.16, 0.59, 0.74 if title else 0.79))
        x = [0.0, *epsilon]
        last = np.array([shares[-1] for shares in accuracy.values()]) / 1.04
        order = np.argsort(last, kind="stable")
        ends = dict(zip(order, spread(last[order], 0.07), strict=True))
        for rank, (key, shares) in enumerate(accuracy.items()):
            colour, dashes = LINES[rank % len(LINES)]
            colour = (colours or {}).get(key, colour)
            bounds = np.array([clean_intervals[key], *intervals[key]])
            _line(axes, x, np.array([clean[key], *shares]), bounds, colour, dashes)
            words = f"{attack_name(key)} {percent(shares[-1])}"
            _end_label(axes, words, (x[-1], 100 * shares[-1]), ends[rank], colour)
        axes.set_xlim(0, x[-1])
        axes.set_xticks(x, ["0", *map(radius, epsilon)])
        words = "pixels changed" if norm == "L0" else f"{RADII[norm]} radius, pixels in [0, 1]"
        axes.set_xlabel(words)
        axes.set_ylabel("accuracy")
        axes.set_title(title, fontsize=8.5)
        _percent_axis(axes)
        return drawn(figure, file_format)


def _line(
    axes: Axes, x: Sequence[float], y: np.ndarray, bounds: np.ndarray, colour: str, dashes: tuple
) -> None:
    """Draw shares, (len(x),), over the radii, and their bounds, (len(x), 2), as a shade."""
    low, high = bounds.T
    style = {"marker": "o", "markersize": 3, "linewidth": 1.4, "dashes": dashes or (1, 0)}
    axes.plot(x, 100 * y, color=colour, clip_on=False, **style)  # whole markers at both ends
    axes.fill_between(x, 100 * low, 100 * high, color=colour, alpha=0.1, linewidth=0)


def _end_label(
    axes: Axes, words: str, end: tuple[float, float], height: float, colour: str
) -> None:
    """Write outside the axes, at this share of their height, what the line that ends there is."""
    axes.annotate(
        words,
        end,
        xytext=(1.03, height),
        textcoords="axes fraction",
        va="center",
        fontsize=7.5,
        color=colour,
    )


def _percent_axis(axes: Axes) -> None:
    axes.set_ylim(0, 104)
    axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
