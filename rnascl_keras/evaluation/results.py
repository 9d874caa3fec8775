"""What becomes of the figures: tables, JSON, a plot, a page, the images, and the gate."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.data.image_files import shown_path
from rnascl_keras.errors import BelowTheGate, UserError
from rnascl_keras.evaluation import several
from rnascl_keras.evaluation.facts import SCHEMA_VERSION, facts_of
from rnascl_keras.evaluation.gate import CORRUPTIONS, below_the_gate
from rnascl_keras.evaluation.measured import Measured
from rnascl_keras.evaluation.request import Request
from rnascl_keras.evaluation.sweep import Sweep
from rnascl_keras.evaluation.tables import print_comparison, print_corrupted, print_figures
from rnascl_keras.files.full_disk import reporting_full_disk
from rnascl_keras.files.whole import atomic_write, write_json, written_beside
from rnascl_keras.progress import is_quiet


def give(measured: Sequence[Measured], request: Request, lost: Sequence[str] = ()) -> None:
    """Print the figures of one or several models, and write what is wanted.

    Args:
        measured: the models.
        request: what was asked for.
        lost: why further models could not be measured.

    Raises:
        UserError: the work on a model had ended before all was measured; what was measured is
            printed and written first.
        BelowTheGate: an accuracy is below the least that is wanted.
    """
    for one in measured:
        print_figures(one.path, one.evaluation, one.sweep, one.class_names)
        if one.corrupted:
            print_corrupted(one.path, one.corrupted)
        if changed := one.file.change():
            print(changed, file=sys.stderr)
    compared, unanswered = None, []
    if len(measured) + len(lost) > 1:
        compared, unanswered = several.compare(measured)
    names = several.names_of(measured)
    if compared and len(measured) > 1:
        print_comparison(names, [one.evaluation for one in measured], compared)
    if measured and (written := request.written):
        first = written[0]
        with reporting_full_disk(first.parent, first.name, then="these figures come again"):
            for file in _write(measured, request, compared):
                if not is_quiet():
                    print(f"{file} is written", file=sys.stderr)
    if failed := [*lost, *(one.failed for one in measured if one.failed), *unanswered]:
        raise UserError(" ".join(failed))
    words = [
        below
        for name, one in zip(names, measured, strict=True)
        for below in below_the_gate(name, _gated(one), request.least)
    ]
    if words:
        raise BelowTheGate("; ".join(words))


def _gated(one: Measured) -> dict[str, float]:
    """Return all accuracies of which a least can be wanted, by key."""
    mean = {CORRUPTIONS: one.corrupted.mean} if one.corrupted else {}
    return one.evaluation.accuracy | mean


def _write(
    measured: Sequence[Measured], request: Request, compared: dict[str, Any] | None
) -> Iterator[Path]:
    """Write what is asked for, and yield each file."""
    facts = [facts_of(one, request) for one in measured]
    first = measured[0]
    if request.plot and first.sweep:
        atomic_write(request.plot, _drawn_sweep(first, first.sweep, request.plot))
        yield request.plot
    if request.out:
        write_json(request.out, _of_several(measured, facts, compared) if compared else facts[0])
        yield request.out
    if request.images_out:  # before what is drawn of them
        _write_images(request.images_out, measured)
        yield request.images_out
    if request.page:
        from rnascl_keras.report.audit import write_audit

        examples = [one.evaluation.examples for one in measured]
        names = several.names_of(measured)
        beside = compared if len(measured) > 1 else None
        write_audit(request.page, dict(zip(names, facts, strict=True)), examples, beside)
        yield request.page


def _of_several(
    measured: Sequence[Measured], facts: Sequence[dict[str, Any]], compared: dict[str, Any]
) -> dict[str, Any]:
    """Return the JSON of several files, as `SeveralFacts` describes it: there a file is called by
    its path, as in its own facts."""
    paths = dict(zip(several.names_of(measured), [one["model"] for one in facts], strict=True))
    differences = [
        pair | {"first": paths[pair["first"]], "second": paths[pair["second"]]}
        for pair in compared["differences"]
    ]
    whole = {"schema_version": SCHEMA_VERSION, "files": list(facts)}
    return whole | compared | {"differences": differences}


def _drawn_sweep(measured: Measured, swept: Sweep, path: Path) -> bytes:
    from rnascl_keras.report.sweep_plot import accuracy_by_radius

    clean = dict.fromkeys(swept.accuracy, measured.evaluation.accuracy["clean"])
    settings: dict[str, Any] = {
        "clean_intervals": dict.fromkeys(swept.accuracy, measured.evaluation.intervals["clean"]),
        "title": f"{shown_path(measured.path.name)}, first {swept.n} images",
        "norm": swept.norm,
        "file_format": path.suffix[1:],
    }
    return accuracy_by_radius(swept.epsilon, swept.accuracy, swept.intervals, clean, **settings)


def _write_images(path: Path, measured: Sequence[Measured]) -> None:
    """Write the images that attacks made, so that `--data` takes them: `x`, of each image the first
    that fooled the model, else the image itself, `y`, and those of each attack, `x_KEY`; of several
    models, those of the first, and of the others `x_KEY_2` and so on."""
    first = measured[0]
    worst = np.array(first.images.first(len(first.images))[0])
    arrays: dict[str, Any] = {}  # of which none is called `allow_pickle`
    for number, one in enumerate(measured, start=1):
        for key, made in one.made.items():
            arrays[f"x_{key}" if number == 1 else f"x_{key}_{number}"] = made
    fell = np.zeros(len(worst), bool)
    for key, made in first.made.items():
        new = ~first.evaluation.right[key] & ~fell
        worst[new], fell = made[new], fell | new
    with written_beside(path) as beside:
        np.savez_compressed(beside, x=worst, y=first.images.labels, **arrays)
