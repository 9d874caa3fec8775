"""What one method gets right and another does not, on the same images: paired differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnascl_keras.evaluation.intervals import paired_interval

REFERENCES = {False: "searched", True: "searched_trades"}
"""With which of the paper's own methods the others are compared, by `Method.adversarial`."""


def as_text(right: np.ndarray) -> str:
    """Write which images are right, (n,) bool, as n digits 1 and 0."""
    return "".join(map(str, np.asarray(right, int)))


def as_array(text: str) -> np.ndarray:
    """Return what `as_text` wrote, (n,) bool."""
    return np.array(list(text)) == "1"


def differences(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the paper's own methods with all others of their kind, seed by seed.

    Args:
        rows: as `rows.compare_rows` returns them.

    Returns:
        For each pair of methods and measure: `method`, `against`, `measure` ("clean", "pgd20" or
        "auto_attack"), `epsilon` (None for clean), `n`; by seed in `seeds` the number of images
        that the first alone gets right, `only_first`, that the second alone does, `only_second`,
        their `difference` from -1 to 1 and its `interval`; their `mean`, and the `verdict`.
    """
    by_key = {(row["method"], row["seed"]): row for row in rows}
    found = []
    for name in dict.fromkeys(row["method"] for row in rows):
        others = [row for row in rows if row["method"] == name]
        reference = REFERENCES[others[0]["adversarial"]]
        pairs = [
            (by_key[reference, other["seed"]], other)
            for other in others
            if name != reference and (reference, other["seed"]) in by_key
        ]
        for measure, epsilon, index in _measures(pairs):
            seeds = [_paired(first, second, measure, index) for first, second in pairs]
            facts = {"method": reference, "against": name, "measure": measure, "epsilon": epsilon}
            facts["n"] = seeds[0].pop("n")
            for seed in seeds[1:]:
                del seed["n"]
            mean = float(np.mean([seed["difference"] for seed in seeds]))
            found.append(facts | {"seeds": seeds, "mean": mean, "verdict": _verdict(seeds)})
    return found


def _measures(pairs: Sequence[tuple[dict, dict]]) -> Iterator[tuple[str, float | None, int | None]]:
    """Yield what both rows of every pair have: measure, radius, and where it is in a list."""
    if not pairs:
        return
    yield "clean", None, None
    for index, epsilon in enumerate(pairs[0][0]["pgd20"]["epsilon"]):
        yield "pgd20", epsilon, index
    if all("auto_attack" in row for pair in pairs for row in pair):
        yield "auto_attack", pairs[0][0]["auto_attack"]["epsilon"], None


def _paired(
    first: dict[str, Any], second: dict[str, Any], measure: str, index: int | None
) -> dict[str, Any]:
    """Return the figures of one seed."""
    texts = [row["right"][measure] for row in (first, second)]
    ours, theirs = (as_array(text if index is None else text[index]) for text in texts)
    only_first, only_second = int(np.sum(ours & ~theirs)), int(np.sum(~ours & theirs))
    return {
        "seed": first["seed"],
        "n": len(ours),
        "only_first": only_first,
        "only_second": only_second,
        "difference": (only_first - only_second) / len(ours),
        "interval": paired_interval(ours, theirs),
    }


def _verdict(seeds: Sequence[dict[str, Any]]) -> str:
    """Return "better" or "worse" where every seed's interval says so, else "undecided".

    An interval tells what other images would change, the seeds what another training would.
    """
    if all(seed["interval"][0] > 0 for seed in seeds):
        return "better"
    return "worse" if all(seed["interval"][1] < 0 for seed in seeds) else "undecided"
