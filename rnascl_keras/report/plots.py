"""The report's pictures of what the models do: arrays in, one SVG text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from rnascl_keras.report.keys import MODELS, attack_name, short_layer
from rnascl_keras.report.style import (
    INK,
    MODEL_COLOURS,
    MUTED,
    WRONG,
    axes_in_inches,
    drawable,
    label_room,
    report_style,
    svg,
)
from rnascl_keras.units import percent

# In inches: a tile, from one tile to the next, above the tiles, between pairs of rows.
TILE, PITCH, TOP, PAIR_GAP = 0.72, 0.77, 0.45, 0.16


def robust_accuracy(
    models: dict[str, dict[str, Any]], keys: Sequence[str], names: Mapping[str, str] = MODELS
) -> str:
    """Draw the accuracy under each attack as grouped bars with their 95 % intervals.

    Args:
        models: by model, `accuracy` and `intervals` (low, high) by attack, all from 0 to 1.
        keys: the attacks, in the order of the groups.
        names: how the models are written, by key.
    """
    with report_style():
        figure = Figure(figsize=(4.9, 2.7))
        axes = figure.add_axes((0.085, 0.1, 0.91, 0.78))
        step = 0.88 / len(models)
        for rank, (model, figures) in enumerate(models.items()):
            shift = (rank - (len(models) - 1) / 2) * step
            bars = _bars(axes, model, figures, keys, shift, 0.9 * step)
            bars.set_label(names[model])
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
) -> BarContainer:
    """Draw one model's bars, `shift` off the middles of the groups; return them."""
    measured = [(i, key) for i, key in enumerate(keys) if key in figures["accuracy"]]
    x = np.array([i + shift for i, _ in measured])
    shares = np.array([figures["accuracy"][key] for _, key in measured])
    low, high = np.array([figures["intervals"][key] for _, key in measured]).T
    bars = axes.bar(x, 100 * shares, width, color=MODEL_COLOURS[model])
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
    return bars


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
        (who, short_layer(pair[f"{side}_layer"]), pair[side])
        for pair in attention
        for who, side in (("student", "student"), ("its tutor", "teacher"))
    ]
    left = label_room([*(layer for _, layer, _ in rows), "its tutor"]) + 0.1
    with report_style():
        tiles = _Tiles(left, len(images), len(attention), couple_gap=0.14 if attacked else 0.0)
        for column, image in enumerate(images):
            axes = tiles.draw(0, column, drawable(image), cmap="gray", vmin=0, vmax=1)
            shown = "attacked" if attacked and column % 2 else labels[column]
            _verdict(axes, shown, labels[column] == predictions[column], predictions[column])
        for row, (who, layer, maps) in enumerate(rows, start=1):
            first, *_ = [tiles.draw(row, k, map_, cmap="inferno") for k, map_ in enumerate(maps)]
            _row_title(first, who, layer)
        return svg(tiles.figure)


class _Tiles:
    """A row of images, and under it by pairs of rows a student layer's maps and its tutor's; an
    image and itself, attacked, may stand apart from the next couple, `couple_gap` in inches."""

    def __init__(self, left: float, columns: int, pairs: int, couple_gap: float) -> None:
        width = left + columns * PITCH + columns // 2 * couple_gap
        height = TOP + (1 + 2 * pairs) * PITCH + pairs * PAIR_GAP
        self.figure = Figure(figsize=(width, height), dpi=144)
        self.left, self.couple_gap = left, couple_gap

    def draw(self, row: int, column: int, picture: np.ndarray, **colours: Any) -> Axes:
        left = self.left + column * PITCH + column // 2 * self.couple_gap
        # The images are row 0; a student's row and its tutor's stand close together.
        top = TOP + row * PITCH + (row + 1) // 2 * PAIR_GAP
        axes = axes_in_inches(self.figure, left, top, TILE, TILE)
        axes.imshow(picture, **colours)
        axes.set_axis_off()
        return axes


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
    lines: tuple[tuple[float, str, dict[str, Any]], ...] = (
        (0.64, who, {"color": MUTED}),
        (0.38, layer, {"fontweight": "bold"}),
    )
    for height, text, style in lines:
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
