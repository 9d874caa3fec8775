"""The students that come with the package beside the smallest robust networks that others have
published: a table, and a picture."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from benchmarks.markdown import markdown
from benchmarks.packaged import Packaged
from rnascl_keras.report.style import ACCENT, FAINT, INK, MUTED, report_style, svg
from rnascl_keras.students import student_names
from rnascl_keras.units import count, percent


def small_models(content: dict[str, Any]) -> str:
    """Ours first, with the interval that comes of their fewer images; in % of the images right."""
    head = ["% right", "weights", "MACs", "clean", "AutoAttack, 8/255", "from"]
    return markdown(head, [_line(row) for row in (*own(), *content["rows"])])


def _line(row: dict[str, Any]) -> list[str]:
    macs = count(row["macs"]) + (", dense" if row["sparse"] else "")
    strong = f"{row['auto_attack']:.1f}"
    if "interval" in row:
        low, high = (percent(share) for share in row["interval"])
        strong += f" ({low} to {high}, n = {row['n']})"
    return [
        row["name"],
        count(row["weights"]),
        macs,
        f"{row['clean']:.1f}",
        strong,
        row["source"],
    ]


def own() -> list[dict[str, Any]]:
    """Return the packaged students as rows like the published ones."""
    rows = []
    for name in student_names():
        packaged = Packaged.of(name)
        strong = packaged.strong
        rows.append(
            {
                "name": f"`{name}`",
                "weights": packaged.size["parameters"],
                "macs": packaged.size["macs"],
                "sparse": False,
                "clean": 100 * packaged.figures["accuracy"]["clean"],
                "auto_attack": 100 * strong["accuracy"]["auto_attack"],
                "interval": strong["intervals"]["auto_attack"],
                "n": strong["n"],
                "source": "measured here",
            }
        )
    return rows


def picture(content: dict[str, Any]) -> str:
    """Draw AutoAttack over multiply-adds, ours filled with their intervals; return SVG."""
    with report_style():
        figure = Figure(figsize=(7.4, 3.6))
        axes = figure.add_axes((0.09, 0.15, 0.87, 0.76))
        for row in (*own(), *content["rows"]):
            ours = "interval" in row
            where = row["macs"] / 1e6, row["auto_attack"]
            if ours:
                low, high = (100 * share for share in row["interval"])
                axes.vlines(where[0], low, high, colors=MUTED, linewidth=1, zorder=1)
            axes.scatter(*where, 60, ACCENT if ours else "none", edgecolors=INK, zorder=2)
            # ours stand close together, so their labels are narrow
            label = row["name"].strip("`"), count(row["weights"])
            axes.annotate(
                ("\n" if ours else ", ").join(label),
                where,
                xytext=(8, 0) if where[0] < 100 else (-8, 0),
                textcoords="offset points",
                ha="left" if where[0] < 100 else "right",
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # above intervals
                fontsize=8,
                color=INK if ours else MUTED,
            )
        axes.set_xscale("log")
        axes.set_xlim(5, 1000)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("million multiply-adds of an image (sparse networks: dense, as they run)")
        axes.set_ylabel("AutoAttack at 8/255, %")
        axes.grid(color=FAINT)
        note = "CIFAR-10; filled: comes with the package, 95 % interval; hollow: as published"
        axes.set_title(note, fontsize=7.5, color=MUTED, fontweight="normal")
        return svg(figure)
