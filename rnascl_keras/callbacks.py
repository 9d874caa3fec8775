"""What happens between the epochs of a search."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.gumbel import decayed_temperature


class GumbelTemperatureDecay(keras.callbacks.Callback):
    """Lowers the Gumbel temperature after each epoch (A.1); the logs hold the epoch's own.

    From 5.0 to 0.0555 over the search, whatever its number of epochs.
    """

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.gumbel_temperature = decayed_temperature(epoch, self.params["epochs"])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["gumbel_temperature"] = self.model.gumbel_temperature
        self.model.gumbel_temperature = decayed_temperature(epoch + 1, self.params["epochs"])


class ChoiceHistory(keras.callbacks.Callback):
    """Appends the probabilities of every choice to a CSV file after each epoch.

    Columns: epoch, choice (`stage1_block1_choice`, or `tutor_choice:<student layer>`), option (a
    width or a teacher layer), probability. A file left by an interrupted run is continued: its
    rows from the first epoch of this `fit` on are dropped.

    Args:
        path: of the CSV file.
    """

    COLUMNS = ("epoch", "choice", "option", "probability")

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self._started = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._started:
            kept = [row for row in read_history(self.path) if int(row["epoch"]) < epoch]
            self._write(kept, "w")
            self._started = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rows = [
            dict(zip(self.COLUMNS, (epoch, choice, option, f"{p:.6g}"), strict=True))
            for choice, options in named_probabilities(self.model).items()
            for option, p in options.items()
        ]
        self._write(rows, "a")

    def _write(self, rows: list[dict[str, Any]], mode: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, mode, newline="") as file:
            writer = csv.DictWriter(file, self.COLUMNS)
            if mode == "w":
                writer.writeheader()
            writer.writerows(rows)


def read_history(path: Path) -> list[dict[str, str]]:
    """Return the rows that `ChoiceHistory` wrote; none where there is no file.

    Raises:
        UserError: the file holds something else.
    """
    if not path.exists():
        return []
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        whole = all(
            row["epoch"].isdigit()
            and row["choice"]
            and row["option"]
            and float(row["probability"]) >= 0
            for row in rows
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise UserError(f"{path} is not a history of choices; delete it and search again.")
    return rows


def named_probabilities(search: keras.Model) -> dict[str, dict[str, float]]:
    """Return choice -> option -> probability of a `CrossLayerSearch`."""
    named = {
        choice.name: dict(zip(map(str, choice.widths), _floats(choice), strict=True))
        for choice in search.supernet.choices
    }
    for layer, row in zip(search.student_layers, _floats(search.tutor_choice), strict=True):
        named[f"tutor_choice:{layer}"] = dict(zip(search.teacher_layers, row, strict=True))
    return named


def _floats(choice: Any) -> list:
    return np.asarray(choice.probabilities()).tolist()


class ChoiceHistograms(keras.callbacks.Callback):
    """Writes the probabilities of every choice as TensorBoard histograms after each epoch.

    Args:
        log_dir: folder for `tensorboard --logdir`.
    """

    def __init__(self, log_dir: str | Path) -> None:
        super().__init__()
        self.log_dir = str(log_dir)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        import tensorflow as tf

        self._writer = tf.summary.create_file_writer(self.log_dir)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        import tensorflow as tf

        with self._writer.as_default(step=epoch):
            for choice in self.model.gumbel_choices:
                tf.summary.histogram(choice.name, choice.probabilities())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writer.close()


class Checkpoint(keras.callbacks.Callback):
    """Saves the whole training state after each epoch, so that a cut-short `fit` goes on.

    The state is every variable of the model outside its teacher, of all its optimizers, and of its
    random generators, in one `.npz` that is replaced only by a whole new one.
    `keras.callbacks.BackupAndRestore` knows one optimizer and leaves the random state out.

    Args:
        path: of the `.npz` file.
        signature: of the settings; a state saved under another one is not restored.
    """

    def __init__(self, path: str | Path, signature: str = "") -> None:
        super().__init__()
        self.path = Path(path)
        self.signature = signature

    def restore(self, model: keras.Model) -> int:
        """Put the saved state into a compiled model and return the epoch to go on with (or 0).

        Raises:
            UserError: the file is damaged, or of another model.
        """
        if not self.path.exists():
            return 0
        try:
            with np.load(self.path) as saved:
                epoch, signature = int(saved["epoch"]), str(saved["signature"])
                values = [saved[f"v{k}"] for k in range(len(saved.files) - 2)]
        except Exception as error:
            raise UserError(
                f"checkpoint {self.path} is damaged ({error}); delete it to start the stage anew."
            ) from error
        if signature != self.signature:
            return 0
        variables = training_state(model)
        if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
            raise UserError(
                f"checkpoint {self.path} is of another model; delete it to start the stage anew."
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = {f"v{k}": np.asarray(v) for k, v in enumerate(training_state(self.model))}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f"part_{self.path.name}")
        np.savez(beside, epoch=epoch + 1, signature=self.signature, **values)
        beside.replace(self.path)


def training_state(model: keras.Model) -> list[Any]:
    """Return the variables that make up the state of a training, in a fixed order.

    The model's own (weights, moving statistics, temperatures, random generators) and those of its
    optimizers; not metrics, which start anew with each epoch.
    """
    metrics = {id(v) for metric in model.metrics for v in metric.variables}
    optimizers = [model.optimizer, getattr(model, "architecture_optimizer", None)]
    state = [v for v in model.variables if id(v) not in metrics]
    for optimizer in filter(None, optimizers):
        state += optimizer.variables
    return state
