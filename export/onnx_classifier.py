"""An image classifier in an ONNX file, run and differentiated by onnxruntime alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.attacks.mixing import COMPARED, EACH_ALONE
from rnascl_keras.attacks.verdict import agreement
from rnascl_keras.errors import UserError, naming
from rnascl_keras.export.any_loss import AnyLoss, by_name_of, loss_of
from rnascl_keras.export.attacked_output import attacked_output
from rnascl_keras.export.byte_products import saturates
from rnascl_keras.export.class_names import stated_class_names
from rnascl_keras.export.gradient.straight_through import straight_through_operators
from rnascl_keras.export.onnx_batches import Batches
from rnascl_keras.export.onnx_gradient import LOSS_NEEDS
from rnascl_keras.export.onnx_gradient_sessions import GradientSessions
from rnascl_keras.export.onnx_input import ImageInput
from rnascl_keras.export.onnx_session import CPU, SessionMaker
from rnascl_keras.export.same_function import mixes
from rnascl_keras.export.untrusted import read_model
from rnascl_keras.files import whole as files

if TYPE_CHECKING:
    import onnx


class OnnxClassifier(AnyLoss):
    """An ONNX file that turns images into logits, with its gradient; without TensorFlow.

    Images are given as pixels, NHWC, in [0, 1], whatever the file's own layout, type and
    normalisation. Where the file ends in a softmax or in sigmoids, all this is about the logits
    before them; where it gives one number z a row, about two classes with the logits (0, z).

    Args:
        path: the file.
        threads: that compute; by default one for each core that this process may use, but where
            the file fixes its batches' size, or with other providers, onnxruntime's own choice.
        providers: what computes, the preferred first, e.g. ("CUDAExecutionProvider",).
        layout: "NHWC" or "NCHW"; by default found out.
        mean, std: a number or one a channel, in pixel units of [0, 1]: the file takes
            (pixels - mean) / std. Gradients are by the pixels.
        output: which of the file's outputs; by default the only one that can be class scores.
        model: what a file of another kind computes; by default, what is read from this one.

    Attributes:
        path: the file.
        sha256: of the file's bytes, in hexadecimal.
        input_name: what the graph calls its images.
        layout: of the file's images.
        input_shape: (h, w, c); None where the file leaves a size open.
        output: which of the file's outputs is attacked, and before which activation.
        class_names: of its outputs, where its metadata state them; else none.
        takes_whole_pixels: whether the file takes bytes: it sees pixels rounded to 1 / 255.
        saturates: whether it may answer otherwise on other processors, see `byte_products`.
        runtime: the package that computes it.

    Raises:
        UserError: the file is missing or no ONNX model, or it does not take one batch of images
            and give one row of logits for each; or a setting does not fit it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        providers: Sequence[str] = (CPU,),
        layout: str | None = None,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        output: str | None = None,
        model: onnx.ModelProto | None = None,
    ) -> None:
        self.path = Path(path)
        whole = read_model(self.path) if model is None else model
        self._batches = Batches(whole, threads, providers)
        with naming(self.path):
            self.output = attacked_output(whole, output)
        self._model = self.output.model
        within = self._batches.threads_within
        as_written = model is not None  # what another runtime computes, which fuses nothing
        self._sessions = SessionMaker(self.path, within, providers, as_written=as_written)
        self.sha256 = files.sha256(self.path)
        self._session = self._sessions.open(self._model)
        self._input = ImageInput(self.path, self._session, layout=layout, mean=mean, std=std)
        self.input_name, self.layout = self._input.name, self._input.layout
        self.input_shape = self._input.input_shape
        self.class_names = stated_class_names(self._session.metadata)
        self.takes_whole_pixels = self._input.takes_whole_pixels
        self.saturates = next(iter(providers), CPU) == CPU and saturates(self._model)
        self.runtime = "onnxruntime"
        self._gradients = GradientSessions(
            self.path, self._model, self._sessions, self._input, self._batches, self.logits
        )
        self._tried = self._batches.one_by_one

    @property
    def in_words(self) -> str:
        """Which output is attacked, and how, in a phrase."""
        return self.output.in_words + (f"; {EACH_ALONE}" if self._batches.one_by_one else "")

    def straight_through(self) -> tuple[str, ...]:
        """Return the operators that round, and whose gradient is taken as if they did not: attacks
        that follow it can be misled, so that one by score belongs beside them."""
        try:
            return straight_through_operators(self._gradients.twin.model)
        except UserError:  # there is no gradient at all
            return ()

    def some_image_shape(self, size: int) -> tuple[int, int, int]:
        """Return (h, w, c) of images that fit the file, of this size where it is left open."""
        return self._input.some_shape(size)

    def logits(self, images: np.ndarray, *, batch_size: int = 128) -> np.ndarray:
        """Return the logits, (n, classes), of `images`, pixels (n, h, w, c) in [0, 1].

        Raises:
            UserError: there are no images, or they have not the shape that the file takes.
        """
        self._input.check(images)
        if not self._tried and len(images) > 1:
            self._see_whether_images_mix(images[:COMPARED])
        return self._own(images, batch_size)

    def _see_whether_images_mix(self, images: np.ndarray) -> None:
        """Find out whether the file takes several images, and says the same of each as alone."""
        self._batches.one_by_one = mixes(
            self.path,
            self._input.batch,
            alone=lambda k: self._own(images[k : k + 1], 1),
            beside=lambda: self._own(images, len(images), whole=True),
        )
        self._tried = True  # at last: one that is refused is refused again

    def look_again(self) -> None:
        """Find out anew whether the file mixes images, on the next: those it had were none of a
        data set's, whose range, say, may be what it divides by."""
        self._tried = self._batches.one_by_one

    def _own(self, images: np.ndarray, batch_size: int, *, whole: bool = False) -> np.ndarray:
        names = [self._session.outputs[0].name]
        (logits,) = self._batches.run(
            self._session, names, self._input, images, {}, batch_size, whole=whole
        )
        return logits if logits.dtype in (np.float32, np.float64) else logits.astype(np.float32)

    def loss_and_gradient(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        loss: str = "cross_entropy",
        target: np.ndarray | None = None,
        *,
        batch_size: int = 128,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return logits, each image's loss, and that loss's gradient by the image's pixels.

        Args:
            images: pixels (n, h, w, c) in [0, 1].
            labels: (n,) integers.
            loss: see `input_gradient_model`; not "linear".
            target: (n,) integers, the classes of a targeted loss.

        Returns:
            (n, classes), (n,) and (n, h, w, c).

        Raises:
            UserError: the arrays do not fit the file or each other, the loss is unknown, or the
                file holds operators without a gradient.
        """
        needs = LOSS_NEEDS.get(loss, ())
        if "slopes" in needs:
            raise UserError(f"loss {loss!r} has no labels; use logits_and_gradient.")
        told = {name: labels if name == "labels" else target for name in needs}
        return self._run_gradient(loss, images, told, batch_size)

    def by_name(
        self, loss: str, images: np.ndarray, told: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the same of one batch, of any loss: `told` are labels and targets, or the slopes
        of the loss "linear"."""
        given = by_name_of(loss, told)
        needed = {name: given[name] for name in LOSS_NEEDS[loss]}
        return self._run_gradient(loss, images, needed, len(images))

    def check_gradient(self, images: np.ndarray, loss: str = "log_odds") -> None:
        """Raise UserError where attacks on `images` can follow no gradient of `loss`."""
        self._input.check(images)
        self._gradients.of(loss, images)

    def agreement(self, images: np.ndarray) -> float:
        """Return the share of `images` that the graph which gradients are taken of puts into the
        class that the file says, or into one that ties with it; 1 where both are one graph."""
        if self._gradients.twin.same_logits:
            return 1.0
        own = self.logits(images)
        return agreement(self._gradients.logits("log_odds", images, own), own)

    def _run_gradient(
        self, loss: str, images: np.ndarray, told: Mapping[str, np.ndarray | None], batch_size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self._input.check(images)
        session = self._gradients.of(loss, images)
        classes = session.outputs[0].shape[1]
        others = {
            name: np.asarray(value)
            if name == "slopes"
            else _checked(name, value, len(images), classes)
            for name, value in told.items()
        }
        names = ["logits", "loss", "gradient"]
        logits, values, gradient = self._batches.run(
            session, names, self._input, images, others, batch_size
        )
        gradient = self._input.decode_gradient(gradient, np.asarray(images))
        if self._gradients.twin.same_logits:
            return logits, values, gradient
        # the twin says where to go, the file itself what comes of it
        own = self.logits(images, batch_size=batch_size)
        return own, loss_of(own, loss, others, values), gradient


def _checked(name: str, classes: np.ndarray | None, count: int, most: Any) -> np.ndarray:
    """Return `classes` as int64, (count,), where they are classes of so many images."""
    array = np.asarray(classes)
    if array.shape != (count,) or not np.issubdtype(array.dtype, np.integer):
        got = "none" if classes is None else f"{array.dtype} of shape {array.shape}"
        raise UserError(f"{name} must be integers of shape ({count},), one an image; got {got}.")
    bound = most if isinstance(most, int) else np.inf
    if array.min() < 0 or array.max() >= bound:
        raise UserError(
            f"{name} range from {array.min()} to {array.max()}; the model has {most} classes, so "
            "they count from 0 to one less."
        )
    return array.astype(np.int64)
