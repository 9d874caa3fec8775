"""What the students of the paper's own schedule withstand, beside what is published: a table.

Measured, where NAME is `student` or `student_trades` and FOLDER the work folder of `rnascl run
cifar10_s3_wrt34 --set cache.views=10`, into results/cifar10_s3_wrt34_NAME*.json:

    .json               rnascl evaluate FOLDER/NAME.keras --data cifar10 --engine onnxruntime
                            --n 10000 --attacks fgsm,pgd,mi_fgsm
    _sweep.json         the same with --n 1000 --attacks pgd --sweep 2/255,4/255,16/255
    _auto_attack.json   the same with --n 1000 --attacks pgd,auto_attack
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.markdown import markdown
from rnascl_keras.comparison.published_results import TABLE_1
from rnascl_keras.files.whole import read_json
from rnascl_keras.report.keys import MODELS, attack_name
from rnascl_keras.units import percent, radius

RESULTS = Path(__file__).parent.parent / "results"
PUBLISHED = {"student": "RNAS-CL-S3", "student_trades": "RNAS-CL-S3 + TRADES"}
"""The rows of Table 1 that the run's students are made as."""
KEYS = ("clean", "fgsm", "pgd20", "mi_fgsm")


def paper_run(content: None) -> str:
    """One row for each measure; a column for each student, and for its like in Table 1."""
    columns: dict[str, dict[str, str]] = {}
    for key, published in PUBLISHED.items():
        if _file(key).exists():
            columns[MODELS[key]] = measured = _measured(key)
            columns[f"{published}, as published"] = _published(published, list(measured))
    measures = next(iter(columns.values()))
    lines = [[what, *(column.get(what, "") for column in columns.values())] for what in measures]
    return markdown(["% right", *columns], lines)


def _measured(key: str) -> dict[str, str]:
    """Return a student's figures, by how and on how many images they were measured."""
    whole, strong, swept = (read_json(_file(key, x)) for x in ("", "_auto_attack", "_sweep"))
    found = {}
    for figures, parts in ((whole, KEYS), (strong, ("clean", "pgd20", "auto_attack"))):
        for part in parts:
            what = f"{attack_name(part)}, n = {figures['n']:,}"
            found[what] = percent(figures["accuracy"][part])
    for epsilon, accuracy in zip(
        swept["sweep"]["epsilon"], swept["sweep"]["accuracy"]["pgd20"], strict=True
    ):
        if epsilon != swept["epsilon"]:
            found[f"PGD-20 at {radius(epsilon)}, n = {swept['n']:,}"] = percent(accuracy)
    return found


def _published(name: str, measures: list[str]) -> dict[str, str]:
    """Return what Table 1 says of the row called `name`, beside the first measures of the kind."""
    (row,) = (row for row in TABLE_1 if row.name == name)
    clean, _, pgd20, *_ = measures
    return {clean: f"{row.clean:g}", pgd20: f"{row.pgd20:g}"}


def _file(key: str, part: str = "") -> Path:
    return RESULTS / f"cifar10_s3_wrt34_{key}{part}.json"
