"""`rnascl evaluate MODEL.keras`: the figures of one model, as tables, JSON and a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import keras
from rich.console import Console
from rich.table import Table

from rnascl_keras.attacks import make_attack
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.data import load_test_data
from rnascl_keras.errors import UserError
from rnascl_keras.evaluate import Evaluation, evaluate
from rnascl_keras.false_robustness import IMAGES
from rnascl_keras.files import atomic_write, check_writable, sha256, write_json
from rnascl_keras.model_files import load_model
from rnascl_keras.summary import attack_how, attack_name, percent, radius
from rnascl_keras.sweep import Sweep, sweep_radii
from rnascl_keras.sweep_plot import accuracy_by_radius

SHOWN_CLASSES = 20


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
    norm: str = "Linf",
    sweep: Sequence[str] = (),
    plot: Path | None = None,
    check: int = IMAGES,
) -> Evaluation:
    """Evaluate a `.keras` file on the first n test images; print tables, write JSON to `out`.

    Args:
        path: the model.
        data, data_dir: what to evaluate on, see `data.load_test_data`.
        attacks: names as `attacks.make_attack` takes them.
        eps: radius, e.g. `8/255`.
        n: number of images.
        seed: of what is random.
        out: where to write the figures, or None.
        norm: "Linf" or "L2".
        sweep: more radii, at which all attacks are run too.
        plot: where to draw that as SVG, or None.
        check: number of images on which signs of false robustness are looked for.
    """
    epsilon = parse_radius(eps, norm)
    radii = [parse_radius(text, norm, "--sweep") for text in sweep]
    for name in attacks:
        make_attack(name, epsilon, norm=norm)
    if plot and not radii:
        raise UserError("--plot draws the accuracy over the radii of --sweep, which is not given.")
    for file in (out, plot):
        if file:
            check_writable(file)
    if not path.is_file():
        raise UserError(f"there is no model file {path}.")
    model = load_model(path)
    test = load_test_data(data, data_dir=data_dir, image_shape=_image_shape(model, path))
    images, labels = test.first(min(n, len(test)))
    classifier = KerasClassifier(model)
    settings = {"attacks": attacks, "norm": norm, "seed": seed}
    evaluation, _ = evaluate(classifier, images, labels, epsilon=epsilon, check=check, **settings)
    swept = sweep_radii(classifier, images, labels, radii=radii, **settings) if radii else None
    _print(path, evaluation, swept, test.class_names)
    if plot:
        clean = evaluation.accuracy["clean"]
        drawn = accuracy_by_radius(swept.epsilon, swept.accuracy, swept.intervals, clean)
        atomic_write(plot, drawn)
    if out:
        facts = {"model": str(path), "sha256": sha256(path), "data": data}
        swept_facts = {"sweep": swept.as_dict()} if swept else {}
        write_json(out, facts | evaluation.as_dict() | swept_facts)
    return evaluation


def _image_shape(model: keras.Model, path: Path) -> tuple[int, int, int]:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(
            f"{path} takes input of shape {shape}; expected one of images, (batch, height, width, "
            "channels)."
        )
    return shape[1:]


def parse_radius(text: str, norm: str = "Linf", option: str = "--eps") -> float:
    """Return the radius that `8/255` or `0.031` stands for.

    Raises:
        UserError: it is no number in (0, 1], or for L2 no positive number.
    """
    try:
        epsilon = float(Fraction(text))
    except (ValueError, ZeroDivisionError, OverflowError):
        epsilon = 0.0
    if not 0 < epsilon <= (1 if norm == "Linf" else math.inf):
        expected = "in (0, 1] such as 8/255" if norm == "Linf" else "above 0 such as 0.5"
        raise UserError(f"{option} must be a number {expected}; got {text!r}.")
    return epsilon


def _print(
    path: Path, evaluation: Evaluation, sweep: Sweep | None, class_names: Sequence[str]
) -> None:
    console = Console()
    console.print(_accuracies(path, evaluation))
    if len(class_names) <= SHOWN_CLASSES:
        console.print(_classes(evaluation, class_names))
    if sweep:
        console.print(_sweep(sweep))
    if evaluation.check:
        console.print(f"False robustness? {evaluation.check.verdict}", highlight=False)


def _accuracies(path: Path, evaluation: Evaluation) -> Table:
    norm = "" if evaluation.norm == "Linf" else f" in {evaluation.norm}"
    reach = radius(evaluation.epsilon)
    table = Table(title=f"{path.name}, first {evaluation.n} images, {reach}{norm}")
    for column in ("", "accuracy", "95 % interval", ""):
        table.add_column(column)
    for key, accuracy in evaluation.accuracy.items():
        low, high = evaluation.intervals[key]
        interval = f"{percent(low)} to {percent(high)}"
        table.add_row(attack_name(key), percent(accuracy), interval, attack_how(key))
    return table


def _classes(evaluation: Evaluation, class_names: Sequence[str]) -> Table:
    """Return a table with a row for each class."""
    table = Table("class", "images", title="By class, in %")
    for key in evaluation.per_class:
        table.add_column(attack_name(key), justify="right")
    for k, name in enumerate(class_names):
        shares = [by_class[k] for by_class in evaluation.per_class.values()]
        cells = ["–" if share is None else percent(share) for share in shares]
        table.add_row(name, str(evaluation.class_counts[k]), *cells)
    return table


def _sweep(sweep: Sweep) -> Table:
    """Return a table with a row for each radius."""
    table = Table("radius", title=f"By radius, in %, first {sweep.n} images")
    for key in sweep.accuracy:
        table.add_column(attack_name(key), justify="right")
    for k, epsilon in enumerate(sweep.epsilon):
        table.add_row(radius(epsilon), *(percent(shares[k]) for shares in sweep.accuracy.values()))
    return table
