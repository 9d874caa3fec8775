"""The README's one table: what comes with the package, and what anyone's runs give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.markdown import markdown
from benchmarks.packaged import Packaged
from rnascl_keras.files.whole import read_json
from rnascl_keras.report.keys import MODELS, model_keys
from rnascl_keras.students import student_names
from rnascl_keras.units import count, percent, radius

RESULTS = Path(__file__).parent.parent / "results"
RUNS = ("cifar10_s3_quick", "demo")


def headline(content: None) -> str:
    """Packaged students first, then each run's models; in % of the images right."""
    head = ["% right", "radius", "parameters", "MACs", "clean", "PGD-20", "AutoAttack"]
    rows = [_student(name) for name in student_names()]
    for name in RUNS:
        report = read_json(RESULTS / f"{name}_run.json")
        rows += [_of_run(name, report, key) for key in model_keys(report)]
    return markdown(head, rows)


def _student(name: str) -> list[str]:
    """Return the row of a packaged student: AutoAttack is that of fewer images, as is said."""
    own = Packaged.of(name)
    shares = [percent(own.figures["accuracy"][key]) for key in ("clean", "pgd20")]
    strong = own.strong["accuracy"]
    left = f"{percent(strong['auto_attack'])} (n = {own.strong['n']}; "
    left += f"PGD-20 {percent(strong['pgd20'])})"
    sizes = [count(own.size["parameters"]), count(own.size["macs"])]
    return [f"`{name}`, packaged", radius(own.figures["epsilon"]), *sizes, *shares, left]


def _of_run(name: str, report: dict[str, Any], key: str) -> list[str]:
    model = report[key]
    shares = [percent(model["accuracy"][attack]) for attack in ("clean", "pgd20")]
    sizes = [count(model["parameters"]), count(model["macs"])]
    title = f"`{name}`: {MODELS[key].lower().replace('trades', 'TRADES')}"
    return [title, radius(report["epsilon"]), *sizes, *shares, "–"]
