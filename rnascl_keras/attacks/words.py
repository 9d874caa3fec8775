"""How attacks say what they do: parts of the phrase that stands beside an accuracy."""

from __future__ import annotations

WHERE_IT_STARTS = {True: "random start", False: "no random start"}


def counted_steps(steps: int) -> str:
    """Return e.g. ``1 step`` or ``1,000 steps``."""
    return f"{steps:,} step{'' if steps == 1 else 's'}"


def steps_in_words(steps: int, step_size: float, epsilon: float) -> str:
    """Return e.g. ``20 steps of ε/4``, or ``20 steps of 0.3 ε`` where no whole number divides it.

    Args:
        steps: number of steps.
        step_size: length of one, in the norm.
        epsilon: radius of the ball, in the norm.
    """
    counted = counted_steps(steps)
    if not epsilon or not step_size:
        return counted
    parts = epsilon / step_size
    if parts < 0.5 or abs(parts - round(parts)) > 1e-6 * parts:
        return f"{counted} of {step_size / epsilon:.3g} ε"
    return f"{counted} of ε" + (f"/{round(parts)}" if round(parts) > 1 else "")


def runs_in_words(runs: int, targets: int = 0) -> str:
    """Return e.g. ``one run``, or ``2 runs against each of 9 targets``."""
    counted = "one run" if runs == 1 else f"{runs} runs"
    return f"{counted} against each of {targets} targets" if targets else counted
