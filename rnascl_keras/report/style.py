"""The report's style: colours, fonts, and places in inches, for all of its pictures.

Text stays text in the SVGs, so that they print sharply and stay small; no picture says anything
by colour alone. Figures are made without pyplot: no window, no state left behind.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnascl_keras.report.keys import short_layer

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, MUTED, FAINT = "#1f2933", "#5f6b7a", "#d5dbe1"
ACCENT, WRONG = "#d97917", "#b42318"
MODEL_COLOURS = {"teacher": "#a9b3bf", "student": "#2b6cb0", "student_trades": ACCENT}
LINE_COLOURS = {**MODEL_COLOURS, "teacher": MUTED}
"""Darker where the colour is that of text and thin lines."""
STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rnascl",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is one
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


@contextmanager
def report_style() -> Iterator[None]:
    """The report's style for the figures made inside, whatever the caller's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def svg(figure: Figure) -> str:
    """Return the figure as SVG, the same text for the same arrays."""
    return drawn(figure, "svg").decode()


def drawn(figure: Figure, file_format: str) -> bytes:
    """Return the figure as "svg", the same for the same arrays, or as "png" for a screen."""
    made = io.BytesIO()
    plain = {"Date": None, "Creator": None} if file_format == "svg" else None
    figure.savefig(made, format=file_format, metadata=plain, dpi=200)
    return made.getvalue()


def drawable(image: np.ndarray) -> np.ndarray:
    """Return an image, (h, w, c), as matplotlib draws it: colours as they are, of any other number
    of channels than 3 or 4 the mean, (h, w); in [0, 1]."""
    image = np.clip(image, 0, 1)
    return image if image.shape[-1] in (3, 4) else image.mean(axis=-1)


def label_room(names: Sequence[str]) -> float:
    """Return the inches that the longest layer name needs at 8 points, as it is written."""
    return 0.07 * max(len(short_layer(name)) for name in names) + 0.08


def axes_in_inches(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes of a size, so far from the figure's top and its left, all in inches; a negative
    `left` says how far they begin from its right."""
    across, down = figure.get_size_inches()
    begin = left / across + (left < 0)
    return figure.add_axes((begin, 1 - (top + height) / down, width / across, height / down))
