"""Clean against robust accuracy, as the paper's Figure 1: arrays in, one SVG text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnascl_keras.comparison.published_results import (
    RADII,
    TABLE_1,
    PublishedResult,
    is_published_at,
)
from rnascl_keras.comparison.table import by_method
from rnascl_keras.report.search_plots import spread
from rnascl_keras.report.style import ACCENT, FAINT, INK, MUTED, report_style, svg
from rnascl_keras.units import radius

COLOURS = {False: "#2b6cb0", True: ACCENT}
LINE = 0.13
"""Of the column of names, in inches."""
SHARE = 0.82
"""Of the picture's height, that the axes and the names take."""


def picture(source: str, rows: Sequence[dict[str, Any]]) -> str:
    """Draw a comparison on the data of `source`: on CIFAR-10 the paper's own points beside."""
    return clean_against_robust(rows, TABLE_1 if source == "cifar10" else ())


def clean_against_robust(
    rows: Sequence[dict[str, Any]], published: Sequence[PublishedResult] = ()
) -> str:
    """Draw each method's mean over its seeds; the marker's area grows with the multiply-adds.

    Args:
        rows: as `rows.compare_rows` returns them; PGD-20 at their largest radius is drawn.
        published: points to draw hollow beside, as published, where that radius is theirs.
    """
    epsilon = rows[0]["pgd20"]["epsilon"][-1]
    note = "orange: with adversarial images"
    if published and is_published_at(epsilon):
        note += "; hollow, *: as published in the paper, not measured here"
    elif published:
        note += f"; what is published is at {radius(RADII[0])} and not shown"
        published = ()
    points = [
        (f"{point.name}*", point.clean, point.pgd20, 1e6 * point.macs, point.adversarial)
        for point in published
    ]
    for found in by_method(rows).values():
        clean = 100 * float(np.mean([row["accuracy"] for row in found]))
        robust = 100 * float(np.mean([row["pgd20"]["accuracy"][-1] for row in found]))
        macs = float(np.mean([row["macs"] for row in found]))
        points.append((found[0]["name"], clean, robust, macs, found[0]["adversarial"]))
    with report_style():
        height = max(4.4, LINE * len(points) / SHARE)
        figure = Figure(figsize=(7.4, height))
        axes = figure.add_axes((0.08, 0.11, 0.62, SHARE))
        for k, (_, clean, robust, macs, adversarial) in enumerate(points):
            colour = COLOURS[adversarial]
            if k < len(published):
                axes.scatter(clean, robust, _area(macs), "none", edgecolors=colour, alpha=0.5)
            else:
                axes.scatter(clean, robust, _area(macs), colour, edgecolors=INK, zorder=3)
        axes.set_xlabel("clean accuracy, %")
        axes.set_ylabel(f"PGD-20 at {radius(epsilon)}, %")
        axes.grid(color=FAINT)
        axes.margins(0.08)
        axes.set_title(note, fontsize=7.5, color=MUTED, fontweight="normal")
        inks = [MUTED] * len(published) + [INK] * (len(points) - len(published))
        _name(axes, [point[:3] for point in points], inks, LINE / (SHARE * height))
        return svg(figure)


def _area(macs: float) -> float:
    """Return a marker's area in points^2: 40 for a million multiply-adds, 40 more each tenfold."""
    return 40 + 40 * max(0.0, np.log10(macs / 1e6))


def _name(
    axes: Axes, points: Sequence[tuple[str, float, float]], inks: Sequence[str], line: float
) -> None:
    """Write names in a column at the right, each with a line to its point (clean, robust).

    Args:
        line: its height as a share of the axes'.
    """
    low, high = axes.get_ylim()
    heights = (np.array([robust for _, _, robust in points]) - low) / (high - low)
    order = np.argsort(heights, kind="stable")
    for k, height in zip(order, spread(heights[order], line), strict=True):
        name, clean, robust = points[k]
        axes.annotate(
            name,
            (clean, robust),
            xytext=(1.04, height),
            textcoords="axes fraction",
            va="center",
            fontsize=7,
            color=inks[k],
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.7, "relpos": (0, 0.5)},
        )
