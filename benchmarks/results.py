"""Fill the tables of RESULTS.md and the README from the files in results/, so that no figure is
typed; draw those of a comparison.

    python -m benchmarks.results

A table stands between `<!-- table: KIND FILE -->` and `<!-- end -->`, where KIND is one of `TABLES`
and FILE, without its `.json`, is in results/: a `compare.json` as `rnascl compare` leaves it;
for `run` the `report.json` of `rnascl run`; for `deployed` what `benchmarks.deployed_sizes` has
printed; for `small_models` what others have published; for `networks` the `networks.json` of
`rnascl compare-networks`. `paper_search` and `paper_run` take
what the run of the paper's length has left, always the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.headline import headline
from benchmarks.markdown import markdown
from benchmarks.networks import networks
from benchmarks.paper_run import paper_run
from benchmarks.paper_search import paper_search
from benchmarks.paper_search import picture as tutors_picture
from benchmarks.small_models import picture as small_picture
from benchmarks.small_models import small_models
from rnascl_keras.comparison.methods import METHODS
from rnascl_keras.comparison.networks import networks_picture
from rnascl_keras.comparison.plot import picture
from rnascl_keras.comparison.published_results import TABLE_1
from rnascl_keras.comparison.table import (
    by_method,
    by_pair,
    in_words,
    interval,
    measured,
    points,
    sizes,
    spread,
)
from rnascl_keras.files.whole import read_json
from rnascl_keras.report.keys import MODELS, accuracy_keys, attack_name, model_keys
from rnascl_keras.units import count, duration, percent, radius, size

ROOT = Path(__file__).parent.parent
PAGES = ("RESULTS.md", "README.md")
TIMES = ("one_thread_ms", "all_threads_ms")
BLOCK = re.compile(r"<!-- table: (\w+)(?: (\w+))? -->\n(.*?)<!-- end -->", re.DOTALL)


def accuracies(content: dict[str, Any]) -> str:
    """One row a method: its mean over the seeds, with the smallest and the largest."""
    rows = content["rows"]
    head = ["%", "parameters", "MACs", f"clean, n = {rows[0]['n']}"]
    head += [f"PGD-20, {radius(epsilon)}" for epsilon in rows[0]["pgd20"]["epsilon"]]
    strong = [row["auto_attack"] for row in rows if "auto_attack" in row]
    if strong:
        head.append(f"AutoAttack, {radius(strong[0]['epsilon'])}, n = {strong[0]['n']}")
    found = by_method(rows)
    lines = []
    for name, own in ((METHODS[key].name, found[key]) for key in METHODS if key in found):
        shares = [[row["accuracy"] for row in own]]
        swept = [row["pgd20"]["accuracy"] for row in own]
        shares += [list(column) for column in zip(*swept, strict=True)]
        if strong:
            shares.append([row["auto_attack"]["accuracy"] for row in own])
        found_sizes = [sizes([row[key] for row in own]) for key in ("parameters", "macs")]
        lines.append([f"{name}{_seeds(own)}", *found_sizes, *map(spread, shares)])
    missing = [method.name for key, method in METHODS.items() if key not in found]
    return markdown(head, lines) + (f"\nNot run: {'; '.join(missing)}.\n" if missing else "")


def _seeds(rows: Sequence[dict[str, Any]]) -> str:
    return "" if len(rows) > 1 else f" (seed {rows[0]['seed']} only)"


def differences(content: dict[str, Any]) -> str:
    """One row for each pair of methods and measure: mean difference and each seed's interval."""
    names = _names(content)
    lines = []
    for pair in by_pair(content["differences"]).values():
        title = f"{names[pair[0]['method']]} − {names[pair[0]['against']]}"
        for difference in pair:
            seeds = "; ".join(interval(seed) for seed in difference["seeds"])
            line = [title, measured(difference, " at "), points(difference["mean"]), seeds]
            lines.append([*line, difference["verdict"]])
            title = ""
    head = ["points", "measure", "mean difference", "95 % interval, seed by seed", "so it is"]
    return markdown(head, lines)


def words(content: dict[str, Any]) -> str:
    """One sentence for each pair of methods."""
    pairs = by_pair(content["differences"]).values()
    return "".join(f"- {in_words(_names(content), pair)}\n" for pair in pairs)


def _names(content: dict[str, Any]) -> dict[str, str]:
    return {row["method"]: row["name"] for row in content["rows"]}


def rows(content: dict[str, Any]) -> str:
    """One row for each student: what repeats it, on what it was made, and for how long."""
    head = ["method", "seed", "n", "epochs", "trained in", "measured in", "hardware"]
    lines = [
        [
            f"`{row['method']}`",
            str(row["seed"]),
            str(row["n"]),
            str(row["epochs"]),
            duration(row["seconds"]),
            duration(row["evaluation_seconds"]),
            row["hardware"],
        ]
        for row in content["rows"]
    ]
    command = content["command"]
    one = "" if "--methods" in command else " --methods METHOD --seeds SEED"
    return f"{'Each row' if one else 'All rows'}: `{command}{one}`\n\n" + markdown(head, lines)


def run(content: dict[str, Any]) -> str:
    """One row for each model of a run."""
    keys = [key for key in accuracy_keys(content) if key != "worst"]
    head = [f"%, radius {radius(content['epsilon'])}, n = {content['n']}", "parameters", "MACs"]
    lines = [
        [
            MODELS[key],
            count(content[key]["parameters"]),
            count(content[key]["macs"]),
            *(percent(content[key]["accuracy"][attack]) for attack in keys),
        ]
        for key in model_keys(content)
    ]
    return markdown([*head, *map(attack_name, keys)], lines)


def deployed(content: dict[str, Any]) -> str:
    """One row for each network: its file, and one image's time, and how much less that is."""
    lines = []
    for row in content["rows"]:
        measured = (size(row["bytes"]), *(f"{row[key]:.2f}" for key in TIMES))
        less = (
            "" if row["less_than_teacher"] == [1, 1, 1] else f" ({k:g})"
            for k in row["less_than_teacher"]
        )
        lines.append([f"{row['name']}, {row['form']}", *map(str.__add__, measured, less)])
    return markdown(["", "size", "ms, one thread", "ms, two threads"], lines)


def published(content: None) -> str:
    """The paper's own figures."""
    head = ["%, as published", "MACs", "clean", "PGD-20, 8/255"]
    return markdown(
        head, [[p.name, f"{p.macs:g} M", f"{p.clean:g}", f"{p.pgd20:g}"] for p in TABLE_1]
    )


TABLES: dict[str, Callable[[Any], str]] = {
    function.__name__: function
    for function in (
        accuracies,
        differences,
        words,
        rows,
        run,
        deployed,
        published,
        headline,
        small_models,
        networks,
        paper_search,
        paper_run,
    )
}


def filled(text: str) -> str:
    """Return a page with all its tables made anew."""

    def table(block: re.Match[str]) -> str:
        kind, file, _ = block.groups()
        content = read_json(ROOT / "results" / f"{file}.json") if file else None
        opening = block[0].partition("\n")[0]
        return f"{opening}\n\n{TABLES[kind](content)}\n<!-- end -->"

    return BLOCK.sub(table, text)


def compared(text: str) -> list[str]:
    """Return the names of the comparisons that a page has a table of."""
    return sorted({file for kind, file, _ in BLOCK.findall(text) if kind == "accuracies"})


if __name__ == "__main__":
    for page in (ROOT / name for name in PAGES):
        page.write_text(filled(page.read_text()))
    for name in compared((ROOT / "RESULTS.md").read_text()):
        found = read_json(ROOT / f"results/{name}.json")
        drawn = picture(found["settings"]["data"]["source"], found["rows"])
        (ROOT / f"results/{name}.svg").write_text(drawn)
    small = ROOT / "results/small_models.json"
    small.with_suffix(".svg").write_text(small_picture(read_json(small)))
    (ROOT / "results/cifar10_s3_wrt34_tutors.svg").write_text(tutors_picture())
    compared_networks = ROOT / "results/networks.json"
    found = read_json(compared_networks)
    drawn = networks_picture(found["settings"]["data"]["source"], found["rows"])
    compared_networks.with_suffix(".svg").write_text(drawn)
