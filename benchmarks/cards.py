"""Write the cards of the students that come with the package, so that no figure is typed.

    python -m benchmarks.cards

A card says what stands in three files of results/students/:

    NAME_run.json           report.json of `rnascl run RECIPE`
    NAME.json               rnascl evaluate NAME --data cifar10 --n 10000 --attacks fgsm,pgd,mi_fgsm
                                --sweep 2/255,4/255,16/255 --json results/students/NAME.json
    NAME_auto_attack.json   rnascl evaluate NAME --data cifar10 --n 500 --attacks auto_attack
                                --json results/students/NAME_auto_attack.json
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.whole import read_json
from rnascl_keras.report.keys import attack_how, attack_name
from rnascl_keras.students import FORMS, student_file, student_names
from rnascl_keras.units import count, duration, percent, radius

RESULTS = Path(__file__).parent.parent / "results" / "students"
TEMPLATE = Path(__file__).with_name("card.md")


def card(name: str) -> str:
    """Return the card of a student, as Markdown with the block of metadata that hubs read."""
    run, evaluation, strong = (
        read_json(RESULTS / f"{name}{part}.json") for part in ("_run", "", "_auto_attack")
    )
    _check_the_file(name, evaluation, strong)
    template = jinja2.Template(
        TEMPLATE.read_text(), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return template.render(
        name=name,
        run=run,
        student=run["student"],
        settings=run["settings"],
        rows=[*_rows(evaluation), *_rows(strong)[1:]],
        sweep=_sweep(evaluation),
        check=evaluation["check"]["verdict"],
        files=[(f"{name}{form}", _bytes(name, form)) for form in FORMS if form != ".md"],
        latency=run["export"][f"student{FORMS[1]}"].get("latency"),
        size={key: count(run["student"][key]) for key in ("parameters", "macs")},
        took=duration(sum(run["duration"].values())),
        radius=radius(evaluation["epsilon"]),
        percent=percent,
    )


def _rows(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for clean images and one for each attack."""
    return [
        {
            "key": key,
            "name": attack_name(key),
            "how": attack_how(key, figures["norm"]),
            "n": figures["n"],
            "accuracy": accuracy,
            "interval": " to ".join(map(percent, figures["intervals"][key])),
        }
        for key, accuracy in figures["accuracy"].items()
        if key != "worst"
    ]


def _sweep(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return radius and accuracy under PGD-20."""
    swept = figures["sweep"]
    return [
        (radius(epsilon), percent(accuracy))
        for epsilon, accuracy in zip(swept["epsilon"], swept["accuracy"]["pgd20"], strict=True)
    ]


def _check_the_file(name: str, *measured: dict[str, Any]) -> None:
    """Raise ValueError where figures are of another file than the one that is loaded."""
    own = content_hash(student_file(name))
    for figures in measured:
        if figures["sha256"] != own:
            raise ValueError(f"results of {name} are of another file ({figures['sha256'][:12]})")


def _bytes(name: str, form: str) -> str:
    return f"{count(student_file(name, form).stat().st_size)}B"


def main() -> None:
    """Write all cards."""
    for name in student_names():
        student_file(name, ".md").write_text(card(name))
        print(f"{name}: written")


if __name__ == "__main__":
    main()
