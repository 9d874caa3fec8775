"""`rnascl compare`: the same student trained in many ways, as a table, a picture and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from rnascl_keras.comparison.differences import differences
from rnascl_keras.comparison.methods import find_methods
from rnascl_keras.comparison.plot import picture
from rnascl_keras.comparison.rows import Measures, compare_rows
from rnascl_keras.comparison.table import (
    by_pair,
    comparison_table,
    differences_table,
    in_words,
)
from rnascl_keras.console import PlainConsole
from rnascl_keras.files.whole import atomic_write, write_json
from rnascl_keras.run.workdir import Run


def compare_run(
    run: Run,
    methods: Sequence[str],
    seeds: Sequence[int],
    radii: Sequence[float],
    auto_attack: int,
    command: str = "",
) -> None:
    """Write `compare.json` and `compare.svg` into the work folder, and print the table.

    Args:
        run: of the recipe.
        methods: names, see `comparison.methods.METHODS`.
        seeds: a row of each method for each.
        radii: of PGD-20; by default a quarter, a half and the whole of `evaluation.epsilon`.
        auto_attack: number of images for AutoAttack.
        command: what was given on the command line.

    Raises:
        UserError: a method is none.
    """
    find_methods(methods)
    epsilon = run.recipe.evaluation.epsilon
    chosen = radii or [epsilon / 4, epsilon / 2, epsilon]
    rows = compare_rows(run, methods, seeds, Measures(tuple(sorted(chosen)), auto_attack))
    found = differences(rows)
    facts = {
        "recipe": run.recipe.name,
        "command": command or run.command_line("compare"),
        "settings": run.recipe.model_dump(mode="json"),
    }
    write_json(run.path("compare.json"), facts | {"rows": rows, "differences": found})
    atomic_write(run.path("compare.svg"), picture(run.recipe.data.source, rows))
    _print(f"{run.recipe.name}, first {rows[0]['n']} test images, in %", rows, found)
    run.say(f"compare: {run.path('compare.json')}, {run.path('compare.svg')}")


def _print(title: str, rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """Print the table, and what was `found` of the differences between methods."""
    console = PlainConsole()
    console.print(comparison_table(title, rows))
    if found:
        names = {row["method"]: row["name"] for row in rows}
        console.print(differences_table(names, found))
        for pair in by_pair(found).values():
            console.print(Text(in_words(names, pair)))
