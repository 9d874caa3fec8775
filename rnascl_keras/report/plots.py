"""The report's pictures of what the models do: arrays in, one SVG text out; and the shared style.

Text stays text in the SVGs, so that they print sharply and stay small; no picture says anything
by colour alone. Figures are made without pyplot: no window, no state left behind.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnascl_keras.report.keys import MODELS, attack_name, short_layer
from rnascl_keras.units import percent

INK, MUTED, FAINT = "#1f2933", "#5f6b7a", "#d5dbe1"
ACCENT, WRONG = "#d97917", "#b42318"
MODEL_COLOURS = {"teacher": "#a9b3bf", "student": "#2b6cb0", "student_trades": ACCENT}
LINE_COLOURS = {**MODEL_COLOURS, "teacher": MUTED}
"""Darker where the colour is that of text and thin lines."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rnascl",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
TILE, TILE_GAP = 0.72, 0.05  # inches


@contextmanager
def report_style() -> Iterator[None]:
    """The report's style for the figures made inside, whatever the caller's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def svg(figure: Figure) -> str:
    """Return the figure as SVG, the same text for the same arrays."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def label_room(names: Sequence[str]) -> float:
    """Return the inches that the longest layer name needs at 8 points, as it is written."""
    return 0.07 * max(len(short_layer(name)) for name in names) + 0.08


def robust_accuracy(models: dict[str, dict[str, Any]], keys: Sequence[str]) -> str:
    """Draw the accuracy under each attack as grouped bars with their 95 % intervals.

    Args:
        models: by model, `accuracy` and `intervals` (low, high) by attack, all from 0 to 1.
        keys: the attacks, in the order of the groups.
    """
    with report_style():
        figure = Figure(figsize=(4.9, 2.7))
        axes = figure.add_axes((0.085, 0.1, 0.91, 0.78))
        step = 0.88 / len(models)
        for rank, (model, figures) in enumerate(models.items()):
            _bars(axes, model, figures, keys, (rank - (len(models) - 1) / 2) * step, 0.9 * step)
        axes.set_xticks(range(len(keys)), map(attack_name, keys), color=INK)
        axes.set_ylim(0, 106)
        axes.set_yticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        figure.legend(
            loc="upper left", ncols=len(models), frameon=False, handlelength=1, borderaxespad=0.1
        )
        return svg(figure)


def _bars(
    axes: Axes, model: str, figures: dict[str, Any], keys: Sequence[str], shift: float, width: float
) -> None:
    """Draw one model's bars, `shift` off the middles of the groups."""
    measured = [(i, key) for i, key in enumerate(keys) if key in figures["accuracy"]]
    x = np.array([i + shift for i, _ in measured])
    shares = np.array([figures["accuracy"][key] for _, key in measured])
    low, high = np.array([figures["intervals"][key] for _, key in measured]).T
    axes.bar(x, 100 * shares, width, color=MODEL_COLOURS[model], label=MODELS[model])
    axes.vlines(x, 100 * low, 100 * high, color=INK, linewidth=1.1)
    for place, share, top in zip(x, shares, high, strict=True):
        axes.annotate(
            percent(share),
            (place, 100 * top),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
        )


def attention_maps(
    images: np.ndarray,
    labels: Sequence[Any],
    predictions: Sequence[Any],
    attention: Sequence[dict[str, Any]],
    attacked: bool = False,
) -> str:
    """Draw images, and under each where student layers and their tutors look.

    Args:
        images: (k, h, w, c), pixels in [0, 1], c = 1 or 3.
        labels: k true classes, names or numbers.
        predictions: the k classes that the student predicts.
        attention: by pair of layers, `student_layer`, `teacher_layer` and the maps `student` and
            `teacher`, (k, h', w') each; every map is scaled to its own range.
        attacked: whether every second image is the one before it, attacked.
    """
    rows = [
        (who, pair[f"{side}_layer"], pair[side])
        for pair in attention
        for who, side in (("student", "student"), ("its tutor", "teacher"))
    ]
    left = label_room([*(layer for _, layer, _ in rows), "its tutor"]) + 0.1
    top, pair_gap = 0.45, 0.16
    pitch = TILE + TILE_GAP
    couple_gap = 0.14 if attacked else 0.0
    width = left + len(images) * pitch + len(images) // 2 * couple_gap
    height = top + (1 + len(rows)) * pitch + len(attention) * pair_gap
    with report_style():
        figure = Figure(figsize=(width, height), dpi=144)

        def tile(row: int, column: int, picture: np.ndarray, **colours: Any) -> Axes:
            # The image is row 0; a student's row and its tutor's stand close together.
            bottom = height - top - row * pitch - (row + 1) // 2 * pair_gap - TILE
            begin = left + column * pitch + column // 2 * couple_gap
            axes = figure.add_axes((begin / width, bottom / height, TILE / width, TILE / height))
            axes.imshow(picture, **colours)
            axes.set_axis_off()
            return axes

        for column, image in enumerate(images):
            # (h, w, 1) -> (h, w); colour images stay (h, w, 3)
            axes = tile(0, column, image.squeeze(), cmap="gray", vmin=0, vmax=1)
            shown = "attacked" if attacked and column % 2 else labels[column]
            _verdict(axes, shown, labels[column] == predictions[column], predictions[column])
        for row, (who, layer, maps) in enumerate(rows, start=1):
            tiles = [tile(row, column, map_, cmap="inferno") for column, map_ in enumerate(maps)]
            _row_title(tiles[0], who, short_layer(layer))
        return svg(figure)


def _verdict(axes: Axes, title: Any, right: bool, prediction: Any) -> None:
    """Write a title above an image, and what the student says under it."""
    axes.set_title(
        f"{title}\n{'✓' if right else f'✗ {prediction}'}",
        loc="center",
        fontsize=8,
        fontweight="normal",
        pad=3,
        color=INK if right else WRONG,
    )


def _row_title(axes: Axes, who: str, layer: str) -> None:
    for height, text, style in (
        (0.64, who, {"color": MUTED}),
        (0.38, layer, {"fontweight": "bold"}),
    ):
        axes.text(
            -0.1,
            height,
            text,
            ha="right",
            va="center",
            fontsize=8,
            transform=axes.transAxes,
            **style,
        )
