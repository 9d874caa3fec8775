"""Several numbers in one option of the command line."""

from __future__ import annotations

from rnascl_keras.errors import UserError


def parse_channels(option: str, text: str | None) -> tuple[float, ...] | None:
    """Return the numbers in `0.49,0.48,0.45`, None for None.

    Raises:
        UserError: they are no numbers.
    """
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise UserError(
            f"{option} takes one number per channel such as 0.49,0.48,0.45; got {text!r}."
        ) from error


def parse_seeds(text: str) -> list[int]:
    """Return the seeds in `0,1`.

    Raises:
        UserError: they are no integers of at least 0.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise UserError(f"--seeds wants integers of at least 0 such as 0,1; got {text!r}.")
    return [int(part) for part in parts]
