"""Clean against robust accuracy, as the paper's Figure 1: arrays in, one SVG text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnascl_keras.comparison.published_results import PublishedResult
from rnascl_keras.comparison.table import by_method
from rnascl_keras.plots import ACCENT, FAINT, INK, MUTED, report_style, svg
from rnascl_keras.summary import radius

COLOURS = {False: "#2b6cb0", True: ACCENT}


def clean_against_robust(
    rows: Sequence[dict[str, Any]], published: Sequence[PublishedResult] = ()
) -> str:
    """Draw each method's mean over its seeds; the marker's area grows with the multiply-adds.

    Args:
        rows: as `rows.compare_rows` returns them; PGD-20 at their largest radius is drawn.
        published: points to draw hollow beside, as published.
    """
    with report_style():
        figure = Figure(figsize=(5.6, 4.2))
        axes = figure.add_axes((0.1, 0.12, 0.86, 0.82))
        for point in published:
            size = _area(1e6 * point.macs)
            colour = COLOURS[point.adversarial]
            axes.scatter(point.clean, point.pgd20, size, "none", edgecolors=colour, alpha=0.5)
            _label(axes, f"{point.name}*", point.clean, point.pgd20, MUTED)
        for found in by_method(rows).values():
            clean = 100 * np.mean([row["accuracy"] for row in found])
            robust = 100 * np.mean([row["pgd20"]["accuracy"][-1] for row in found])
            colour = COLOURS[found[0]["adversarial"]]
            axes.scatter(clean, robust, _area(found[0]["macs"]), colour, edgecolors=INK, zorder=3)
            _label(axes, found[0]["name"], clean, robust, INK)
        axes.set_xlabel("clean accuracy, %")
        axes.set_ylabel(f"PGD-20 at {radius(rows[0]['pgd20']['epsilon'][-1])}, %")
        axes.grid(color=FAINT)
        axes.margins(0.12)
        note = "orange: with adversarial images"
        note += "; hollow, *: as published in the paper, not measured here" if published else ""
        axes.set_title(note, fontsize=7.5, color=MUTED, fontweight="normal")
        return svg(figure)


def _area(macs: float) -> float:
    """Return a marker's area in points^2: 40 for a million multiply-adds, 40 more each tenfold."""
    return 40 + 40 * max(0.0, np.log10(macs / 1e6))


def _label(axes: Any, text: str, x: float, y: float, colour: str) -> None:
    axes.annotate(text, (x, y), xytext=(6, 4), textcoords="offset points", fontsize=7, color=colour)
