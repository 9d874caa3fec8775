"""A network of a comparison as a word: `darts:8:8`, `resnet18:32+hydra=0.1`, `student_s3`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rnascl_keras.errors import UserError, check_name
from rnascl_keras.pruning.settings import Pruning
from rnascl_keras.units import parse_number

WAYS = ("magnitude", "hydra", "admm", "channels")
FORM = "NETWORK[:WIDTH[:CELLS]][+WAY=KEEP], e.g. darts:8:8 or resnet18:32+hydra=0.1"


@dataclass(frozen=True)
class NetworkSpec:
    """A network, and how it is pruned after it is trained.

    Attributes:
        text: as it was given.
        architecture, width, cells: as `build_teacher` takes them.
        way: one of `WAYS`; None: it is not pruned.
        keep: share that stays.
    """

    text: str
    architecture: str
    width: int | None = None
    cells: int | None = None
    way: str | None = None
    keep: float = 1.0

    @classmethod
    def read(cls, text: str) -> NetworkSpec:
        """Read a word of `FORM`; whether the network exists is seen where it is built.

        Raises:
            UserError: it is none.
        """
        match = re.fullmatch(r"(\w+)(?::(\d+))?(?::(\d+))?(?:\+(\w+)=([\d.]+))?", text.strip())
        if match is None:
            raise UserError(f"a network is {FORM}; got {text!r}.")
        name, width, cells, way, keep = match.groups()
        share = parse_number(keep) if keep else 1.0
        if way is not None:
            check_name("way to prune", way, WAYS)
        if share is None or not 0 < share <= 1:
            raise UserError(f"{text}: what is kept is a share in (0, 1]; got {keep}.")
        sizes = {"width": width, "cells": cells}
        numbers = {key: int(number) if number else None for key, number in sizes.items()}
        return cls(text.strip(), name, way=way, keep=share, **numbers)

    @property
    def key(self) -> str:
        """A name for files."""
        return re.sub(r"[:+=]", "_", self.text)

    @property
    def dense_key(self) -> str:
        """That of the network before it is pruned."""
        return re.sub(r"[:+=]", "_", self.text.partition("+")[0])

    def changes(self, epochs: int) -> list[str]:
        """Return the `--set` assignments that make a recipe one of this network alone."""
        size = [("width", self.width), ("cells", self.cells), ("weights", None), ("start", None)]
        size += [("decay_epochs", None), ("patience", None), ("epochs", epochs)]
        return [
            "space=null",
            f"name={self.dense_key}",
            f"teacher.architecture={self.architecture}",
            *(f"teacher.{key}={'null' if v is None else v}" for key, v in size),
        ]

    def shares(self, epochs: int) -> tuple[int, int, int]:
        """Split a budget of epochs: training, what leads to a mask, fine-tuning; at least one each
        where there is one at all."""
        if self.way is None:
            return epochs, 0, 0
        dense = max(1, epochs // 2)
        mask = max(1, (epochs - dense) // 2) if self.way in ("hydra", "admm") else 0
        return dense, mask, max(1, epochs - dense - mask)

    def pruning(self, epochs: int, **training: object) -> Pruning:
        """Return the settings of its pruning, with that part of `epochs`; other settings given."""
        _, mask, tune = self.shares(epochs)
        structured = self.way == "channels"
        return Pruning.checked(
            way="magnitude" if structured else self.way,
            structured=structured,
            keep=self.keep,
            mask_epochs=max(1, mask),
            epochs=tune,
            **training,
        )
