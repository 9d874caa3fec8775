"""One self-contained HTML page of what a run found.

Everything is inside the page: style, tables, pictures. It asks the network for nothing, and its
links to the run's files are relative, so a run's folder can be moved or sent as it is.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from rnascl_keras import units
from rnascl_keras.files.whole import atomic_write
from rnascl_keras.recipe import flat_settings
from rnascl_keras.report import keys, plots, search_plots
from rnascl_keras.report import words as report_words
from rnascl_keras.report.sweep_plot import accuracy_by_radius


@dataclass(frozen=True)
class ReportPictures:
    """What the pictures are drawn from. An empty array or list leaves its picture out.

    Args:
        tutor_probabilities: (n_s, n_t), a row per student layer, each summing to 1.
        student_layers: the n_s names.
        teacher_layers: the n_t names.
        channel_history: by name of a choice, (epochs, n_choices) probabilities.
        channel_widths: by name of a choice, its n_choices widths.
        tutor_entropy: (epochs,) in nats, mean over the student layers.
        gumbel_temperature: (epochs,).
        images: (k, h, w, c), pixels in [0, 1]; each is followed by itself, attacked.
        labels: k true classes, names or numbers.
        predictions: the k classes that the student predicts.
        attention: by pair of layers, `student_layer`, `teacher_layer`, and the maps of the images
            in `student` and `teacher`, (k, h', w') each.
    """

    tutor_probabilities: np.ndarray
    student_layers: Sequence[str]
    teacher_layers: Sequence[str]
    channel_history: dict[str, np.ndarray]
    channel_widths: dict[str, Sequence[int]]
    tutor_entropy: np.ndarray
    gumbel_temperature: np.ndarray
    images: np.ndarray
    labels: Sequence[Any]
    predictions: Sequence[Any]
    attention: Sequence[dict[str, Any]] = field(default_factory=list)


def write_report(workdir: Path, report: dict[str, Any], pictures: ReportPictures) -> Path:
    """Write `workdir`/report.html and return its path.

    Args:
        workdir: the run's folder.
        report: the content of `report.json`.
        pictures: what the pictures are drawn from.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rnascl_keras.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = ("attack_name", "attack_how", "short_layer", "sign_name")
    environment.filters.update({name: getattr(keys, name) for name in words})
    measures = ("percent", "count", "radius", "duration", "size", "milliseconds")
    environment.filters.update({name: getattr(units, name) for name in measures})
    environment.filters["picture"] = _data_uri
    architecture = report.get("architecture")
    tutors = architecture["tutors"] if architecture else ()
    reading = report_words.tutor_reading(tutors, pictures.teacher_layers)
    page = environment.get_template("report.html").render(
        report=report,
        sentences=report_words.summary(report, reading),
        card=report_words.model_card(report),
        reading=reading,
        moved=report_words.attention_words(pictures.attention),
        widths_to_choose=_widths_to_choose(pictures.channel_widths),
        models={key: report[key] for key in keys.model_keys(report)},
        names=keys.MODELS,
        colours=plots.MODEL_COLOURS,
        keys=keys.accuracy_keys(report),
        verdicts=keys.verdicts(report),
        signs=_signs(report),
        exported=report.get("export", {}),
        export_keys=_export_keys(report),
        timed=_timed(report),
        latencies=keys.LATENCIES,
        transfer=keys.TRANSFER,
        file_verdicts=keys.file_verdicts(report),
        architecture=architecture,
        files=report.get("files", {}),
        durations=report.get("duration", {}),
        settings=list(flat_settings(report.get("settings", {}))),
        undecided=len(pictures.teacher_layers),
        drawn=_draw(report, pictures),
    )
    return atomic_write(Path(workdir) / "report.html", page)


def _draw(report: dict[str, Any], pictures: ReportPictures) -> dict[str, Any]:
    """Return the pictures as SVG, by name; None where there is nothing to draw from."""
    models = {key: report[key] for key in keys.model_keys(report)}
    drawn: dict[str, Any] = dict.fromkeys(
        ("tutors", "entropy", "temperature", "attention", "sweep")
    )
    drawn |= {
        "accuracy": plots.robust_accuracy(models, keys.accuracy_keys(report)),
        "channels": _by_stage(
            search_plots.channel_probabilities(pictures.channel_history, pictures.channel_widths)
        ),
    }
    if np.size(pictures.tutor_probabilities):
        drawn["tutors"] = search_plots.tutor_map(
            pictures.tutor_probabilities, pictures.student_layers, pictures.teacher_layers
        )
    if np.size(pictures.tutor_entropy):
        drawn["entropy"] = search_plots.tutor_entropy(
            pictures.tutor_entropy, len(pictures.teacher_layers)
        )
    if np.size(pictures.gumbel_temperature):
        drawn["temperature"] = search_plots.gumbel_temperature(pictures.gumbel_temperature)
    if len(pictures.images) and pictures.attention:
        drawn["attention"] = plots.attention_maps(
            pictures.images,
            pictures.labels,
            pictures.predictions,
            pictures.attention,
            attacked=True,
        )
    swept = {keys.MODELS[key]: m["sweep"] for key, m in models.items() if "sweep" in m}
    if swept:
        drawn["sweep"] = accuracy_by_radius(
            next(iter(swept.values()))["epsilon"],
            {name: sweep["accuracy"]["pgd20"] for name, sweep in swept.items()},
            {name: sweep["intervals"]["pgd20"] for name, sweep in swept.items()},
            {name: sweep["clean"] for name, sweep in swept.items()},
            {keys.MODELS[key]: colour for key, colour in plots.LINE_COLOURS.items()},
        )
    return drawn


def _signs(report: dict[str, Any]) -> list[str]:
    """Return the signs of false robustness that were looked for, in the order of the check."""
    checks = [report[key]["check"] for key in keys.verdicts(report)]
    return list(dict.fromkeys(f["name"] for check in checks for f in check["findings"]))


def _widths_to_choose(widths: dict[str, Sequence[int]]) -> list[str]:
    """Return what each block could choose from, block after block: ``8 to 16``."""
    return [f"{min(choices)} to {max(choices)}" for choices in widths.values()]


def _by_stage(panels: dict[str, str]) -> list[dict[str, str]]:
    """Return the channel choices' pictures stage by stage: each stage begins a new row."""
    stages = itertools.groupby(panels.items(), key=lambda panel: panel[0].partition("_")[0])
    return [dict(stage) for _, stage in stages]


def _export_keys(report: dict[str, Any]) -> list[str]:
    """Return the accuracy keys of the exported files, those of transfers as those of attacks."""
    found = (key.removeprefix(keys.TRANSFER) for key in keys.exported_keys(report))
    return [key for key in dict.fromkeys(found) if key != "worst"]


def _timed(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what has a latency: the files, and before them the teacher."""
    sides = {"teacher": report.get("teacher_onnx") or {}, **report.get("export", {})}
    return {name: side for name, side in sides.items() if "latency_ms" in side}


def _data_uri(svg: str) -> str:
    """Return a picture's address that holds the picture itself."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
