"""Several numbers in one option of the command line."""

from __future__ import annotations

from rnascl_keras.errors import UserError
from rnascl_keras.section import SEEDS
from rnascl_keras.units import parse_number


def parse_channels(option: str, text: str | None) -> tuple[float, ...] | None:
    """Return the numbers in `0.49,0.48,0.45` or `125/255`, None for None.

    Raises:
        UserError: they are no numbers.
    """
    if text is None:
        return None
    numbers = [parse_number(number) for number in text.split(",")]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        raise UserError(
            f"{option} takes one number per channel such as 0.49,0.48,0.45, or 125/255; "
            f"got {text!r}."
        )
    return tuple(known)


def parse_normalisation(
    mean: str | None, std: str | None, pixels: str | None
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return mean and standard deviation, of pixels in [0, 1], from the texts of three options.

    Args:
        mean, std: as `parse_channels` reads them.
        pixels: a range such as `0..255` or `-1..1`, in the place of both.

    Raises:
        UserError: they are no numbers, no range, or all given.
    """
    if pixels is None:
        return parse_channels("--mean", mean), parse_channels("--std", std)
    if mean is not None or std is not None:
        raise UserError("--pixels says what --mean and --std say, too; give the one or the others.")
    low, high = (parse_number(end) for end in (*pixels.split("..", 1), "")[:2])
    if low is None or high is None or not low < high:
        raise UserError(f"--pixels takes a range such as 0..255 or -1..1; got {pixels!r}.")
    width = high - low
    # low + width * x = (x - mean) / std
    return (-low / width,), (1 / width,)


def parse_seeds(text: str) -> list[int]:
    """Return the seeds in `0,1`.

    Raises:
        UserError: they are no integers of at least 0, or too large.
    """
    parts = text.split(",")
    seeds = [int(part) for part in parts if part.strip().isdecimal()]
    if len(seeds) < len(parts) or max(seeds) >= SEEDS:
        raise UserError(
            f"--seeds wants integers from 0 to {SEEDS - 1:,} such as 0,1; got {text!r}."
        )
    if twice := [seed for k, seed in enumerate(seeds) if seed in seeds[:k]]:
        raise UserError(
            f"--seeds names {twice[0]} twice, which is one training; give each seed once."
        )
    return seeds
