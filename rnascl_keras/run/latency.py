"""A run's table of latencies: found again, measured, or taken from another device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import read_json
from rnascl_keras.method.latency_table import LatencyTable, made_with
from rnascl_keras.run.workdir import Run

TABLE = "latency_table.json"


def given_table(name: str) -> Path:
    """Return the file that `search.latency_table` names.

    Raises:
        UserError: it is not there.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        raise UserError(
            f"search.latency_table: there is no file {path}; write it on the device with "
            "rnascl_keras.export.block_latency.measure_latency_table(...).save(FILE), or leave the "
            "setting out to measure here."
        )
    return path


def table_for(run: Run) -> LatencyTable:
    """Return the table that a run's search takes; the chief writes it into the work folder.

    One that is there and was measured with the same is taken as it is.

    Raises:
        UserError: the file given is none, or is of other students.
    """
    settings, data = run.recipe.search, run.data.train
    subject = (run.recipe.search_space, data.input_shape, data.classes)
    path = run.path(TABLE)
    if settings.latency_table:
        table = LatencyTable.load(given_table(settings.latency_table))
        table.check_fits(*subject)
        if run.is_chief:
            table.save(path)
        return table
    there = path.exists() and _was_made_with(path, made_with(*subject, settings.latency_threads))
    run.wait_for_all_workers()  # the chief measures for all of them, when all have looked
    if there:
        run.say(f"search: latencies as in {path}")
    elif run.is_chief:
        from rnascl_keras.export.block_latency import measure_latency_table

        run.say("search: measuring the latency of the blocks on this machine")
        measure_latency_table(*subject, threads=settings.latency_threads).save(path)
    run.wait_for_all_workers()
    return LatencyTable.load(path)


def _was_made_with(path: Path, wanted: dict[str, Any]) -> bool:
    return read_json(path).get("made_with") == wanted


def predicted_latency(run: Run, widths: Sequence[Sequence[int]]) -> float | None:
    """Return the milliseconds that the run's table predicts; None where the cost is another."""
    if run.recipe.search.cost != "latency":
        return None
    return LatencyTable.load(run.path(TABLE)).predict(widths)


def latency_prediction(run: Run, timed: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return `latency_prediction` of `report.json`; nothing where the cost is another.

    What was measured of the student's file stands beside it, where both are of this machine.

    Args:
        timed: by file name of the exported students, milliseconds by threads.
    """
    predicted = predicted_latency(run, run.architecture.widths)
    if predicted is None:
        return {}
    threads = LatencyTable.load(run.path(TABLE)).made_with["threads"]
    found = {"threads": threads, "predicted_ms": predicted}
    if not run.recipe.search.latency_table:  # of another device
        found["measured_ms"] = timed["student.onnx"][threads]
    return {"latency_prediction": found}
