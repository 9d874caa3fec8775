"""Numbers per channel, as options of the command line give them."""

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
