"""The teacher's section of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rnascl_keras.errors import UserError
from rnascl_keras.section import Count, Positive, Radius, Training


class Teacher(Training):
    """A teacher trained by `method`, adversarially but for natural, or one read from `weights`.

    The epoch of the best PGD accuracy on the validation images is kept, where there are such, the
    last of equal ones.
    Trained naturally, as cell networks such as darts were published without adversarial images, the
    last epoch is.

    Attributes:
        architecture: of a teacher to train, one of `rnascl list teachers`.
        width (channels): of a network's first stage, in place of its own.
        cells: of a cell network, in place of its own.
        weights: a trained one: a file (.keras or .npz), also hf://OWNER/REPO/FILE, or one that
            comes with the package.
        start: weights that training begins with: a file (.keras), as of `weights`, or a teacher
            or student of the package's; what is of other classes is new, and without
            `architecture` the network is the same.
        mean: per channel, subtracted from pixels of [0, 1]; ImageNet's of weights in colour.
        std: per channel, divided by after `mean`.
        method: of training; n_fgsm and fast take one step, natural none, the others `steps`.
        epsilon (pixels of [0, 1]): L-infinity radius that it is trained within.
        steps: of pgd and trades.
        step_size (pixels of [0, 1]): length of one; none: the method's own part of `epsilon`.
        trades_beta: of trades, the weight of its robust term.
        average (a step): decay of an average of the weights, which is then the teacher; 0: none.
        patience (epochs): stop after so many without one as good; none: never.
        precision: of the training alone.
        auxiliary: of natural, weight of an auxiliary classifier's loss; 0: without.
        drop_path (share, 0 to 1): of natural, images that an operation leaves out in the end.
        expected: in words, which weights a recipe without `architecture` wants.
    """

    LATER: ClassVar[dict[str, Any]] = {
        **Training.LATER,
        "cells": None,
        "start": None,
        "auxiliary": 0.0,
        "drop_path": 0.0,
    }

    architecture: str | None = None
    width: Count | None = None
    cells: Count | None = None
    weights: str | None = None
    start: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[Positive, ...] | None = None
    method: Literal["pgd", "trades", "fast", "n_fgsm", "natural"] = "n_fgsm"
    epsilon: Radius = 8 / 255
    steps: Count = 7
    step_size: Radius | None = None
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

    def arguments(self) -> dict[str, Any]:
        """Return those of `AdversarialTrainer`."""
        attack = ("method", "epsilon", "steps", "step_size")
        return self._only(*attack, "trades_beta", "average", "weight_decay")

    def network_arguments(self) -> dict[str, Any]:
        """Return those of `teachers.build_teacher`."""
        return self._only("architecture", "mean", "std", "width", "cells")
