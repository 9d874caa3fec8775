"""Whether a search decided at all, in words: what is most probable may be hardly more so."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def undecided_words(
    tutor_entropy: np.ndarray, tutors: int, channel_history: Iterable[np.ndarray]
) -> dict[str, str]:
    """Return a sentence for the `tutors` and for the `widths`, where they stayed undecided.

    Choices are undecided if at the end, in the mean, nearer to all options than to one are in play;
    in play are exp(entropy) of n options: n at the start, 1 once decided.

    Args:
        tutor_entropy: (epochs,) in nats, the mean over the student layers; empty without a search.
        tutors: n_t, how many teacher layers each of them chooses from.
        channel_history: of each block (epochs, n_choices) probabilities.
    """
    found = {}
    if len(tutor_entropy) and _undecided(in_play := float(np.exp(tutor_entropy[-1])), tutors):
        found["tutors"] = (
            f"The search did not decide on tutors: at its end {in_play:.1f} of the teacher's "
            f"{tutors} layers were in play for a layer of the student, so the tutors that it names "
            "say little."
        )
    last = [history[-1] for history in channel_history if history.shape[1] > 1]
    if not last:
        return found
    in_play = float(np.mean([np.exp(entropy(p)) for p in last]))
    options = float(np.mean([len(p) for p in last]))
    if _undecided(in_play, options):
        found["widths"] = (
            f"The search did not decide on widths: at its end {in_play:.1f} of a block's "
            f"{options:.3g} were in play, so another run may well choose others."
        )
    return found


def _undecided(in_play: float, options: float) -> bool:
    return options > 1 and in_play - 1 > (options - 1) / 2


def entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy of distributions, (..., options) -> (...), in nats."""
    return -(p * np.log(np.maximum(p, 1e-12))).sum(axis=-1)
