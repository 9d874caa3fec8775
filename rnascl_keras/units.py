"""How numbers of a kind, and words, are written for people, and how radii are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from rnascl_keras.errors import UserError

_MOST_DECIMALS = 12


def with_capital(words: str) -> str:
    """Begin words with a capital, and leave all other letters as they are."""
    return words[:1].upper() + words[1:]


def percent(share: float) -> str:
    """Write a share of 0 to 1 as a percentage with one decimal, without its sign: 0.842 as 84.2."""
    return f"{100 * share:.1f}"


def percents_apart(one: float, other: float) -> tuple[str, str]:
    """Write two shares as `percent` does, with as many more decimals as tell them apart: 0.3996 and
    0.4 as 39.96 and 40.00. Where even `_MOST_DECIMALS` do not, they are as good as equal."""
    for decimals in range(1, _MOST_DECIMALS):
        written = f"{100 * one:.{decimals}f}", f"{100 * other:.{decimals}f}"
        if written[0] != written[1]:
            return written
    return percent(one), percent(other)


def points(difference: float) -> str:
    """Write a difference of shares in percentage points with its sign: 0.0123 as ``+1.2``."""
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def count(number: int) -> str:
    """Write a count to three digits with its SI suffix: 113210 as ``113 k``."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        # 999,950 and above would round to "1000 k".
        if number >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.{_decimals(scaled)}f}{suffix}"
    return str(number)


def _decimals(number: float) -> int:
    """Return how many decimals a number above 0 has when it is rounded to three digits."""
    _, exponent = f"{number:.2e}".split("e")  # of the rounded one: 9.996 is 10.0
    return max(0, 2 - int(exponent))


def counted(number: int, word: str, plural: str = "s") -> str:
    """Write how many there are of something: ``1 epoch``, ``2 epochs``, ``1,200 batches``.

    Args:
        number: of them.
        word: for one.
        plural: what the word ends in where there is not one.
    """
    return f"{number:,} {word}" + ("" if number == 1 else plural)


def size(number: float) -> str:
    """Write a number of bytes: 46007 as ``46.0 kB``."""
    return f"{count(round(number))}B" if number >= 1000 else f"{number:.0f} B"


def milliseconds(number: float) -> str:
    """Write milliseconds to three digits: ``0.0222``, ``12.3``, ``1,240``."""
    return f"{number:,.{_decimals(number) if number > 0 else 0}f}"


def radius(epsilon: float) -> str:
    """Write a radius in [0, 1] pixel units, as a fraction of 255 where it is one: ``8/255``; but
    51/255 and its like as ``0.2``."""
    levels = epsilon * 255
    whole = round(levels)
    if whole and whole % 51 == 0 and abs(levels - whole) < 1e-4:
        return f"{whole / 255:g}"
    return f"{whole}/255" if whole and abs(levels - whole) < 1e-4 else f"{epsilon:.3g}"


def duration(seconds: float) -> str:
    """Write seconds as ``48 s``, ``12 min 05 s`` or ``3 h 07 min``."""
    total = round(seconds)
    if total < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    minutes = round(total / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def parse_number(text: str) -> float | None:
    """Return the number that `8/255`, `2.5/255` or `0.031` stands for, None where it is none."""
    parts = text.split("/")
    if len(parts) > 2:  # which Fraction would read by itself: 8/255/2 as 8 over 255/2
        return None
    try:
        return float(Fraction(parts[0]) / Fraction(*parts[1:] or [1]))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


RADII = {
    "Linf": (1.0, "in (0, 1] such as 8/255"),
    "L0": (math.inf, "of pixels, a whole one such as 10"),
}
"""The largest radius of a norm, and its radii in words, where they are not just positive."""


def parse_radius(text: str, norm: str = "Linf", option: str = "--eps") -> float:
    """Return the radius that `8/255` or `0.031` stands for.

    Raises:
        UserError: it is no number in (0, 1], for L0 no whole one, or for other norms not positive.
    """
    epsilon = parse_number(text)
    largest, expected = RADII.get(norm, (math.inf, "above 0 such as 0.5"))
    whole = norm != "L0" or (epsilon is not None and epsilon.is_integer())
    if epsilon is None or not 0 < epsilon <= largest or not whole:
        raise UserError(f"{option} must be a number {expected}; got {text!r}.")
    return epsilon


USUAL_ELSEWHERE = {"L2": "0.5", "L1": "12", "L0": "10"}
"""The usual radii on CIFAR-10 in other norms than Linf."""


def usual_radius(norm: str) -> str:
    """Return the radius that is attacked within where none is given.

    Raises:
        UserError: in this norm 8/255 is next to nothing, and every model would look robust.
    """
    if norm in USUAL_ELSEWHERE:
        raise UserError(
            f"--norm {norm} needs --eps: the default, 8/255, is a radius of Linf. On CIFAR-10 "
            f"--eps {USUAL_ELSEWHERE[norm]} is usual."
        )
    return "8/255"


def parse_radii(text: str | None, norm: str = "Linf", option: str = "--radii") -> list[float]:
    """Return the radii in `2/255,0.031`, none for None; UserError as of `parse_radius`."""
    radii = [] if text is None else [parse_radius(one, norm, option) for one in text.split(",")]
    if twice := [radius for k, radius in enumerate(radii) if radius in radii[:k]]:
        raise UserError(f"{option} names {twice[0]:g} twice; give each radius once.")
    return radii


def first_few(names: Sequence[str], most: int = 3) -> str:
    """Write the first of many names: ``a, b, c, ...``."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
