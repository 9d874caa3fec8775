"""The report's pictures of what the search chose: arrays in, SVG texts out."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnascl_keras.report.keys import short_layer
from rnascl_keras.report.style import (
    ACCENT,
    INK,
    MUTED,
    axes_in_inches,
    label_room,
    report_style,
    svg,
)

PROBABILITY = LinearSegmentedColormap.from_list(
    "probability", ["#f3f6f9", "#cfe0f0", "#7fb0da", "#2b6cb0", "#102a4c"]
)
QUIET = "#b4bec9"


def tutor_map(
    probabilities: np.ndarray, student_layers: Sequence[str], teacher_layers: Sequence[str]
) -> str:
    """Draw how probable each teacher layer is as the tutor of each student layer.

    Args:
        probabilities: (n_s, n_t), each row summing to 1; the largest of a row is ringed.
        student_layers: the n_s names of the rows.
        teacher_layers: the n_t names of the columns.
    """
    rows, columns = probabilities.shape
    cell = 0.225 if max(rows, columns) <= 30 else 0.18  # inches
    left, top = label_room(student_layers) + 0.25, label_room(teacher_layers) + 0.3
    width, height = left + columns * cell + 0.95, top + max(rows * cell + 0.1, 1.5)
    with report_style():
        figure = Figure(figsize=(width, height))
        axes = axes_in_inches(figure, left, top, columns * cell, rows * cell)
        mesh = axes.pcolormesh(
            probabilities,
            cmap=PROBABILITY,
            vmin=0,
            vmax=probabilities.max(),
            edgecolor="white",
            linewidth=0.6,
        )
        axes.scatter(
            probabilities.argmax(axis=1) + 0.5,
            np.arange(rows) + 0.5,
            s=(cell * 72 * 0.52) ** 2,
            facecolor="none",
            edgecolor=ACCENT,
            linewidth=1.8,
        )
        _layer_axes(axes, student_layers, teacher_layers, font_size=8 if cell > 0.2 else 7)
        _probability_scale(axes_in_inches(figure, -0.68, top, 0.13, 1.2), mesh, columns)
        return svg(figure)


def _layer_axes(
    axes: Axes, rows: Sequence[str], columns: Sequence[str], *, font_size: float
) -> None:
    """Name rows and columns by layer, the first row on top, with a line between stages."""
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_yticks(np.arange(len(rows)) + 0.5, map(short_layer, rows), fontsize=font_size)
    axes.set_xticks(
        np.arange(len(columns)) + 0.5, map(short_layer, columns), rotation=90, fontsize=font_size
    )
    for border in _stage_borders(rows):
        axes.axhline(border, color=MUTED, linewidth=0.8)
    for border in _stage_borders(columns):
        axes.axvline(border, color=MUTED, linewidth=0.8)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("teacher layer", loc="left")
    axes.set_ylabel("student layer", loc="top")


def _stage_borders(names: Sequence[str]) -> list[int]:
    """Return the positions at which a layer of another stage begins than the one before."""
    stages = [(re.match(r"stage\d+", name) or [""])[0] for name in names]
    return [i for i in range(1, len(stages)) if stages[i] != stages[i - 1]]


def _probability_scale(axes: Axes, mesh: QuadMesh, tutors: int) -> None:
    """Draw the colour scale, with the probability of an undecided choice marked on it."""
    largest, undecided = mesh.get_clim()[1], 1 / tutors
    axes.figure.colorbar(mesh, cax=axes).outline.set_visible(False)
    axes.set_title("probability", fontsize=8, fontweight="normal", loc="center", pad=6)
    axes.axhline(undecided, color=ACCENT, linewidth=1.4)
    ticks = {0.0: "0", largest: f"{largest:.2f}"}
    if 0.12 < undecided / largest < 0.88:
        ticks[undecided] = f"1/{tutors}"
    axes.set_yticks(list(ticks), ticks.values(), fontsize=8)


def channel_probabilities(
    history: dict[str, np.ndarray], widths: dict[str, Sequence[int]]
) -> dict[str, str]:
    """Draw how the probability of each width moved, one small picture per choice.

    Args:
        history: by name of the choice, (epochs, n_choices) probabilities after each epoch.
        widths: by name of the choice, the n_choices widths in channels.
    """
    # One scale for all, so that the panels can be compared.
    top = max([0.5, *(1.08 * np.max(values) for values in history.values())])
    return {
        name: _channel_panel(name.removesuffix("_choice"), history[name], widths[name], top)
        for name in history
    }


def _channel_panel(name: str, history: np.ndarray, widths: Sequence[int], top: float) -> str:
    """Draw one choice: the chosen width bold, the four most probable ones named at their ends."""
    with report_style():
        figure, axes = _panel(f"block {short_layer(name)}", "probability")
        ascending = np.argsort(history[-1], kind="stable")
        chosen = history[-1].argmax()
        for choice in ascending:
            colour, width = (INK, 2.2) if choice == chosen else (QUIET, 1.1)
            _line(axes, history[:, choice], colour, width)
        _end_title(axes, "channels")
        axes.set_ylim(0, top)
        axes.set_yticks([share for share in (0, 0.5, 1) if share <= top])
        named = ascending[-4:]
        for choice, height in zip(named, spread(history[-1, named], 0.13 * top), strict=True):
            _end_label(axes, str(widths[choice]), height, bold=choice == chosen)
        return svg(figure)


def tutor_entropy(entropy: np.ndarray, tutors: int) -> str:
    """Draw exp(entropy), the number of tutors still in play, after each epoch.

    Args:
        entropy: (epochs,) entropy of the tutor choices in nats, mean over the student layers.
        tutors: n_t, as many as an undecided choice has in play.
    """
    with report_style():
        figure, axes = _panel("tutors in play", "teacher layers")
        in_play = np.exp(entropy)
        axes.axhline(tutors, color=ACCENT, linewidth=1.2, linestyle=(0, (3, 2)))
        _line(axes, in_play, INK, 2.2)
        axes.set_ylim(0, 1.15 * tutors)
        axes.set_yticks([0, tutors])
        _end_label(axes, f"{in_play[-1]:.1f}", in_play[-1], bold=True)
        return svg(figure)


def gumbel_temperature(temperature: np.ndarray) -> str:
    """Draw the temperature of each epoch, (epochs,)."""
    with report_style():
        figure, axes = _panel("Gumbel temperature")
        _line(axes, temperature, INK, 2.2)
        axes.set_ylim(0, 1.15 * np.max(temperature))
        axes.set_yticks([0, round(float(np.max(temperature)), 1)])
        _end_label(axes, f"{temperature[-1]:.2f}", temperature[-1], bold=True)
        return svg(figure)


def _panel(title: str, upwards: str = "") -> tuple[Figure, Axes]:
    """Return one panel of the small multiples, epochs to the right, and what is meant upwards."""
    figure = Figure(figsize=(2.3, 1.6))
    axes = figure.add_axes((0.18, 0.23, 0.67, 0.61))
    axes.set_title(title, pad=6)
    axes.set_xlabel("epoch", loc="right", labelpad=1, fontsize=8)
    axes.set_ylabel(upwards, labelpad=1, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.tick_params(labelsize=8)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    return figure, axes


def _line(axes: Axes, values: np.ndarray, colour: str, width: float) -> None:
    epochs = np.arange(1, len(values) + 1)
    # A line through one point would not be seen, nor would its axis count epochs.
    marker = "o" if len(values) == 1 else None
    axes.plot(epochs, values, color=colour, linewidth=width, marker=marker)
    if len(values) == 1:
        axes.set_xlim(0, 2)


def _end_label(axes: Axes, text: str, height: float, *, bold: bool) -> None:
    """Write at a line's end, outside the axes, instead of a legend."""
    axes.annotate(
        text,
        (1.03, height),
        xycoords=("axes fraction", "data"),
        va="center",
        color=INK if bold else MUTED,
        fontweight="bold" if bold else "normal",
    )


def _end_title(axes: Axes, text: str) -> None:
    """Say above the labels at the lines' ends what they are."""
    axes.annotate(
        text, (1.17, 1.06), xycoords="axes fraction", ha="right", fontsize=7.5, color=MUTED
    )


def spread(ascending: np.ndarray, gap: float) -> np.ndarray:
    """Return ascending label positions pushed down to lie at least `gap` apart, none below 0."""
    placed = np.array(ascending, float)
    for i in range(len(placed) - 2, -1, -1):
        placed[i] = min(placed[i], placed[i + 1] - gap)
    return np.maximum(placed, gap * np.arange(len(placed)))
