"""A run's figures in words: how numbers and attacks are written, and the closing table."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

MODELS = {"teacher": "Teacher", "student": "Student", "student_trades": "Student, TRADES"}
TRANSFER = "transfer_"


@dataclass(frozen=True)
class AttackWords:
    """How an attack is named and made; `divisor` d says that a step is radius / d. One without
    steps of a fixed length has 0 of them, and all is in the remark."""

    name: str
    steps: int
    divisor: int
    remark: str

    @property
    def how(self) -> str:
        """The settings in one phrase, e.g. ``20 steps of ε/4, random start, one run``."""
        if not self.steps:
            return self.remark
        step = "ε" if self.divisor == 1 else f"ε/{self.divisor}"
        return f"{self.steps} step{'s' if self.steps > 1 else ''} of {step}, {self.remark}"


ATTACKS = {
    "fgsm": AttackWords("FGSM", 1, 1, "no random start"),
    "pgd20": AttackWords("PGD-20", 20, 4, "random start, one run"),
    "mi_fgsm": AttackWords("MI-FGSM", 10, 10, "momentum with decay 1"),
    "cw": AttackWords("CW", 20, 4, "random start, one run, on the margin of logits"),
    "square": AttackWords("Square", 0, 0, "5,000 queries of the logits, no gradient"),
    "auto_attack": AttackWords(
        "AutoAttack",
        0,
        0,
        "standard: APGD on cross-entropy, targeted APGD and FAB, Square; one run each",
    ),
}


SIGNS = {
    "gradient": "No gradient",
    "random": "Random answers",
    "single_step": "One step beats many",
    "black_box": "Black box beats white box",
    "effort": "More effort helps much",
    "transfer": "Transfer beats white box",
    "radius": "Survives a large radius",
}


def sign_name(name: str) -> str:
    """Return how a sign of false robustness is written, see `false_robustness.Finding`."""
    return SIGNS.get(name, name)


def attack_name(key: str) -> str:
    """Return how a key of an accuracy dictionary is written, e.g. ``pgd20`` as ``PGD-20``."""
    if key.startswith(TRANSFER):
        return attack_name(key.removeprefix(TRANSFER))
    if key in ATTACKS:
        return ATTACKS[key].name
    return {"clean": "Clean", "worst": "Worst case"}.get(key, key)


def attack_how(key: str) -> str:
    """Return how the images behind an accuracy were made; empty where this page cannot say."""
    if key in ATTACKS:
        return ATTACKS[key].how
    words = {
        "clean": "the images as they are",
        "worst": "right on the clean image and under every attack above",
    }
    return words.get(key, "")


def percent(share: float) -> str:
    """Write a share of 0 to 1 as a percentage with one decimal, without its sign: 0.842 as 84.2."""
    return f"{100 * share:.1f}"


def count(number: int) -> str:
    """Write a count to three digits with its SI suffix: 113210 as ``113 k``."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        # 999,950 and above would round to "1000 k".
        if number >= size * 0.9995:
            scaled = number / size
            decimals = max(0, 2 - int(math.floor(math.log10(scaled) + 1e-3)))
            return f"{scaled:.{decimals}f}{suffix}"
    return str(number)


def radius(epsilon: float) -> str:
    """Write a radius in [0, 1] pixel units, as a fraction of 255 where it is one: ``8/255``."""
    levels = epsilon * 255
    whole = round(levels)
    return f"{whole}/255" if whole and abs(levels - whole) < 1e-4 else f"{epsilon:.3g}"


def duration(seconds: float) -> str:
    """Write seconds as ``48 s``, ``12 min 05 s`` or ``3 h 07 min``."""
    total = round(seconds)
    if total < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    minutes = round(total / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def short_layer(name: str) -> str:
    """Write a layer's name for narrow places: ``stage1_block2_expand`` as ``1.2 expand``."""
    match = re.fullmatch(r"stage(\d+)_block(\d+)(?:_(.+))?", name)
    return f"{match[1]}.{match[2]} {match[3] or ''}".strip() if match else name


def model_keys(report: dict[str, Any]) -> list[str]:
    """Return the models a report has figures of, in the order they are always shown."""
    return [key for key in MODELS if key in report]


def accuracy_keys(report: dict[str, Any]) -> list[str]:
    """Return the accuracy keys of a report's models: clean first, the attacks, worst last."""
    found = dict.fromkeys(key for model in model_keys(report) for key in report[model]["accuracy"])
    attacks = [key for key in found if key not in ("clean", "worst")]
    return [key for key in ("clean", *attacks, "worst") if key in found]


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    """Return what the check for false robustness says of each model that it was run on."""
    checks = {key: report[key].get("check") for key in model_keys(report)}
    return {key: check["verdict"] for key, check in checks.items() if check}


def print_summary(
    report: dict[str, Any], console: Console | None = None, *, workdir: Path | None = None
) -> None:
    """Print what a run found: a table of figures, the chosen architecture, and the files.

    Args:
        report: the content of `report.json`.
        console: where to print; standard output by default.
        workdir: the run's folder, put before the files' names.
    """
    console = console or Console()
    console.print(_figures(report))
    transfers = report.get("export", {})
    lines = [
        f"Accuracy in % on the first {report['n']:,} test images; attacks: L∞ radius "
        f"{radius(report['epsilon'])}, seed {report['seed']}."
    ]
    lines += [f"{attack_name(k)}: {attack_how(k)}." for k in accuracy_keys(report) if k in ATTACKS]
    if transfers:
        lines.append(
            "† transfer: the adversarial images made on the Keras model, shown to the ONNX file."
        )
    console.print(Text("\n".join(lines), style="dim"))
    for name, verdict in verdicts(report).items():
        console.print(Text(f"{MODELS[name]}: {verdict}", style="dim"))
    architecture = report.get("architecture", {})
    if architecture:
        console.print(_widths(architecture))
        console.print(_tutors(architecture))
    console.print(_files(report, workdir))


def _figures(report: dict[str, Any]) -> Table:
    """Return the table of figures: a column per model and ONNX file, a row per figure."""
    models, exported = model_keys(report), report.get("export", {})
    table = Table(title=f"rnascl: {report['recipe']}", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for name in [*models, *exported]:
        # A break after the underscore keeps five columns within 80 characters.
        table.add_column(name.replace("_", "_\n"), justify="right", no_wrap=True)
    table.add_row("Parameters", *(count(report[model]["parameters"]) for model in models))
    table.add_row("MACs", *(count(report[model]["macs"]) for model in models))
    table.add_section()
    for key in accuracy_keys(report):
        cells = [_cell(report[model]["accuracy"].get(key)) for model in models]
        for name in exported:
            accuracy = exported[name]["accuracy"]
            if key in accuracy:
                cells.append(_cell(accuracy[key]))
            else:
                cells.append(_cell(accuracy.get(TRANSFER + key), "†"))
        table.add_row(attack_name(key), *cells)
    return table


def _cell(share: float | None, mark: str = " ") -> str:
    return "" if share is None else f"{percent(share)}{mark}"


def _widths(architecture: dict[str, Any]) -> Text:
    text = Text("\nChosen widths", style="bold")
    for number, widths in enumerate(architecture["widths"], start=1):
        text.append(f"\n  stage {number}   {'  '.join(map(str, widths))}", style="not bold")
    return text


def _tutors(architecture: dict[str, Any]) -> Text:
    """Return the chosen tutors, the layers of one student block on one line."""
    blocks: dict[str, list[str]] = {}
    for pair in architecture["tutors"]:
        block, _, layer = short_layer(pair["student_layer"]).rpartition(" ")
        block, layer = (block, layer) if block else (layer, "")
        tutor = short_layer(pair["teacher_layer"])
        blocks.setdefault(block, []).append(f"{layer} ← {tutor}".strip())
    text = Text("\nChosen tutors", style="bold")
    text.append("  (student layer ← teacher layer, as stage.block)", style="not bold dim")
    column = max(len(pair) for pairs in blocks.values() for pair in pairs) + 3
    for block, pairs in blocks.items():
        line = f"\n  {block:<6}" + "".join(f"{pair:<{column}}" for pair in pairs)
        text.append(line.rstrip(), style="not bold")
    return text


def _files(report: dict[str, Any], workdir: Path | None) -> Text:
    text = Text("\nFiles", style="bold")
    for name in report.get("files", {}).values():
        text.append(f"\n  {Path(workdir) / name if workdir else name}", style="not bold")
    return text
