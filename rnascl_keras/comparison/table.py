"""The rows of a comparison as a table: mean over the seeds, and the smallest and largest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from rnascl_keras.summary import count, percent, radius


def by_method(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each method, in the order in which methods first appear."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(row)
    return found


def spread(shares: Sequence[float]) -> str:
    """Write shares of 0 to 1 as their mean in %, with the smallest and largest of several."""
    mean = percent(sum(shares) / len(shares))
    return (
        mean if len(shares) == 1 else f"{mean} ({percent(min(shares))} to {percent(max(shares))})"
    )


def comparison_table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Return a table with a line for each method.

    Args:
        title: above it.
        rows: as `rows.compare_rows` returns them, all of one recipe.
    """
    radii = rows[0]["pgd20"]["epsilon"]
    strong = [row["auto_attack"] for row in rows if "auto_attack" in row]
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for head in ("Param.", "MACs", "Clean"):
        table.add_column(head, justify="right")
    for epsilon in radii:
        table.add_column(f"PGD-20\n{radius(epsilon)}", justify="right")
    if strong:
        head = f"AA\n{radius(strong[0]['epsilon'])}\nn={strong[0]['n']}"
        table.add_column(head, justify="right")
    for found in by_method(rows).values():
        first = found[0]
        cells = [first["name"], count(first["parameters"]), count(first["macs"])]
        cells.append(spread([row["accuracy"] for row in found]))
        for k in range(len(radii)):
            cells.append(spread([row["pgd20"]["accuracy"][k] for row in found]))
        if strong:
            cells.append(spread([row["auto_attack"]["accuracy"] for row in found]))
        table.add_row(*cells)
    seeds = sorted({row["seed"] for row in rows})
    table.caption = f"seeds {', '.join(map(str, seeds))}: mean (smallest to largest)"
    if strong:
        table.caption += "; AA: AutoAttack, standard"
    return table
