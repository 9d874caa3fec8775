"""What a pruned model weighs and is worth: its weights, products, files and accuracies."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.table import Table

from rnascl_keras.console import PlainConsole
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.export import export_student, measure_latency, quantise
from rnascl_keras.files.hashes import digest
from rnascl_keras.files.shape import NOT_YET, Keys, Shape
from rnascl_keras.models.size import model_macs, model_parameters
from rnascl_keras.pruning.masks import kept_weights
from rnascl_keras.report.keys import attack_name
from rnascl_keras.run.export_stage import calibration_images
from rnascl_keras.run.figures import Speed
from rnascl_keras.run.origin import Noted
from rnascl_keras.run.workdir import Run
from rnascl_keras.units import count, milliseconds, percent, radius, size

CHECK_IMAGES = 500


class _File(Keys):
    bytes: int
    zeros: float
    latency_ms: Speed


class _Pruned(Noted):
    model: str
    parameters: int
    weights: int
    kept: int
    macs: int
    macs_kept: int | None
    files: dict[str, _File]
    n: int
    epsilon: float
    accuracy: dict[str, float]
    intervals: dict[str, list[float]]
    measured_by: str = NOT_YET


PRUNED = Shape(_Pruned, "is not of a pruned model", "delete it and give the command again")


def measured(run: Run, model: keras.Model, folder: Path, name: str) -> dict[str, Any]:
    """Write `NAME.onnx` into the folder, its int8 form and SavedModel; return what it is worth.

    Keys: `parameters` of all trainable ones, `weights` of the kernels, `kept` those that are not
    zero; `macs` as the layers compute them, `macs_kept` without the zeros, which no runtime that we
    know saves; `files` by name, `bytes`, `zeros`, `latency_ms`, `clean`; `n`, `epsilon`,
    `accuracy`, `intervals`; `measured_by`.
    """
    test, settings = run.data.test, run.recipe.evaluation
    images, labels = test.first(min(settings.n, len(test)))
    # first, for a file that does not answer as the model does ends it
    files = _files(run, model, folder, name, images[:CHECK_IMAGES])
    evaluation, _ = evaluate(
        model, images, labels, seed=run.recipe.seed, **settings.arguments(), keep=False
    )
    kept, weights = kept_weights(model)
    return {
        "parameters": model_parameters(model),
        "weights": weights,
        "kept": kept,
        "macs": model_macs(model).total,
        "macs_kept": macs_kept(model),
        "files": files,
        "n": evaluation.n,
        "epsilon": evaluation.epsilon,
        "accuracy": evaluation.accuracy,
        "intervals": evaluation.intervals,
        "near_chance": evaluation.near_chance,
        "measured_by": measured_by(run),
    }


def measured_by(run: Run) -> str:
    """Return a digest of what `measured` goes by beside the model and the images."""
    recipe, evaluation, export = run.recipe, run.recipe.evaluation, run.recipe.export
    attacked = {"n": evaluation.n, "seed": recipe.seed, **evaluation.arguments()}
    return digest([attacked, {"calibration": export.calibration, **export.arguments()}])


def macs_kept(model: keras.Model) -> int | None:
    """Return the multiply-adds by weights that are not zero.

    Returns:
        None where the layers' kernels, all their weights counted, do not give `model_macs`: with
        nested models, separable or strided transposed convolutions, layers that are called twice,
        maps of open size.
    """
    if any(isinstance(layer, keras.Model) for layer in model.layers):
        return None
    kept = whole = 0
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        sizes = layer.output.shape[1:-1]
        if None in sizes:
            return None
        places = math.prod(sizes)  # each weight counts once at each
        kept += places * int(np.count_nonzero(np.asarray(kernel)))
        whole += places * math.prod(kernel.shape)
    return kept if whole == model_macs(model).total else None


def _files(
    run: Run, model: keras.Model, folder: Path, name: str, images: np.ndarray
) -> dict[str, Any]:
    """Return the figures of the ONNX files, each checked on `images`."""
    made = export_student(model, folder, name, images)
    int8 = quantise(
        made.onnx_path,
        folder / f"{name}_int8.onnx",
        calibration_images(run),
        check_images=images,
        **run.recipe.export.arguments(),
    )
    found = {}
    for path, one in ((made.onnx_path, made), (int8.path, int8)):
        found[path.name] = {
            "bytes": one.bytes,
            "sha256": one.sha256,
            "agreement": one.agreement,
            "zeros": zeros_in(path),
            "latency_ms": measure_latency(path),
        }
    return found


def zeros_in(path: Path) -> float:
    """Return the share of zeros among the kernels' weights in an ONNX file, float or int8."""
    import onnx
    from onnx import numpy_helper

    arrays = [numpy_helper.to_array(a) for a in onnx.load(path).graph.initializer]
    weights = [a for a in arrays if a.ndim >= 2 and a.dtype in (np.float32, np.int8)]
    kept, total = sum(map(np.count_nonzero, weights)), sum(a.size for a in weights)
    return float(1 - kept / max(1, total))


def print_figures(figures: dict[str, Any]) -> None:
    """Print what is in the JSON of a pruned model."""
    table = Table(title=f"{figures['model']}, pruned", show_header=False)
    left = figures["kept"] / figures["weights"]
    table.add_row("Weights", f"{count(figures['kept'])} of {count(figures['weights'])}")
    table.add_row("", f"{percent(left)} % are not zero")
    table.add_row("MACs", count(figures["macs"]))
    if figures["macs_kept"] is not None:
        table.add_row("without zeros", count(figures["macs_kept"]))
    for name, file in figures["files"].items():
        speed = milliseconds(file["latency_ms"]["one_thread"])
        words = f"{size(file['bytes'])}, {percent(file['zeros'])} % zeros, {speed} ms"
        table.add_row(name, words)
    for key, share in figures["accuracy"].items():
        table.add_row(attack_name(key), f"{percent(share)} %")
    table.caption = f"first {figures['n']} test images, L∞ radius {radius(figures['epsilon'])}"
    PlainConsole().print(table)
