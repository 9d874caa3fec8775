"""The state of a training on disk: nothing is lost, whatever happens to the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnascl_keras.distribution.workers import is_chief
from rnascl_keras.errors import Stopped, UserError
from rnascl_keras.files.full_disk import check_room
from rnascl_keras.models.finite import is_finite
from rnascl_keras.run.divergence import check_state
from rnascl_keras.run.saved_state import SavedState
from rnascl_keras.run.stopping import StopRequest
from rnascl_keras.run.training_state import metric_variables, training_state


class Checkpoint(keras.callbacks.Callback):
    """Saves the whole training state, so that a cut-short `fit` goes on as if nothing had been.

    The state is every variable of the model outside its teacher, of all its optimizers, and of its
    random generators, and the position in the data. `keras.callbacks.BackupAndRestore` knows one
    optimizer and leaves the random state out. The file before the last is kept as well: should the
    last be damaged, that one is taken.

    A state that is not finite is never saved: `fit` then ends with `Diverged`, a UserError, and
    what was saved last stays. With several workers only the chief writes; all of them read.

    Args:
        path: of the `.npz` file.
        signature: of the settings; a state saved under another one is not restored.
        every_steps: save after each so many steps of an epoch, too; None: only after each epoch.
        steps_per_epoch: of `fit`; needed inside an epoch, so by `every_steps`.
        stop: tells when to save and stop; never, by default.
        say: takes each line of news.

    Attributes:
        epoch, step: where the restored state goes on; 0, 0 where there was none.

    Raises:
        UserError: `every_steps` is not at least 1, or comes without `steps_per_epoch`; in `fit`,
            where a state is there that `restore` was not asked for.
    """

    model: keras.Model  # set by `fit`; Keras gives it no type

    def __init__(
        self,
        path: str | Path,
        signature: str = "",
        *,
        every_steps: int | None = None,
        steps_per_epoch: int | None = None,
        stop: StopRequest | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        super().__init__()
        if every_steps is not None and (every_steps < 1 or steps_per_epoch is None):
            raise UserError(
                f"every_steps is {every_steps} and steps_per_epoch {steps_per_epoch}; expected at "
                "least 1, and the number of steps that `fit` makes of an epoch."
            )
        self.path = Path(path)
        self.signature = signature
        self.every_steps = every_steps
        self.steps_per_epoch = steps_per_epoch
        self.stop = stop
        self.say = say
        self.epoch = self.step = 0
        self._is_own = False  # whether what is at `path` was read, or written, by this one
        self._metrics: list[np.ndarray] = []

    @property
    def before(self) -> Path:
        """The file before the last."""
        return self.path.with_name(f"{self.path.stem}_before{self.path.suffix}")

    def remove(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self.before.unlink(missing_ok=True)

    def restore(self, model: keras.Model) -> int:
        """Put the saved state into a compiled model and return the epoch to go on with (or 0).

        Raises:
            UserError: both files are damaged, or of another model.
        """
        self._is_own = True
        saved = self._read()
        if saved is None or saved.signature != self.signature:
            return 0
        variables = training_state(model)
        if [v.shape for v in saved.state] != [tuple(v.shape) for v in variables]:
            raise UserError(
                f"checkpoint {self.path} is of another model; delete it to start the stage anew."
            )
        for variable, value in zip(variables, saved.state, strict=True):
            variable.assign(value)
        self.epoch, self.step, self._metrics = saved.epoch, saved.step, saved.metrics
        return self.epoch

    def check_room(self, model: keras.Model, doing: str) -> None:
        """Raise UserError where the disk has not the room for what `doing` will save.

        The file before the last goes before the next is written, so there are never more than two.
        """
        there = sum(path.exists() for path in (self.path, self.before))
        state = sum(v.numpy().nbytes for v in training_state(model))
        check_room(self.path.parent, (2 - there) * state, doing)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch == 0 and not self._is_own:
            self._check_nothing_lost()
        self._is_own = True
        self._current = epoch
        self._first_step = self._seen = self.step if epoch == self.epoch else 0
        if self._first_step:
            for variable, value in zip(metric_variables(self.model), self._metrics, strict=True):
                variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        step = self._first_step + batch + 1
        if self.steps_per_epoch is None or step >= self.steps_per_epoch:
            return  # the end of the epoch saves
        stop = self.stop is not None and self.stop.is_requested()
        if stop or self._is_due(step):
            self._save(self._current, step)
        if stop:
            raise Stopped

    def _is_due(self, step: int) -> bool:
        """Whether a multiple of `every_steps` came since the last call: with `steps_per_execution`
        there is none for each step."""
        before, self._seen = self._seen, step
        return bool(self.every_steps) and step // self.every_steps > before // self.every_steps

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._save(epoch + 1, 0)
        if self.stop is not None and self.stop.is_requested():
            raise Stopped

    def _check_nothing_lost(self) -> None:
        if self.path.exists() or self.before.exists():
            raise UserError(
                f"{self.path} holds what an earlier training saved, and this one would write over "
                "it; before `fit` call restore(model), which returns the epoch to go on with "
                "(fit's initial_epoch), or remove() to begin anew."
            )

    def _save(self, epoch: int, step: int) -> None:
        # Several workers' metrics are added up when they are read, so all of them read.
        metrics = [v.numpy() for v in metric_variables(self.model)] if step else []
        state = [v.numpy() for v in training_state(self.model)]
        # On all workers, so that none waits for another.
        check_state([*state, *metrics], epoch if step else epoch - 1)
        if not is_chief(self.model.distribute_strategy):
            return
        if self.path.exists():
            self.path.replace(self.before)
        SavedState(epoch, step, self.signature, state, metrics).write(self.path)

    def _read(self) -> SavedState | None:
        damage = []
        for path in (self.path, self.before):
            if not path.exists():
                continue
            try:
                saved = SavedState.read(path)
                if not is_finite(saved.state):
                    raise ValueError("it holds NaN or infinite numbers")
            except ValueError as error:
                damage.append(f"checkpoint {path} is damaged ({error})")
                continue
            if damage:
                self.say(f"{damage[0]}; the one before it is taken")
            return saved
        if damage:
            raise UserError(f"{'; '.join(damage)}; delete it to start the stage anew.")
        return None


class RestOfEpoch(keras.callbacks.Callback):
    """Ends the first epoch of a `fit` early: that was cut short, and only its rest is left.

    It has to come before the callbacks that stop the training at an epoch's end.

    Args:
        epoch: the one that was cut short.
        steps: of it that are left.
    """

    model: keras.Model  # set by `fit`; Keras gives it no type

    def __init__(self, epoch: int, steps: int) -> None:
        super().__init__()
        self.epoch = epoch
        self.steps = steps
        self._inside = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._inside = epoch == self.epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._inside and batch + 1 >= self.steps:
            self.model.stop_training = True  # which leaves the epoch at once

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._inside:
            self.model.stop_training = False
