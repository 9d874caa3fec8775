"""`rnascl evaluate MODEL.keras`: the figures of one model, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import keras
from rich.console import Console
from rich.table import Table

from rnascl_keras.attacks import make_attack
from rnascl_keras.data import load_test_data
from rnascl_keras.errors import UserError
from rnascl_keras.evaluate import Evaluation, evaluate
from rnascl_keras.files import check_writable, sha256, write_json
from rnascl_keras.model_files import load_model
from rnascl_keras.summary import attack_how, attack_name, percent, radius


def evaluate_file(
    path: Path,
    data: str,
    data_dir: str | None,
    *,
    attacks: Sequence[str],
    eps: str,
    n: int,
    seed: int,
    out: Path | None,
) -> Evaluation:
    """Evaluate a `.keras` file on the first n test images; print a table, write JSON to `out`."""
    epsilon = parse_radius(eps)
    for name in attacks:
        make_attack(name, epsilon)
    if out:
        check_writable(out)
    if not path.is_file():
        raise UserError(f"there is no model file {path}.")
    model = load_model(path)
    test = load_test_data(data, data_dir=data_dir, image_shape=_image_shape(model, path))
    images, labels = test.first(min(n, len(test)))
    evaluation, _ = evaluate(model, images, labels, attacks=attacks, epsilon=epsilon, seed=seed)
    _print(path, evaluation)
    if out:
        write_json(
            out,
            {
                "model": str(path),
                "sha256": sha256(path),
                "data": data,
                "n": evaluation.n,
                "norm": "Linf",
                "epsilon": evaluation.epsilon,
                "seed": seed,
                "accuracy": evaluation.accuracy,
                "intervals": evaluation.intervals,
            },
        )
    return evaluation


def _image_shape(model: keras.Model, path: Path) -> tuple[int, int, int]:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(
            f"{path} takes input of shape {shape}; expected one of images, (batch, height, width, "
            "channels)."
        )
    return shape[1:]


def parse_radius(text: str) -> float:
    """Return the radius that `8/255` or `0.031` stands for.

    Raises:
        UserError: it is no number in (0, 1].
    """
    try:
        epsilon = float(Fraction(text))
    except (ValueError, ZeroDivisionError, OverflowError):
        epsilon = 0.0
    if not 0 < epsilon <= 1:
        raise UserError(f"--eps must be a number in (0, 1] such as 8/255; got {text!r}.")
    return epsilon


def _print(path: Path, evaluation: Evaluation) -> None:
    table = Table(title=f"{path.name}, first {evaluation.n} images, {radius(evaluation.epsilon)}")
    for column in ("", "accuracy", "95 % interval", ""):
        table.add_column(column)
    for key, accuracy in evaluation.accuracy.items():
        low, high = evaluation.intervals[key]
        interval = f"{percent(low)} to {percent(high)}"
        table.add_row(attack_name(key), percent(accuracy), interval, attack_how(key))
    Console().print(table)
