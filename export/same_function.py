"""Whether two runs of a file compute one function, by the logits that they have of some images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rnascl_keras.attacks.mixing import differ
from rnascl_keras.errors import UserError


def check_repeated(path: Path, first: np.ndarray, again: np.ndarray) -> None:
    """Raise UserError where a file says otherwise of the same images when it is asked again."""
    if differ(first, again):
        raise UserError(
            f"{path} gives other logits when it is asked about the same image again, by random "
            "numbers or layers in training mode; export it for inference."
        )


def mixes(
    path: Path,
    batch: int | None,
    alone: Callable[[int], np.ndarray],
    beside: Callable[[], np.ndarray],
) -> bool:
    """Whether a file says otherwise of images where others lie beside them, so that each has to be
    asked about alone.

    Each is compared: what runs over the batch from its first image on leaves that one as it is.

    Args:
        path: of the file, for error messages.
        batch: how many images it takes at once; None where it leaves that open.
        alone: asks about one of several images, by its number.
        beside: asks about all of them at once.

    Raises:
        UserError: it says otherwise when it is asked again; or it mixes, and cannot be given one
            image alone.
    """
    first = alone(0)
    check_repeated(path, first, alone(0))
    if batch == 1:
        return False
    try:
        together = beside()
    except UserError:  # made for one image, whatever it says of its batches
        found = True
    else:
        each = [first, *(alone(k) for k in range(1, len(together)))]
        found = differ(np.concatenate(each), together)
    if found:
        check_open_batch(path, batch)
    return found


def check_open_batch(path: Path, batch: int | None) -> None:
    """Raise UserError where a file that mixes the images of a batch cannot be given one alone."""
    if (batch or 1) > 1:
        raise UserError(
            f"{path} says otherwise of an image where others lie beside it in its batch of "
            f"{batch}; export it with batches of any size, so that each can be asked about alone."
        )


def check_beside_gradient(path: Path, own: np.ndarray, found: np.ndarray) -> None:
    """Raise UserError where the graph of a gradient computes other logits than the file: its
    gradient is another function's."""
    if differ(found, own):
        raise UserError(
            f"{path}: onnxruntime says otherwise with and without its optimisations, or a rule of "
            f"ours does not fit: logits {_some(own)} of the file, {_some(found)} beside the "
            "gradient. Attack it by score (square), which needs logits only."
        )


def _some(logits: np.ndarray) -> str:
    return " ".join(f"{value:.3g}" for value in logits[0, :3])
