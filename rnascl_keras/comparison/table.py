"""A comparison in tables and in words: means and spread over the seeds, paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from rnascl_keras.report.keys import attack_name
from rnascl_keras.units import count, percent, points, radius

VERDICTS = {"better": "better on", "worse": "worse on", "undecided": "not told apart on"}
ALL = {"better": "all measures", "worse": "all measures", "undecided": "any measure"}


def by_method(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each method, in the order in which methods first appear."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(row)
    return found


def sizes(numbers: Sequence[int]) -> str:
    """Write a size of a method's students, which may have other widths with each seed."""
    least, most = count(min(numbers)), count(max(numbers))
    return least if least == most else f"{least} to {most}"


def spread(shares: Sequence[float]) -> str:
    """Write shares of 0 to 1 as their mean in %, with the smallest and largest of several."""
    mean = percent(sum(shares) / len(shares))
    return (
        mean if len(shares) == 1 else f"{mean} ({percent(min(shares))} to {percent(max(shares))})"
    )


def comparison_table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Return a table with two lines for each method; it fits into 80 columns.

    Args:
        title: above it.
        rows: as `rows.compare_rows` returns them, all of one recipe.
    """
    radii = rows[0]["pgd20"]["epsilon"]
    strong = [row["auto_attack"] for row in rows if "auto_attack" in row]
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    heads = ["Clean", *(f"PGD-20\n{radius(epsilon)}" for epsilon in radii)]
    if strong:
        heads.append(f"AA\n{radius(strong[0]['epsilon'])}\nn={strong[0]['n']}")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for found in by_method(rows).values():
        first = found[0]
        parameters, macs = (sizes([row[key] for row in found]) for key in ("parameters", "macs"))
        size = f"{parameters} parameters, {macs} MACs"
        shares = [[row["accuracy"] for row in found]]
        shares += [[row["pgd20"]["accuracy"][k] for row in found] for k in range(len(radii))]
        if strong:
            shares.append([row["auto_attack"]["accuracy"] for row in found])
        name = Text.assemble(f"{first['name']}\n", (size, "dim"))
        table.add_row(name, *map(_cell, shares))
    seeds = sorted({row["seed"] for row in rows})
    table.caption = f"seeds {', '.join(map(str, seeds))}: mean, and ± half the range over them"
    if strong:
        table.caption += "; AA: AutoAttack, standard"
    return table


def _cell(shares: Sequence[float]) -> str:
    mean = percent(sum(shares) / len(shares))
    return mean if len(shares) == 1 else f"{mean}\n±{percent((max(shares) - min(shares)) / 2)}"


def by_pair(
    found: Iterable[dict[str, Any]],
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the differences of each pair of methods."""
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for difference in found:
        pairs.setdefault((difference["method"], difference["against"]), []).append(difference)
    return pairs


def differences_table(names: dict[str, str], found: Sequence[dict[str, Any]]) -> Table:
    """Return a table with a section for each pair of methods and a line for each measure.

    Args:
        names: by method, how it is written.
        found: as `differences.differences` returns them; at least one.
    """
    table = Table(title="The paper's own method minus another, on the same images, in points")
    table.add_column("")
    table.add_column("Mean", justify="right", no_wrap=True)
    for seed in found[0]["seeds"]:
        table.add_column(f"95 % interval, seed {seed['seed']}", justify="right", no_wrap=True)
    for (method, against), pair in by_pair(found).items():
        table.add_row(f"{names[method]} - {names[against]}", style="bold")
        for difference in pair:
            cells = [points(difference["mean"]), *map(interval, difference["seeds"])]
            table.add_row(f"  {measured(difference, ' at ')}", *cells)
        table.add_section()
    return table


def in_words(names: dict[str, str], pair: Sequence[dict[str, Any]]) -> str:
    """Return what the differences of one pair of methods allow to say, in one sentence.

    "Better" and "worse" are said where the intervals of all seeds exclude 0 on the same side; where
    there is but one, which cannot tell what another training would change, that is said, too.
    """
    found = {verdict: [d for d in pair if d["verdict"] == verdict] for verdict in VERDICTS}
    said = [
        f"{VERDICTS[verdict]} "
        + (ALL[verdict] if own == list(pair) else ", ".join(measured(d, " at ") for d in own))
        for verdict, own in found.items()
        if own
    ]
    once = " (one seed)" if len(pair[0]["seeds"]) == 1 else ""
    ours, theirs = (names[pair[0][side]] for side in ("method", "against"))
    return f"{ours}, against {theirs}{once}: {'; '.join(said)}."


def measured(difference: dict[str, Any], between: str) -> str:
    """Write what was measured: ``clean``, or the attack and its radius with `between` between."""
    if difference["epsilon"] is None:
        return "clean"
    return f"{attack_name(difference['measure'])}{between}{radius(difference['epsilon'])}"


def interval(seed: dict[str, Any]) -> str:
    """Write the interval of one seed's difference in percentage points: ``−0.3 to +2.7``."""
    return " to ".join(map(points, seed["interval"]))
