"""What was measured of a deployed file, in words."""

from __future__ import annotations

from typing import Any

from rnascl_keras.report.keys import attack_keys, attack_name
from rnascl_keras.report.sweep_plot import RADII
from rnascl_keras.units import percent, radius, with_capital

UNCHECKED = "False robustness was not looked for, so the figures under attack may be too good"


def strongest_attack(facts: dict[str, Any]) -> str | None:
    """Return the key of the attack that left the fewest images; None where none was run."""
    keys = attack_keys(facts["accuracy"])
    return min(keys, key=facts["accuracy"].__getitem__) if keys else None


def is_unchecked(facts: dict[str, Any]) -> bool:
    """Return whether figures under attack stand without a look for false robustness."""
    return not (facts["near_chance"] or facts["check"]) and bool(attack_keys(facts["accuracy"]))


def in_short(facts: dict[str, Any]) -> list[str]:
    """Return what was found, in sentences."""
    accuracy, n = facts["accuracy"], facts["n"]
    said = [
        f"Of the first {n:,} images {percent(accuracy['clean'])} % are classified right as they "
        f"are ({_interval(facts, 'clean')})."
    ]
    strongest = strongest_attack(facts)
    if strongest:
        said.append(
            f"Somebody who has the file and may change an image {_reach(facts)} leaves "
            f"{percent(accuracy['worst'])} % right ({_interval(facts, 'worst')}); the strongest "
            f"attack was {attack_name(strongest)}."
        )
        fallen = accuracy["clean"] - accuracy["worst"]
        if accuracy["clean"] and fallen > 0:
            share = percent(fallen / accuracy["clean"])
            said.append(f"An attacker can turn {share} % of its right answers into wrong ones.")
    if facts["near_chance"]:
        said.append(f"No verdict on robustness: {facts['near_chance']}")
    elif facts["check"]:
        said.append(f"Is the robustness real? {facts['check']['verdict']}")
    elif is_unchecked(facts):
        said.append(f"{UNCHECKED}.")
    if facts.get("depends_on_processor"):
        said.append(with_capital(facts["depends_on_processor"]))
    if facts["failed"]:
        said.append(f"The measurement is not complete: {facts['failed']}")
    return said


def _reach(facts: dict[str, Any]) -> str:
    reach = radius(facts["epsilon"])
    if facts["norm"] == "Linf":
        return f"by at most {reach} in each pixel and channel (pixels from 0 to 1)"
    if facts["norm"] == "L0":
        return f"in at most {facts['epsilon']:g} of its pixels"
    return f"within {RADII[facts['norm']]} radius {reach} (pixels from 0 to 1)"


def _interval(facts: dict[str, Any], key: str) -> str:
    low, high = facts["intervals"][key]
    return f"95 % interval {percent(low)} to {percent(high)}"


def classes_that_fall_first(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each class that has images: `name`, `count`, its accuracies by key, and
    what it is most often taken for under the strongest attack; the weakest class first."""
    strongest = strongest_attack(facts) or "clean"
    confusion = (facts.get("confusion") or {}).get(strongest)
    rows = []
    for k, (name, count) in enumerate(
        zip(facts["class_names"], facts["class_counts"], strict=True)
    ):
        if not count:
            continue
        shares = {key: by_class[k] for key, by_class in facts["per_class"].items()}
        taken = _most_taken_for(confusion[k], k) if confusion else None
        other = facts["class_names"][taken] if taken is not None else "–"
        rows.append({"name": name, "count": count, "shares": shares, "taken_for": other})
    return sorted(rows, key=lambda row: (row["shares"]["worst"], row["shares"]["clean"]))


def _most_taken_for(counts: list[int], own: int) -> int | None:
    others = [0 if k == own else count for k, count in enumerate(counts)]
    return others.index(max(others)) if max(others) else None
