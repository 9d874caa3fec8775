"""The state of a training as a file, which shows by itself whether it is whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.files.whole import written_beside


@dataclass(frozen=True)
class SavedState:
    """What a checkpoint file holds.

    Attributes:
        epoch, step: where to go on: the step `step` of epoch `epoch`, both from 0.
        signature: of the settings.
        state: the values of `training_state`.
        metrics: the values of the metrics' variables, inside an epoch; else none.
    """

    epoch: int
    step: int
    signature: str
    state: list[np.ndarray]
    metrics: list[np.ndarray]

    def write(self, path: Path) -> None:
        """Write the state as `.npz` with a checksum."""
        arrays: dict[str, Any] = self._arrays()  # of which none is called `allow_pickle`
        with written_beside(path) as beside:
            np.savez(beside, checksum=_checksum(arrays), **arrays)

    @classmethod
    def read(cls, path: Path) -> SavedState:
        """Read what `write` wrote.

        Raises:
            ValueError: it is not whole, or holds what this version would not put back.
        """
        try:
            with open(path, "rb") as opened, np.load(opened) as file:
                arrays = {name: file[name] for name in file.files}
            checksum = str(arrays.pop("checksum"))
            if checksum != _checksum(arrays):
                raise ValueError("its content does not fit its checksum")
            saved = cls(
                epoch=int(arrays["epoch"]),
                step=int(arrays["step"]),
                signature=str(arrays["signature"]),
                state=[arrays[f"v{k}"] for k in range(int(arrays["variables"]))],
                metrics=[arrays[f"m{k}"] for k in range(int(arrays["metrics"]))],
            )
            if later := sorted(set(arrays) - set(saved._arrays())):
                raise ValueError(f"it holds {', '.join(later)}, unknown to this version")
            return saved
        except Exception as error:  # a damaged zip fails in many ways
            raise ValueError(str(error)) from error

    def _arrays(self) -> dict[str, np.ndarray]:
        numbers = {"epoch": self.epoch, "step": self.step, "signature": self.signature}
        lengths = {"variables": len(self.state), "metrics": len(self.metrics)}
        state = {f"v{k}": value for k, value in enumerate(self.state)}
        metrics = {f"m{k}": value for k, value in enumerate(self.metrics)}
        return {k: np.asarray(v) for k, v in {**numbers, **lengths, **state, **metrics}.items()}


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
