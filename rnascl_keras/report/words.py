"""The report in words: its summary, its model card, and what the tutors tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from rnascl_keras.files.exported import exported_files
from rnascl_keras.report.keys import (
    accuracy_keys,
    attack_keys,
    attack_name,
    checks,
    file_checks,
    model_keys,
    model_names,
)
from rnascl_keras.units import count, counted, percent, radius, size, with_capital

CHANCE = 0.05


def summary(report: dict[str, Any], reading: dict[str, Any] | None) -> list[str]:
    """Return what a run found, a sentence for each thing worth knowing first.

    Args:
        report: the content of `report.json`.
        reading: as `tutor_reading` returns it.
    """
    models = model_keys(report)
    students = [key for key in models if key != "teacher"]
    if not students:
        return []
    final = report[students[-1]]
    sentences = [_final_words(report, students[-1])]
    if "student_trades" in models and "student" in models:
        before, after = report["student"]["accuracy"], final["accuracy"]
        clean, worst = (
            f"from {percent(before[key])} to {percent(after[key])} %" for key in ("clean", "worst")
        )
        tuning = with_capital(_tuning(report.get("settings", {}).get("finetune") or {}))
        sentences.append(f"{tuning} moved it {clean} on clean images, and {worst} under attack.")
    sentences += _file_words(report, students[-1])
    sentences += _check_words(report)
    if reading:
        sentences.append(reading["words"])
    return sentences


def _check_words(report: dict[str, Any]) -> list[str]:
    """Say whose robustness may be false; nothing where that was not looked at."""
    names = model_names(report)
    found = {names[key]: check for key, check in checks(report).items()} | file_checks(report)
    doubted = [name for name, check in found.items() if not check["passed"]]
    if doubted:
        listed = " and ".join(doubted)
        return [f"False robustness is likely for {listed}: do not rely on those figures."]
    if found:
        return [
            f"No sign of false robustness was found on the {len(found)} models and files that were "
            "looked at."
        ]
    return []


def _final_words(report: dict[str, Any], key: str) -> str:
    student, teacher = report[key], report.get("teacher")
    attacks = attack_keys(accuracy_keys(report))
    words = (
        f"The student, {count(student['parameters'])} parameters and {count(student['macs'])} "
        f"multiply-adds an image, is right on {percent(student['accuracy']['clean'])} % of the "
        f"first {report['n']:,} test images, and on {percent(student['accuracy']['worst'])} % "
        f"whichever of {', '.join(map(attack_name, attacks))} within L∞ radius "
        f"{radius(report['epsilon'])} is tried"
    )
    if not teacher:
        return f"{words}."
    accuracy = teacher["accuracy"]
    times = teacher["macs"] / student["macs"]
    smaller = " the smaller network," if times < 1 else ""
    return (
        f"{words}. Its teacher,{smaller} at {times:.3g} times the multiply-adds, has "
        f"{percent(accuracy['clean'])} and {percent(accuracy['worst'])} %."
    )


def _file_words(report: dict[str, Any], student: str) -> list[str]:
    """Say which of a student's files is the smallest, and what it is worth."""
    found = report.get("export", {})
    files = {name: found[name] for name in exported_files(student) if name in found}
    if not files:
        return []
    name, file = min(files.items(), key=lambda item: item[1]["bytes"])
    words = f"Its smallest file, {name}, takes {size(file['bytes'])}"
    words += f" and is right on {percent(file['accuracy']['clean'])} % of the clean images"
    if "worst" in file["accuracy"]:
        words += f", on {percent(file['accuracy']['worst'])} % when it is attacked itself"
    return [f"{words}."]


def tutor_reading(
    tutors: Sequence[dict[str, str]], teacher_layers: Sequence[str]
) -> dict[str, Any] | None:
    """Return whether early layers chose early tutors.

    Args:
        tutors: `student_layer` and `teacher_layer` of each pair, the student's layers in order.
        teacher_layers: the teacher's, in order.

    Returns:
        Spearman's `rank_correlation` of the layers' places and its `p_value` under independent
        choices, None where all chose one tutor; the number of `distinct` tutors; and `words`. None
        for fewer than three layers, or where a tutor is not among the teacher's layers.
    """
    names = list(teacher_layers)
    if len(tutors) < 3 or any(tutor["teacher_layer"] not in names for tutor in tutors):
        return None
    places = [names.index(tutor["teacher_layer"]) for tutor in tutors]
    distinct = len(set(places))
    if distinct == 1:
        words = f"All layers of the student chose one tutor, {tutors[0]['teacher_layer']}."
        return {"rank_correlation": None, "p_value": None, "distinct": 1, "words": words}
    found: Any = spearmanr(np.arange(len(places)), places)
    rho, p = float(found.statistic), float(found.pvalue)
    figures = f"rank correlation {rho:+.2f}, p = {p:.2g}".replace("-", "−")
    if p >= CHANCE:
        words = f"Early layers did not clearly choose early tutors, nor late ones ({figures})"
    elif rho > 0:
        words = f"Early layers tended to choose early tutors ({figures})"
    else:
        words = f"Early layers tended to choose late tutors ({figures})"
    words += f"; {distinct} of the teacher's {len(names)} layers are tutors."
    return {"rank_correlation": rho, "p_value": p, "distinct": distinct, "words": words}


def attention_words(attention: Sequence[dict[str, Any]]) -> str:
    """Return how alike the maps of an image and of itself, attacked, are; empty without maps.

    Args:
        attention: by pair of layers the maps in `student` and `teacher`, (k, h, w) each, every
            image followed by itself, attacked.
    """
    if not attention:
        return ""
    student, teacher = (
        np.mean([_similarity(pair[side]) for pair in attention]) for side in ("student", "teacher")
    )
    return (
        "Correlation of an image's map with that of the same image, attacked, in the mean over the "
        f"layers shown: student {student:.2f}, its tutors {teacher:.2f}; 1 is unmoved."
    )


def _similarity(maps: np.ndarray) -> float:
    """Return the mean correlation of each map with the one that follows it."""
    flat = np.reshape(np.asarray(maps, np.float64), (len(maps) // 2, 2, -1))
    flat = flat - flat.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=-1).prod(axis=1)
    return float(np.mean((flat[:, 0] * flat[:, 1]).sum(axis=-1) / np.maximum(lengths, 1e-12)))


def model_card(report: dict[str, Any]) -> dict[str, str]:
    """Return what somebody has to know who gets a student, by title; nothing where the report does
    not say what the images are."""
    data, settings = report.get("data"), report["settings"]
    if not data:
        return {}
    shape, classes = data["image_shape"], data["classes"]
    attacks = [attack_name(a) for a in attack_keys(accuracy_keys(report))]
    return {
        "Does": f"classifies images of {' × '.join(map(str, shape))} into "
        f"{counted(len(classes), 'class', 'es')}: {_listed(classes)}.",
        "Takes": f"float32 pixels in [0, 1], shape (batch, {', '.join(map(str, shape))}); nothing "
        f"else is to be normalised.{_prepared(data)}",
        "Gives": f"logits, shape (batch, {len(classes)}); their argmax is the class.",
        "Images": f"{settings['data']['source']}: {data['train']:,} to train, "
        f"{data['validation']:,} held out, {data['test']:,} to test; augmentation: "
        f"{settings['data']['augmentation']}.",
        "Teacher": _teacher_words(settings["teacher"]),
        "Training": _training_words(settings),
        "Measured": f"on the first {report['n']:,} test images, clean and under "
        f"{', '.join(attacks)} within L∞ radius {radius(report['epsilon'])}.",
        "Not shown": "other attacks, norms or larger radii may find more; images of another source "
        "were not looked at; and this is one training, of one seed.",
    }


def _prepared(data: dict[str, Any]) -> str:
    """Say what was done to image files before, where the images came from such."""
    told = data.get("preprocessing")
    return f" Each file was {told}." if told else ""


def _listed(names: Sequence[str], limit: int = 12) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _teacher_words(teacher: dict[str, Any]) -> str:
    if teacher["weights"]:
        return f"{teacher['weights']}, as it was given."
    started = teacher.get("start")  # earlier reports are without
    network = teacher["architecture"] or "the same network"
    origin = f", from the weights of {started} on" if started else ""
    return (
        f"{network}, trained{origin} by {teacher['method']} within radius "
        f"{radius(teacher['epsilon'])} for {counted(teacher['epochs'], 'epoch')}."
    )


def _training_words(settings: dict[str, Any]) -> str:
    trained = settings["train"]
    words = (
        f"{counted(settings['search']['epochs'], 'epoch')} of search, {trained['epochs']} of "
        f"{'distillation with the chosen tutors (eq. 3)' if copies(settings) else 'training'}"
    )
    if robust := trained.get("robust"):  # earlier reports are without
        words += f", with the logit terms of {robust} within radius {radius(trained['epsilon'])}"
    if not copies(settings):
        words += ", in which no attention was copied"
    if tuned := settings["finetune"]:
        words += (
            f", {tuned['epochs']} of {_tuning(tuned)} within radius {radius(tuned['epsilon'])}, "
            f"{tuned['steps']} inner steps"
        )
    return f"{words}."


def _tuning(settings: dict[str, Any]) -> str:
    """Return how a student was fine-tuned; earlier reports' settings are without `robust`."""
    return f"fine-tuning by {settings['robust']}" if settings.get("robust") else "TRADES"


def copies(settings: dict[str, Any]) -> bool:
    """Return whether a student was trained to look where its tutors do."""
    return settings.get("train", {}).get("gamma_t") != 0
