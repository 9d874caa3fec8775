"""Early stopping of adversarial training by robust accuracy on held-out images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from rnascl_keras.errors import UserError

COLLAPSED = 0.5  # of the best robust accuracy: what is left after catastrophic overfitting


class RobustEarlyStopping(keras.callbacks.Callback):
    """Keeps the epoch of the best validation PGD accuracy, the last of equal ones, and stops when
    none as good comes.

    The last epoch is not the best: robust accuracy on unseen images falls long before the training
    ends (Rice et al., 2020). Single-step training can moreover collapse from one epoch to the next
    (Wong et al., 2020), which is said when it is seen.

    Args:
        patience: epochs without one as good before training stops; None goes on to the end and
            only keeps the best.
        say: takes each line of news.
    """

    def __init__(self, patience: int | None = None, say: Callable[[str], None] = print) -> None:
        super().__init__()
        self.patience = patience
        self.say = say

    def is_over(self, trainer: keras.Model, epochs_done: int) -> bool:
        """Return whether a training that did `epochs_done` epochs has lost its patience."""
        best = int(trainer.best.epoch.numpy())
        return self.patience is not None and 0 <= best < epochs_done - self.patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin anew with a `fit` that does: its epochs are not those of the one before."""
        best = getattr(self.model, "best", None)
        if epoch == 0 and best is not None:
            best.forget()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        trainer: Any = self.model
        if getattr(trainer, "best", None) is None:
            raise UserError(
                f"{trainer.name} keeps no best epoch for RobustEarlyStopping to find; give it "
                "robust_at, the radius of validation's attack."
            )
        if logs is None or "val_robust_accuracy" not in logs:
            raise UserError(
                "RobustEarlyStopping needs validation_data in fit, images held out of training, "
                "and looks at them after every epoch: leave validation_freq at 1."
            )
        robust, before = float(logs["val_robust_accuracy"]), float(trainer.best.score.numpy())
        if robust < COLLAPSED * before:
            self.say(
                f"catastrophic overfitting: in epoch {epoch + 1} the validation PGD accuracy is "
                f"{robust:.1%}, after {before:.1%}; the better weights are kept"
            )
        trainer.keep_best(robust, epoch)
        if self.is_over(trainer, epoch + 1):
            trainer.stop_training = True
            self.say(
                f"none as good since epoch {int(trainer.best.epoch.numpy()) + 1}: training stops"
            )
