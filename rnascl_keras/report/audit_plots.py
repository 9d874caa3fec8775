"""Pictures of how one model or file fares: accuracies, confusion, images that were fooled."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnascl_keras.report.keys import all_keys, attack_name, shown_keys
from rnascl_keras.report.style import (
    ACCENT,
    INK,
    MODEL_COLOURS,
    MUTED,
    WRONG,
    axes_in_inches,
    drawable,
    report_style,
    svg,
)
from rnascl_keras.units import percent

BLUE = MODEL_COLOURS["student"]
ROW, TILE, PITCH, LEFT = 0.34, 0.86, 0.93, 0.95
"""In inches: a bar's row; a picture of the gallery, from one to the next, and left of them."""


def accuracy_bars(facts: dict[str, Any]) -> str:
    """Draw a bar for clean images, each attack and the worst case, with 95 % intervals."""
    keys = shown_keys(all_keys([facts["accuracy"]]))
    shares = np.array([facts["accuracy"][key] for key in keys])
    low, high = np.array([facts["intervals"][key] for key in keys]).T
    with report_style():
        figure = Figure(figsize=(4.9, 0.45 + ROW * len(keys)))
        axes = axes_in_inches(figure, 1.05, 0.1, 3.6, ROW * len(keys))
        places = np.arange(len(keys))
        colours = [BLUE if key == "clean" else ACCENT for key in keys]
        axes.barh(places, 100 * shares, 0.62, color=colours)
        axes.hlines(places, 100 * low, 100 * high, color=INK, linewidth=1.1)
        for place, share, top in zip(places, shares, high, strict=True):
            axes.annotate(
                percent(share),
                (100 * top, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(places, map(attack_name, keys), color=INK)
        axes.set_ylim(len(keys) - 0.5, -0.5)
        axes.set_xlim(0, 108)
        axes.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
        axes.grid(axis="x")
        return svg(figure)


def confusion_map(facts: dict[str, Any], key: str | None) -> str:
    """Draw which classes images are taken for, clean and under an attack: rows are true classes.

    Args:
        facts: of a file.
        key: of the attack; None: clean images alone.
    """
    names = facts["class_names"]
    shown = ["clean", *([key] if key else [])]
    side = max(1.6, 0.2 * len(names))
    room = 0.075 * max(map(len, names)) + 0.12
    with report_style():
        figure = Figure(figsize=(room + len(shown) * (side + 0.35) + 0.1, side + room + 0.4))
        for place, own in enumerate(shown):
            counts = np.array(facts["confusion"][own], float)
            # of all images of a class: some may be given none
            shares = counts / np.maximum(np.array(facts["class_counts"])[:, None], 1)
            axes = axes_in_inches(figure, room + place * (side + 0.35), 0.3, side, side)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            axes.set_title(attack_name(own))
            ticks = np.arange(len(names))
            axes.set_xticks(ticks, names, rotation=90, fontsize=7.5)
            axes.set_yticks(ticks, names if place == 0 else [], fontsize=7.5)
            for spine in axes.spines.values():
                spine.set_visible(False)
            if len(names) <= 10:
                _write_shares(axes, shares)
        return svg(figure)


def _write_shares(axes: Any, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            axes.text(
                column,
                row,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=6,
                color="white" if share > 0.6 else INK,
            )


def _factor(largest: float) -> str:
    """Write by how much a change is scaled that then reaches from black to white; one of more than
    a half is drawn smaller than it is."""
    factor = 1 / (2 * largest)
    return f"{factor:.2g}" if factor < 10 else f"{factor:.0f}"


def gallery(examples: Any, facts: dict[str, Any]) -> str:
    """Draw images that were classified right and then fooled: as they were, what was changed,
    at the scale that is written beside it, and as they were attacked.

    Args:
        examples: see `evaluation.Examples`; at least one.
        facts: of the file.
    """
    names = facts["class_names"]
    change = examples.attacked - examples.images
    largest = np.abs(change).max()
    rows = (
        ("image", examples.images),
        ("change", 0.5 + change / (2 * largest) if largest else 0.5 + change),
        ("attacked", examples.attacked),
    )
    count = len(examples.rows)
    with report_style():
        figure = Figure(figsize=(LEFT + count * PITCH, 0.35 + 3 * PITCH + 0.3), dpi=144)
        for row, (title, pictures) in enumerate(rows):
            top = 0.3 + row * PITCH
            for column in range(count):
                axes = axes_in_inches(figure, LEFT + column * PITCH, top, TILE, TILE)
                axes.imshow(drawable(pictures[column]), cmap="gray", vmin=0, vmax=1)
                axes.set_axis_off()
                if row == 0:
                    own = names[examples.labels[column]]
                    axes.set_title(own, loc="center", fontsize=8, fontweight="normal", pad=3)
                if row == 2:
                    axes.text(
                        0.5,
                        -0.08,
                        f"✗ {names[examples.answers[column]]}",
                        transform=axes.transAxes,
                        ha="center",
                        va="top",
                        fontsize=8,
                        color=WRONG,
                    )
            words = f"change\n× {_factor(largest)}" if row == 1 and largest else title
            figure.text(
                (LEFT - 0.1) / (LEFT + count * PITCH),
                1 - (top + TILE / 2) / figure.get_size_inches()[1],
                words,
                ha="right",
                va="center",
                fontsize=8,
                color=MUTED,
            )
        return svg(figure)
