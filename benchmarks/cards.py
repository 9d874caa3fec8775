"""Pack students to come with the package, and write their cards, so that no figure is typed.

    python -m benchmarks.cards RUN_FOLDER NAME    pack the exported student of a run
    python -m benchmarks.cards                    write all cards

Packing copies `student.keras` and its ONNX files into recipes/students/, and notes in
results/students/NAME_run.json how it was made. The cards say besides what these files hold, of the
packed student:

    NAME.json               rnascl evaluate NAME --data cifar10 --n 10000 --engine onnxruntime
                                --attacks fgsm,pgd,mi_fgsm --json results/students/NAME.json
    NAME_sweep.json         rnascl evaluate NAME --data cifar10 --n 1000 --attacks pgd
                                --sweep 2/255,4/255,16/255 --json results/students/NAME_sweep.json
    NAME_auto_attack.json   rnascl attack NAME --data cifar10 --n 500 --attacks pgd,auto_attack
                                --json results/students/NAME_auto_attack.json
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import onnx

from benchmarks.half_weights import halve_h5, halve_onnx
from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.hardware import processor
from rnascl_keras.report.keys import attack_how, attack_name
from rnascl_keras.students import FORMS, student_file, student_names
from rnascl_keras.units import count, duration, percent, radius

ROOT = Path(__file__).parent.parent
RESULTS, STUDENTS = ROOT / "results" / "students", ROOT / "recipes" / "students"
TRAININGS = ("cache", "search", "train")
"""The stages that take long; the teacher comes with the package."""
MOST_BYTES = 10**6
"""A float file that would be larger has its weights in half precision."""
TEMPLATE = Path(__file__).with_name("card.md")


def pack(folder: Path, name: str) -> None:
    """Copy a run's exported student, and note how it was made."""
    STUDENTS.mkdir(exist_ok=True)
    stored = pack_keras(folder / "student.keras", STUDENTS / f"{name}.keras")
    pack_onnx(folder / "export/student.onnx", STUDENTS / f"{name}.onnx", stored)
    shutil.copyfile(folder / "export/student_int8.onnx", STUDENTS / f"{name}_int8.onnx")
    stages = {file.stem: read_json(file) for file in (folder / ".stages").glob("*.json")}
    settings = {}
    for stamp in stages.values():
        settings |= stamp.get("made_from", {}).get("settings", {})
    architecture = read_json(folder / "architecture.json")
    made = {
        "recipe": folder.name.removeprefix("run_"),
        "seed": settings["seed"],
        "hardware": processor(),
        "duration": {
            stage: stamp["seconds"] for stage, stamp in stages.items() if "seconds" in stamp
        },
        "student": {key: architecture[key] for key in ("parameters", "macs", "space", "widths")},
        "settings": settings,
        "stored": stored,
    }
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}_run.json", made)


def pack_keras(source: Path, target: Path, most_bytes: int = MOST_BYTES) -> str:
    """Copy a `.keras` file with its parts compressed; return the dtype of its weights.

    Those of a file that would be larger than `most_bytes` are stored in half precision.
    """
    with zipfile.ZipFile(source) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    _write_zip(target, parts)
    if target.stat().st_size <= most_bytes:
        return "float32"
    weights = {name: halve_h5(parts[name]) for name in parts if name.endswith(".h5")}
    _write_zip(target, parts | weights)
    return "float16"


def _write_zip(target: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(target, "w") as file:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name)  # of no date: the same bytes each time
            file.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)


def pack_onnx(source: Path, target: Path, stored: str) -> None:
    """Copy an ONNX file, with its weights in the type that the `.keras` file has them in."""
    if stored == "float32":
        shutil.copyfile(source, target)
        return
    model = onnx.load(source)
    halve_onnx(model)
    onnx.save(model, target)


def card(name: str) -> str:
    """Return the card of a student, as Markdown with the block of metadata that hubs read."""
    run, evaluation, swept, strong = (
        read_json(RESULTS / f"{name}{part}.json") for part in ("_run", "", "_sweep", "_auto_attack")
    )
    files = [student_file(name, form) for form in (".keras", ".onnx")]
    check_files(name, files, [evaluation, swept, strong])
    (strongest,) = (row for row in figure_rows(strong) if row["key"] == "auto_attack")
    # fewer images, which may be easier or harder ones than all
    strongest["how"] += f"; PGD-20 on the same images: {percent(strong['accuracy']['pgd20'])}"
    rows = [*figure_rows(evaluation), strongest]
    return filled(
        TEMPLATE,
        name=name,
        n=evaluation["n"],
        accuracy=evaluation["accuracy"],
        run=run,
        student=run["student"],
        settings=run["settings"],
        rows=rows,
        sweep=_sweep(swept),
        swept=swept["n"],
        attacked=strong["n"],
        check=evaluation["check"]["verdict"],
        files=[(f"{name}{form}", _bytes(name, form)) for form in FORMS if form != ".md"],
        size={key: count(run["student"][key]) for key in ("parameters", "macs")},
        took=duration(sum(run["duration"][stage] for stage in TRAININGS)),
        radius=radius(evaluation["epsilon"]),
        percent=percent,
    )


def figure_rows(figures: dict[str, Any]) -> list[dict[str, Any]]:
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


def filled(template: Path, **values: Any) -> str:
    """Return a card: a template's text with values in it, all of which it has to be given."""
    text = jinja2.Template(
        template.read_text(),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return text.render(values)


def check_files(name: str, files: Iterable[Path], measured: Iterable[dict[str, Any]]) -> None:
    """Raise ValueError where figures are of none of the files that are packed under a name."""
    own = {content_hash(file) for file in files}
    for figures in measured:
        if figures["sha256"] not in own:
            raise ValueError(f"results of {name} are of another file ({figures['sha256'][:12]})")


def _bytes(name: str, form: str) -> str:
    return f"{count(student_file(name, form).stat().st_size)}B"


def main() -> None:
    """Pack the student of a run, or write all cards."""
    if len(sys.argv) == 3:
        pack(Path(sys.argv[1]), sys.argv[2])
        return
    for name in student_names():
        student_file(name, ".md").write_text(card(name))
        print(f"{name}: written")


if __name__ == "__main__":
    main()
