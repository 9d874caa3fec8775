"""The keys of a report, in their order, and how models, attacks and layers are written."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePath
from typing import Any

from rnascl_keras import attacks
from rnascl_keras.attacks.norms import NORMS
from rnascl_keras.errors import printable

MODELS = {"teacher": "Teacher", "student": "Student", "student_trades": "Student, TRADES"}
TRANSFER = "transfer_"
ONNX_FILES = "ONNX files"
LATENCIES = {"one_thread": "ms, 1 thread", "all_threads": "ms, all"}

LEARN_MORE = "more epochs, more images, or a start from robust weights (teacher.start, train.start)"


def _published(norm: str) -> dict[str, attacks.Attack]:
    # they say the same of themselves at every radius
    made = [attacks.make_attack(name, 1, norm=norm) for name in attacks.attacks_in(norm)]
    return {attack.key: attack for attack in made}


ATTACKS_BY_NORM = {norm: _published(norm) for norm in NORMS}
"""The attacks, with the settings their results are published under, by norm and key of accuracy."""

ATTACKS = ATTACKS_BY_NORM["Linf"]
NAMES = {key: attack.name for made in ATTACKS_BY_NORM.values() for key, attack in made.items()}

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
    if key in NAMES:
        return NAMES[key]
    return {"clean": "Clean", "worst": "Worst case"}.get(key, key)


def attack_how(key: str, norm: str = "Linf") -> str:
    """Return how the images behind an accuracy were made; empty where this page cannot say."""
    if key in ATTACKS_BY_NORM[norm]:
        return ATTACKS_BY_NORM[norm][key].how
    words = {
        "clean": "the images as they are",
        "worst": "right on the clean image and under every attack above",
    }
    return words.get(key, "")


def class_names(given: Sequence[str], outputs: int) -> list[str]:
    """Return a printable name for each of a model's outputs: those of its data, which may know
    fewer classes or more, and the number of each further one."""
    return [*map(printable, given[:outputs]), *map(str, range(len(given), outputs))]


def short_layer(name: str) -> str:
    """Write a layer's name for narrow places: ``stage1_block2_expand`` as ``1.2 expand``."""
    match = re.fullmatch(r"stage(\d+)_block(\d+)(?:_(.+))?", name)
    return f"{match[1]}.{match[2]} {match[3] or ''}".strip() if match else name


def model_names(report: dict[str, Any]) -> dict[str, str]:
    """Return how models are written, by key; TRADES is named only where it is what was done."""
    tuned = report.get("settings", {}).get("finetune") or {}
    return MODELS | ({"student_trades": "Student, fine-tuned"} if tuned.get("robust") else {})


def model_keys(report: dict[str, Any]) -> list[str]:
    """Return the models a report has figures of, in the order they are always shown."""
    return [key for key in MODELS if key in report]


def shown_keys(accuracy: Collection[str]) -> list[str]:
    """Return the keys of accuracies without the worst case where nothing was attacked: then it says
    no more than that of clean images, and looks as if it did."""
    return ["clean"] if set(accuracy) == {"clean", "worst"} else list(accuracy)


def all_keys(accuracies: Iterable[Collection[str]]) -> list[str]:
    """Return the keys of all accuracies: clean first, the attacks, worst last."""
    found = dict.fromkeys(key for accuracy in accuracies for key in accuracy)
    return [key for key in ("clean", *attack_keys(found), "worst") if key in found]


def attack_keys(accuracy: Iterable[str]) -> list[str]:
    """Return the keys of attacks among those of accuracies, in their order."""
    return [key for key in accuracy if key not in ("clean", "worst")]


def accuracy_keys(report: dict[str, Any]) -> list[str]:
    """Return the accuracy keys of a report's models, see `all_keys`."""
    return all_keys(report[model]["accuracy"] for model in model_keys(report))


def difference_name(difference: dict[str, Any]) -> str:
    """Return how a difference of two files is written, see `evaluation.several.compare`: a worst
    case over fewer attacks than a file underwent says over which."""
    name = attack_name(difference["key"])
    over = ", ".join(map(attack_name, difference.get("attacks", ())))
    return f"{name} of {over}, which both underwent" if over else name


def exported_keys(report: dict[str, Any]) -> list[str]:
    """Return the accuracy keys of a report's exported files: clean first, then attacks on the files
    themselves, then transfers."""
    files = report.get("export", {}).values()
    found = dict.fromkeys(key for file in files for key in file["accuracy"])
    return sorted(found, key=lambda key: (key != "clean", key.startswith(TRANSFER)))


def files_by_kind(report: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the exported files by what their kind is called."""
    kinds = {".onnx": ONNX_FILES, ".tflite": "LiteRT files"}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, file in report.get("export", {}).items():
        found.setdefault(kinds[PurePath(name).suffix], {})[name] = file
    return found


def checks(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the check for false robustness of each model that it was run on, see
    `false_robustness.Check`."""
    found = {key: report[key].get("check") for key in model_keys(report)}
    return {key: check for key, check in found.items() if check}


def file_checks(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the check for false robustness of each exported file that was attacked."""
    found = {name: file.get("check") for name, file in report.get("export", {}).items()}
    return {name: check for name, check in found.items() if check}


def guessing(report: dict[str, Any]) -> dict[str, str]:
    """Return why figures say nothing about robustness, by model and file whose clean accuracy is
    near chance, and what to do."""
    names = model_names(report)
    found = {names[key]: _unlearned(report[key]) for key in model_keys(report)}
    found |= {name: _unlearned(file) for name, file in report.get("export", {}).items()}
    return {name: words for name, words in found.items() if words}


def _unlearned(figures: dict[str, Any]) -> str | None:
    why = figures.get("near_chance")
    return why and f"{why.removesuffix('.')}: {LEARN_MORE}."


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    """Return what the checks of the models say, by model."""
    return {key: check["verdict"] for key, check in checks(report).items()}


def file_verdicts(report: dict[str, Any]) -> dict[str, str]:
    """Return what the checks of the exported files say, by file."""
    return {name: check["verdict"] for name, check in file_checks(report).items()}
