"""The teacher's section of a recipe, and what all sections that train have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rnascl_keras.errors import UserError
from rnascl_keras.section import Count, Positive, Radius, Settings


class Training(Settings):
    """SGD and the schedule of its rate, see `schedules.learning_rate`.

    With `schedule="step"` the rate is divided by 10 after each of `decay_epochs`, by default after
    75 and 90 % of them. `clip_norm` bounds the norm of all gradients together.
    """

    epochs: Count = 100
    batch_size: Annotated[int, Field(ge=2)] = 128
    learning_rate: Positive = 0.1
    schedule: Literal["step", "cosine", "one_cycle"] = "step"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 2e-4
    decay_epochs: tuple[Count, ...] | None = None
    clip_norm: Positive | None = None

    def made_from(self) -> dict[str, Any]:
        values = super().made_from()
        unused = [name for name in ("decay_epochs", "clip_norm") if values[name] is None]
        return {key: value for key, value in values.items() if key not in unused}


class Teacher(Training):
    """A teacher trained by `method`, adversarially but for "natural", or one read from `weights`.

    `weights` is a file (.keras or .npz), or the name of a teacher that comes with the package:
    `cifar10`. `mean` and `std` normalise pixels of [0, 1]; None means the usual ones of ImageNet
    for colour. `expected` says in words which weights a recipe without `architecture` wants.

    The epoch of the best PGD accuracy on the validation images is kept, where there are such; with
    `patience`, training stops after so many epochs without a better one. `average` and
    `trades_beta` are `AdversarialTrainer`'s; `precision` is that of the training alone.

    "natural" trains cell networks, such as darts, as they were published without adversarial
    images: with the loss of an auxiliary classifier, weighed by `auxiliary`, and with `drop_path`,
    the part of an operation's images that it leaves out in the end; 0 for none. The last epoch is
    kept there.
    """

    architecture: str | None = None
    width: int | None = None
    cells: int | None = None
    weights: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    method: Literal["pgd", "trades", "fast", "n_fgsm", "natural"] = "n_fgsm"
    epsilon: Radius = 8 / 255
    steps: Count = 7
    step_size: Positive | None = None
    trades_beta: Positive = 6.0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    patience: Count | None = None
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    auxiliary: Annotated[float, Field(ge=0)] = 0.0
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    expected: str = ""

    @model_validator(mode="after")
    def _trains_naturally(self) -> Teacher:
        if self.method != "natural" and (self.auxiliary or self.drop_path):
            raise UserError(
                f"auxiliary={self.auxiliary} and drop_path={self.drop_path} are for "
                f"method='natural'; got method={self.method!r}: leave them out."
            )
        if self.method == "natural" and (self.average or self.patience):
            raise UserError(
                f"average={self.average} and patience={self.patience} are for adversarial "
                "training; got method='natural': leave them out."
            )
        return self

    def made_from(self) -> dict[str, Any]:
        own = {"cells": None, "auxiliary": 0.0, "drop_path": 0.0}
        values = super().made_from()
        return {key: value for key, value in values.items() if own.get(key, ...) != value}

    def arguments(self) -> dict[str, Any]:
        """Return those of `AdversarialTrainer`."""
        attack = ("method", "epsilon", "steps", "step_size")
        return self._only(*attack, "trades_beta", "average", "weight_decay")

    def network_arguments(self) -> dict[str, Any]:
        """Return those of `teachers.build_teacher`."""
        return self._only("architecture", "mean", "std", "width", "cells")
