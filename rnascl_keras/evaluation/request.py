"""What `rnascl evaluate MODEL.keras` and `rnascl attack MODEL.onnx` share: one model's figures.

As tables, as JSON, as a plot. Neither TensorFlow nor Keras is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rnascl_keras.attacks import make_attack
from rnascl_keras.data import load_test_data
from rnascl_keras.data.sources import ImageShape
from rnascl_keras.errors import ModelFailed, UserError
from rnascl_keras.evaluation.evaluate import Evaluation, evaluate
from rnascl_keras.evaluation.false_robustness import IMAGES
from rnascl_keras.evaluation.sweep import Sweep, sweep_radii
from rnascl_keras.files.full_disk import reporting_full_disk
from rnascl_keras.files.whole import atomic_write, check_writable, sha256, write_json
from rnascl_keras.report.keys import attack_how, attack_name
from rnascl_keras.units import percent, radius

SHOWN_CLASSES = 20
PLOTS = (".svg", ".png")


@dataclass(frozen=True)
class Request:
    """What is wanted of a model in a file.

    Attributes:
        data, data_dir: what to evaluate on, see `data.load_test_data`.
        attacks: names as `attacks.make_attack` takes them.
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        n: number of images, the first ones.
        seed: of what is random.
        out: where to write the figures, or None.
        norm: "Linf" or "L2".
        radii: more of them, at which all attacks are run too.
        plot: where to draw accuracy over radius, .svg or .png, or None.
        check: number of images on which signs of false robustness are looked for.
    """

    data: str
    data_dir: str | None
    attacks: Sequence[str]
    epsilon: float
    n: int
    seed: int
    out: Path | None = None
    norm: str = "Linf"
    radii: Sequence[float] = ()
    plot: Path | None = None
    check: int = IMAGES

    def check_paths(self, path: Path) -> None:
        """Raise UserError for what cannot be done with the model in `path`, before it is read."""
        for name in self.attacks:
            make_attack(name, self.epsilon, norm=self.norm)
        if self.plot and not self.radii:
            raise UserError(
                "--plot draws the accuracy over the radii of --sweep, which is not given."
            )
        if self.plot and self.plot.suffix not in PLOTS:
            raise UserError(f"--plot is {self.plot}; expected a name in {' or '.join(PLOTS)}.")
        for file in (self.out, self.plot):
            if file:
                check_writable(file)
        if not path.is_file():
            raise UserError(f"there is no model file {path}.")


def evaluate_classifier(
    path: Path,
    classifier: Any,
    input_shape: ImageShape,
    request: Request,
) -> Evaluation:
    """Evaluate the model in `path`; print tables, write JSON and the plot.

    Args:
        path: its file.
        classifier: the model, see `attacks.Classifier`.
        input_shape: (h, w, c) of its images; None where it leaves a size open.
        request: what is wanted.
    """
    asked = {"data_dir": request.data_dir, "input_shape": input_shape}
    test = load_test_data(request.data, **asked, say=partial(print, file=sys.stderr))
    images = test.take(min(request.n, len(test)))
    labels = images.labels
    settings = {"attacks": request.attacks, "norm": request.norm, "seed": request.seed}
    own = {"epsilon": request.epsilon, "check": request.check, "keep": False}
    evaluation, _ = evaluate(classifier, images, labels, **own, **settings)
    swept, failed = None, evaluation.failed
    if request.radii and not failed:
        settings |= {"radii": request.radii, "known": evaluation}
        try:
            swept = sweep_radii(classifier, images, labels, **settings)
        except ModelFailed as error:  # what was measured before is not lost
            failed = str(error)
    _print(path, evaluation, swept, test.class_names)
    written = request.out or request.plot
    if written:
        with reporting_full_disk(written.parent, written.name, then="these figures come again"):
            _write(path, request, evaluation, swept, test.origin)
    if failed:
        raise UserError(failed)
    return evaluation


def _write(
    path: Path, request: Request, evaluation: Evaluation, swept: Sweep | None, origin: str
) -> None:
    """Write the plot and the JSON that are wanted.

    Args:
        origin: where the images come from.
    """
    if request.plot and swept:
        from rnascl_keras.report.sweep_plot import accuracy_by_radius

        clean = dict.fromkeys(swept.accuracy, evaluation.accuracy["clean"])
        drawn = accuracy_by_radius(
            swept.epsilon,
            swept.accuracy,
            swept.intervals,
            clean,
            title=f"{path.name}, first {swept.n} images",
            norm=swept.norm,
            file_format=request.plot.suffix[1:],
        )
        atomic_write(request.plot, drawn)
    if request.out:
        facts = {"model": str(path), "sha256": sha256(path), "data": request.data}
        facts["data_origin"] = origin
        swept_facts = {"sweep": swept.as_dict()} if swept else {}
        write_json(request.out, facts | evaluation.as_dict() | swept_facts)


def _print(
    path: Path, evaluation: Evaluation, sweep: Sweep | None, class_names: Sequence[str]
) -> None:
    console = Console()
    console.print(_accuracies(path, evaluation))
    if len(class_names) <= SHOWN_CLASSES:
        console.print(_classes(evaluation, class_names))
    if sweep:
        console.print(_sweep(sweep))
    if evaluation.near_chance:
        words = f"No verdict on robustness: {evaluation.near_chance}"
        console.print(words, highlight=False, style="bold red")
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
        how = attack_how(key, evaluation.norm)
        table.add_row(attack_name(key), percent(accuracy), interval, how)
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
