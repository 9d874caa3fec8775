"""One self-contained HTML page about deployed files: what somebody is handed who asked for it.

It says what `evaluation.facts` says, in words, tables and pictures, and asks the network for
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnascl_keras.report import audit_words as words
from rnascl_keras.report.audit_plots import accuracy_bars, confusion_map, gallery
from rnascl_keras.report.corruption_words import corruption_name, corruption_words
from rnascl_keras.report.keys import all_keys, difference_name
from rnascl_keras.report.page import page_environment, write_page
from rnascl_keras.report.sweep_plot import accuracy_by_radius
from rnascl_keras.units import points

TEMPLATE = "audit.html"
FEW_CLASSES = 20
"""So many classes, and no more, have a row in a table and a place in the confusion's picture."""


def write_audit(
    path: Path,
    files: Mapping[str, dict[str, Any]],
    examples: Sequence[Mapping[str, Any]],
    compared: dict[str, Any] | None,
) -> Path:
    """Write the page and return its path.

    Args:
        path: where to.
        files: by name, the facts of each file, see `evaluation.facts.FileFacts`.
        examples: of each file by attack's key, images that were fooled, see `evaluation.Examples`.
        compared: how several files differ, see `evaluation.several.compare`, or None.
    """
    given = zip(files.items(), examples, strict=True)
    audited = [_audited(name, facts, own) for (name, facts), own in given]
    environment = page_environment()
    environment.filters |= {"points": points, "difference_name": difference_name}
    page = environment.get_template(TEMPLATE).render(
        files=audited,
        compared=compared,
        all_keys=all_keys(facts["accuracy"] for facts in files.values()),
        attacks={key: own for facts in files.values() for key, own in facts["attacks"].items()},
    )
    return write_page(path, page)


def _audited(name: str, facts: dict[str, Any], examples: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names of the template's section about one file."""
    strongest = words.strongest_attack(facts)
    few = len(facts["class_names"]) <= FEW_CLASSES
    shown = examples.get(strongest or "")
    return {
        "name": name,
        "facts": facts,
        "strongest": strongest,
        "sentences": words.in_short(facts),
        "unchecked": words.UNCHECKED if words.is_unchecked(facts) else None,
        "classes": words.classes_that_fall_first(facts) if few else [],
        "bars": accuracy_bars(facts),
        "sweep": _sweep(facts),
        "confusion": confusion_map(facts, strongest) if few and facts.get("confusion") else None,
        "corrupted": _corrupted(facts),
        "gallery": gallery(shown, facts) if shown is not None and len(shown.rows) else None,
    }


def _corrupted(facts: dict[str, Any]) -> dict[str, Any] | None:
    """Return the rows of the table of corruptions, and what they come to; None without any."""
    if "corrupted" not in facts:
        return None
    corrupted = facts["corrupted"]
    rows = {
        corruption_name(name): [*shares, sum(shares) / len(shares)]
        for name, shares in corrupted["accuracy"].items()
    }
    return {"rows": rows, "words": corruption_words(corrupted)}


def _sweep(facts: dict[str, Any]) -> str | None:
    if "sweep" not in facts:
        return None
    swept = facts["sweep"]
    clean: float = facts["accuracy"]["clean"]
    around: list[float] = facts["intervals"]["clean"]
    keys = [key for key in swept["accuracy"] if key != "worst"]
    return accuracy_by_radius(
        swept["epsilon"],
        {key: swept["accuracy"][key] for key in keys},
        {key: swept["intervals"][key] for key in keys},
        dict.fromkeys(keys, clean),
        clean_intervals=dict.fromkeys(keys, around),
        norm=swept["norm"],
    ).decode()
