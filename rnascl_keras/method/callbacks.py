"""What happens between the epochs of a search."""

from __future__ import annotations

import csv
import io
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import atomic_write
from rnascl_keras.method.gumbel import DECAY_RATE, START_TEMPERATURE, decayed_temperature

if TYPE_CHECKING:
    from rnascl_keras.method.search import CrossLayerSearch

ROUNDING = 1e-5
"""By how much of itself float32 may change a temperature."""


class SearchCallback(keras.callbacks.Callback):
    """A callback of `CrossLayerSearch.fit`."""

    @property
    def search(self) -> CrossLayerSearch:
        """The model that is fitted; Keras sets it at the start."""
        return cast("CrossLayerSearch", self.model)


class GumbelTemperatureDecay(SearchCallback):
    """Lowers the Gumbel temperature after each epoch (A.1); the logs hold the epoch's own.

    From 5.0 to 0.0555 over the search, whatever its number of epochs. A `fit` in which it would
    jump up from where an earlier one has left it is warned of.

    Args:
        start, rate: others than A.1's, see `gumbel.decayed_temperature`.
        epochs: of the whole search, where several `fit` do a part each; by default the fit's own.

    Example, of a search in parts of one epoch::

        decay = GumbelTemperatureDecay(epochs=100)
        for done in range(100):
            search.fit(dataset, initial_epoch=done, epochs=done + 1, callbacks=[decay])
    """

    def __init__(
        self,
        start: float = START_TEMPERATURE,
        rate: float = DECAY_RATE,
        epochs: int | None = None,
    ) -> None:
        super().__init__()
        self.start = start
        self.rate = rate
        self.epochs = epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        trained = int(self.search.optimizer.iterations.numpy()) > 0  # of the first replica
        self._left = self.search.gumbel_temperature if trained else math.inf

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        temperature = self._temperature(epoch)
        if temperature > self._left * (1 + ROUNDING):
            warnings.warn(
                f"the Gumbel temperature jumps from {self._left:.3g} up to {temperature:.3g}, for "
                "this fit begins anew. To go on after 10 of 100 epochs: fit(..., epochs=100, "
                "initial_epoch=10). For a search in parts see GumbelTemperatureDecay(epochs=100).",
                stacklevel=1,
            )
        self._left = math.inf
        self.search.gumbel_temperature = temperature

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["gumbel_temperature"] = self.search.gumbel_temperature
        self.search.gumbel_temperature = self._temperature(epoch + 1)

    def _temperature(self, epoch: int) -> float:
        params: Any = self.params  # None only before `fit`
        return decayed_temperature(epoch, self.epochs or params["epochs"], self.start, self.rate)


class ChoiceHistory(SearchCallback):
    """Appends the probabilities of every choice to a CSV file after each epoch.

    Columns: epoch, choice (`stage1_block1_choice`, or `tutor_choice:<student layer>`), option (a
    width or a teacher layer), probability. A file left by an interrupted run is continued: its
    rows from the first epoch of this `fit` on are dropped.

    Args:
        path: of the CSV file.
    """

    COLUMNS: tuple[str, ...] = ("epoch", "choice", "option", "probability")

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self._started = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._started:
            # One that begins anew keeps none, whatever is there: a search that diverged, maybe.
            found = self._whole_rows() if epoch else []
            kept = [row for row in found if int(row["epoch"]) < epoch]
            atomic_write(self.path, _as_csv(kept, header=True))
            self._started = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rows = [
            dict(zip(self.COLUMNS, (epoch, choice, option, f"{p:.6g}"), strict=True))
            for choice, options in named_probabilities(self.search).items()
            for option, p in options.items()
        ]
        with open(self.path, "a", newline="") as file:
            file.write(_as_csv(rows))

    def _whole_rows(self) -> list[dict[str, str]]:
        """Return the rows left by an earlier `fit`, but for one whose writing was cut short."""
        if not self.path.exists():
            return []
        text = self.path.read_text()
        return _parsed(text[: text.rfind("\n") + 1], self.path)


def _as_csv(rows: list[dict[str, Any]], header: bool = False) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ChoiceHistory.COLUMNS)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_history(path: Path) -> list[dict[str, str]]:
    """Return the rows that `ChoiceHistory` wrote; none where there is no file.

    Raises:
        UserError: the file holds something else.
    """
    return _parsed(path.read_text(), path) if path.exists() else []


def _parsed(text: str, path: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
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


def named_probabilities(search: CrossLayerSearch) -> dict[str, dict[str, float]]:
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


class ChoiceHistograms(SearchCallback):
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
            for choice in self.search.gumbel_choices:
                tf.summary.histogram(choice.name, choice.probabilities())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writer.close()
