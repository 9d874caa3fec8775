"""The graphs that the gradients of a file are taken of, each opened when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnascl_keras.attacks.mixing import COMPARED
from rnascl_keras.errors import naming
from rnascl_keras.export.onnx_batches import Batches
from rnascl_keras.export.onnx_gradient import LOSS_NEEDS, input_gradient_model
from rnascl_keras.export.onnx_input import ImageInput
from rnascl_keras.export.onnx_session import Session, SessionMaker
from rnascl_keras.export.same_function import check_beside_gradient
from rnascl_keras.export.twin.float_twin import FloatTwin, float_twin

if TYPE_CHECKING:
    import onnx


class GradientSessions:
    """A file's gradient graphs, one for each loss and size of images.

    Args:
        path: of the file, for error messages.
        model: what it computes, with the logits as its only output.
        sessions: opens them.
        images: how the file takes images.
        batches: runs them.
        own: the file's own logits of images.
    """

    def __init__(
        self,
        path: Path,
        model: onnx.ModelProto,
        sessions: SessionMaker,
        images: ImageInput,
        batches: Batches,
        own: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._path, self._model, self._sessions = path, model, sessions
        self._input, self._batches, self._own = images, batches, own
        self._opened: dict[tuple, Session] = {}

    @cached_property
    def twin(self) -> FloatTwin:
        """What is differentiated in the file's place.

        Raises:
            UserError: nothing can be.
        """
        with naming(self._path):
            return float_twin(self._model)

    def of(self, loss: str, images: np.ndarray) -> Session:
        """Return the session on the gradient of a loss, for images of this size.

        Raises:
            UserError: the file holds operators without a gradient, or the graph says otherwise of
                the first of `images` than the file: its gradient would be another function's.
        """
        sizes = self._input.sizes(images)
        if (loss, sizes) in self._opened:
            return self._opened[loss, sizes]
        with naming(self._path):
            made = input_gradient_model(self.twin.model, loss, input_shape=sizes)
        session = self._sessions.open(made)
        if self.twin.same_logits:
            first = images[:COMPARED]
            own = self._own(first)
            check_beside_gradient(self._path, own, self._logits_of(session, loss, first, own))
        self._opened[loss, sizes] = session
        return session

    def logits(self, loss: str, images: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return the logits that a gradient's graph has of the images, beside the file's own."""
        return self._logits_of(self.of(loss, images), loss, images, own)

    def _logits_of(
        self, session: Session, loss: str, images: np.ndarray, own: np.ndarray
    ) -> np.ndarray:
        given: dict[str, np.ndarray] = dict.fromkeys(
            ("labels", "targets"), np.zeros(len(images), np.int64)
        )
        given["slopes"] = np.zeros_like(own)
        told = {name: given[name] for name in LOSS_NEEDS[loss]}
        (logits,) = self._batches.run(session, ["logits"], self._input, images, told, 128)
        return logits
