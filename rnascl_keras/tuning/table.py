"""The trials of a tuning as a table."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from rnascl_keras.units import count, duration, percent, radius


def in_words(settings: dict[str, Any], own: dict[str, Any]) -> str:
    """Write what a trial changes in one phrase, e.g. ``gamma_t 10, kl teacher_student``.

    Args:
        settings: by name, the trial's.
        own: likewise, the recipe's.
    """
    changed = {name: value for name, value in settings.items() if value != own[name]}
    parts = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in changed.items()
    ]
    return ", ".join(parts) or "the recipe as it is"


def what_counts(tuning: dict[str, Any]) -> str:
    """Say in one sentence by what the trials are ranked."""
    goal = tuning["objective"]
    return (
        f"PGD-20 at {radius(goal['epsilon'])} on {goal['n']} validation images, where clean "
        f"accuracy is at least {percent(goal['least_clean'])} %"
    )


def tuning_table(tuning: dict[str, Any]) -> Table:
    """Return a table with a line for each trial, the best first.

    Args:
        tuning: as in `tune.json`.
    """
    trials = tuning["trials"]
    title = f"{tuning['recipe']}: {len(trials)} trials, accuracies in %"
    table = Table(title=title)
    for head in ("", "Clean", "PGD-20", "MACs", "Epochs", "Time"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("Changed settings", ratio=1)
    for rank, trial in enumerate(trials, start=1):
        is_enough = trial["clean"] >= tuning["objective"]["least_clean"]
        clean = percent(trial["clean"])
        table.add_row(
            str(rank),
            clean if is_enough else f"({clean})",
            percent(trial["pgd20"]),
            count(trial["macs"]),
            str(trial["epochs"]["train"]),
            duration(trial["seconds"]),
            in_words(trial["settings"], tuning["own"]),
        )
    table.caption = f"ranked by {what_counts(tuning)}; in brackets: below it, so behind"
    return table
