"""What a report's page shows: everything that its template names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnascl_keras.assignments import flat_settings
from rnascl_keras.report import keys, words
from rnascl_keras.report.audit_words import classes_that_fall_first, strongest_attack
from rnascl_keras.report.corruption_words import corrupted_models
from rnascl_keras.report.pictures import ReportPictures, draw_pictures
from rnascl_keras.report.undecided import undecided_words


@dataclass(frozen=True)
class View:
    """The names of the template `report.html`, one for each field.

    Attributes:
        report: the content of `report.json`.
        sentences: what the run found, see `words.summary`.
        card: by title, see `words.model_card`.
        reading: whether early layers chose early tutors, see `words.tutor_reading`, or None.
        attention_words: how alike the attention maps of an image and of itself, attacked, are.
        guessing: by name, why its figures say nothing, see `keys.guessing`.
        models: by key, in the order of the columns, the figures of `report`.
        headline: the key of the last student, which the summary and the pictures are about.
        classes: how each of its classes fares, see `audit_words.classes_that_fall_first`.
        strongest: the key of the attack that left it the fewest images, or None.
        names: by model's key, how it is written.
        copied: whether the student's training copied its tutors' attention.
        accuracy_keys: the rows of the table of accuracies, see `keys.accuracy_keys`.
        corrupted: by model's key, its accuracies under corruptions, where they were measured.
        verdicts: by model's key, what the check for false robustness says of it.
        signs: the signs of false robustness that were looked for, in the order of the check.
        exported: by name of an ONNX file, its figures.
        export_keys: the columns of its accuracies, those of transfers as those of attacks.
        timed: by name, what has a latency: the files, and before them the teacher.
        file_verdicts: as `verdicts`, by name of an ONNX file.
        architecture: what the search chose, or None.
        widths_to_choose: what each block could choose from, block after block: ``8 to 16``.
        tutors_to_choose: n_t, how many teacher layers each student layer could choose from.
        files: by what is in them, their paths in the run's folder.
        durations: by stage, in seconds.
        settings: names and values of the recipe's settings.
        pictures: by name, see `pictures.draw_pictures`.
    """

    report: dict[str, Any]
    sentences: list[str]
    card: dict[str, str]
    reading: dict[str, Any] | None
    attention_words: str
    guessing: dict[str, str]
    models: dict[str, dict[str, Any]]
    headline: str
    classes: list[dict[str, Any]]
    strongest: str | None
    names: dict[str, str]
    copied: bool
    accuracy_keys: list[str]
    corrupted: dict[str, dict[str, Any]]
    verdicts: dict[str, str]
    signs: list[str]
    exported: dict[str, dict[str, Any]]
    export_keys: list[str]
    timed: dict[str, dict[str, Any]]
    file_verdicts: dict[str, str]
    architecture: dict[str, Any] | None
    widths_to_choose: list[str]
    tutors_to_choose: int
    files: dict[str, str]
    durations: dict[str, float]
    settings: list[tuple[str, Any]]
    pictures: dict[str, Any]

    @classmethod
    def of(cls, report: dict[str, Any], given: ReportPictures) -> View:
        """Gather it from the content of `report.json` and from what the pictures are drawn from."""
        architecture = report.get("architecture")
        tutors = architecture["tutors"] if architecture else ()
        reading = words.tutor_reading(tutors, given.teacher_layers)
        undecided = undecided_words(
            given.tutor_entropy, len(given.teacher_layers), given.channel_history.values()
        )
        told = words.summary(report, None if "tutors" in undecided else reading)
        if reading and "tutors" in undecided:
            reading = {**reading, "words": f"{undecided['tutors']} {reading['words']}"}
        headline = keys.model_keys(report)[-1] if keys.model_keys(report) else ""
        figures = _headline_figures(report, headline)
        return cls(
            report=report,
            sentences=[*told, *undecided.values()],
            card=words.model_card(report),
            reading=reading,
            attention_words=words.attention_words(given.attention),
            guessing=keys.guessing(report),
            models={key: report[key] for key in keys.model_keys(report)},
            headline=headline,
            classes=classes_that_fall_first(figures) if "class_counts" in figures else [],
            strongest=strongest_attack(figures) if figures else None,
            names=keys.model_names(report),
            copied=words.copies(report.get("settings", {})),
            accuracy_keys=keys.accuracy_keys(report),
            corrupted=corrupted_models(report),
            verdicts=keys.verdicts(report),
            signs=_signs(report),
            exported=report.get("export", {}),
            export_keys=_export_keys(report),
            timed=_timed(report),
            file_verdicts=keys.file_verdicts(report),
            architecture=architecture,
            widths_to_choose=_widths_to_choose(given.channel_widths),
            tutors_to_choose=len(given.teacher_layers),
            files=report.get("files", {}),
            durations=report.get("duration", {}),
            settings=list(flat_settings(report.get("settings", {}))),
            pictures=draw_pictures(report, given, figures),
        )


def _headline_figures(report: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a model's figures and the `class_names` of its outputs; empty where the report knows
    no such."""
    if not key or not report.get("data"):
        return {}
    names, figures = report["data"]["classes"], report[key]
    if counts := figures.get("class_counts"):
        names = keys.class_names(names, len(counts))
    return {**figures, "class_names": names}


def _signs(report: dict[str, Any]) -> list[str]:
    checks = keys.checks(report).values()
    return list(dict.fromkeys(f["name"] for check in checks for f in check["findings"]))


def _export_keys(report: dict[str, Any]) -> list[str]:
    found = (key.removeprefix(keys.TRANSFER) for key in keys.exported_keys(report))
    return [key for key in dict.fromkeys(found) if key != "worst"]


def _timed(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    sides = {"teacher": report.get("teacher_onnx") or {}, **report.get("export", {})}
    return {name: side for name, side in sides.items() if "latency_ms" in side}


def _widths_to_choose(widths: dict[str, Sequence[int]]) -> list[str]:
    return [f"{min(choices)} to {max(choices)}" for choices in widths.values()]
