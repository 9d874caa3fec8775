"""What the command line prints when a run is done: its figures, what was chosen, and its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from rnascl_keras.console import PlainConsole
from rnascl_keras.report.corruption_words import corrupted_in_words, corrupted_models
from rnascl_keras.report.keys import (
    ATTACKS,
    LATENCIES,
    ONNX_FILES,
    TRANSFER,
    accuracy_keys,
    attack_how,
    attack_name,
    exported_keys,
    file_verdicts,
    files_by_kind,
    guessing,
    model_keys,
    model_names,
    short_layer,
    verdicts,
)
from rnascl_keras.units import count, milliseconds, percent, radius, size


def print_summary(
    report: dict[str, Any], console: PlainConsole | None = None, *, workdir: Path | None = None
) -> None:
    """Print what a run found: a table of figures, the chosen architecture, and the files.

    Args:
        report: the content of `report.json`.
        console: where to print; standard output by default.
        workdir: the run's folder, put before the files' names.
    """
    console = console or PlainConsole()
    console.print(_figures(report))
    exported = report.get("export", {})
    if exported:
        for title, files in files_by_kind(report).items():
            console.print(_exported(report, title, files))
    lines = [
        f"Accuracy in % on the first {report['n']:,} test images; attacks: L∞ radius "
        f"{radius(report['epsilon'])}, seed {report['seed']}."
    ]
    lines += [f"{attack_name(k)}: {attack_how(k)}." for k in accuracy_keys(report) if k in ATTACKS]
    lines += [f"Corruptions: {of}." for of in corrupted_in_words(report)]
    if exported:
        lines.append(
            "† transfer: the adversarial images made on the Keras model, shown to the file."
        )
        lines.append(
            "Latency in onnxruntime or LiteRT on this machine, one image at a time, median."
        )
    console.print(Text("\n".join(lines), style="dim"))
    names = model_names(report)
    said = {names[name]: verdict for name, verdict in verdicts(report).items()}
    for name, verdict in (said | file_verdicts(report)).items():
        console.print(Text(f"{name}: {verdict}", style="dim"))
    for name, why in guessing(report).items():
        console.print(Text(f"{name}: no verdict on robustness: {why}", style="bold red"))
    architecture = report.get("architecture", {})
    if architecture:
        console.print(_widths(architecture))
        console.print(_tutors(architecture))
    console.print(_files(report, workdir))


def _figures(report: dict[str, Any]) -> Table:
    """Return the table of the models: a column for each, a row for each figure."""
    models = model_keys(report)
    title = f"rnascl: {report['recipe']}"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for name in models:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("Parameters", *(count(report[model]["parameters"]) for model in models))
    table.add_row("MACs", *(count(report[model]["macs"]) for model in models))
    if all("bytes" in report[model] for model in models):
        table.add_row("Keras file", *(size(report[model]["bytes"]) for model in models))
    table.add_section()
    for key in accuracy_keys(report):
        cells = [_cell(report[model]["accuracy"].get(key)) for model in models]
        alarming = ["bold red" if report[m].get("near_chance") else "" for m in models]
        styled = [Text(cell, style) for cell, style in zip(cells, alarming, strict=True)]
        table.add_row(attack_name(key), *styled)
    if corrupted := corrupted_models(report):
        means = [corrupted[m]["mean"] if m in corrupted else None for m in models]
        table.add_row("Corruptions", *map(_cell, means))
    return table


def _exported(report: dict[str, Any], title: str, files: dict[str, dict[str, Any]]) -> Table:
    """Return the table of one kind of files: a column for each, and the teacher's beside its own
    kind to compare with."""
    teacher = report.get("teacher_onnx") if title == ONNX_FILES else None
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    sides = ([teacher] if teacher else []) + list(files.values())
    for name in (["teacher.onnx*"] if teacher else []) + list(files):
        # Broken where it may be, four files and the teacher stay within 80 characters.
        table.add_column(re.sub(r"_|(?=\.)", lambda m: f"{m[0]}\n", name), justify="right")
    table.add_row("Size", *(size(side["bytes"]) for side in sides))
    for key, words in LATENCIES.items():
        cells = [side.get("latency_ms", {}).get(key) for side in sides]
        if any(cells):
            table.add_row(words, *("" if ms is None else milliseconds(ms) for ms in cells))
    memory = [side.get("activation_bytes") for side in sides]
    if any(memory):
        table.add_row("Activations", *("" if count is None else size(count) for count in memory))
    table.add_section()
    for key in exported_keys({"export": files}):
        mark = "†" if key.startswith(TRANSFER) else ""
        cells = [_cell(side.get("accuracy", {}).get(key), mark or " ") for side in sides]
        table.add_row(attack_name(key) + mark, *cells)
    if teacher:
        table.caption, table.caption_justify = "* made to be timed, and not kept", "left"
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
