"""An image classifier in a LiteRT file: logits from its interpreter, gradients from its twin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from rnascl_keras.attacks.mixing import COMPARED, EACH_ALONE
from rnascl_keras.attacks.verdict import agreement
from rnascl_keras.errors import UserError, naming
from rnascl_keras.export.any_loss import AnyLoss, by_name_of, loss_of
from rnascl_keras.export.gradient.mixture import MIXTURE
from rnascl_keras.export.litert.image_numbers import ImageNumbers
from rnascl_keras.export.litert.reading import read_litert
from rnascl_keras.export.litert.runtime import package
from rnascl_keras.export.litert.scores import find_scores
from rnascl_keras.export.litert.session import LiteRTSession
from rnascl_keras.export.litert.twin import onnx_twin
from rnascl_keras.export.onnx_classifier import OnnxClassifier
from rnascl_keras.export.onnx_input import ImageInput
from rnascl_keras.export.same_function import mixes
from rnascl_keras.files import whole as files

Result = tuple[np.ndarray, np.ndarray, np.ndarray]


class LiteRTClassifier(AnyLoss):
    """A `.tflite` file that turns images into logits, with a gradient.

    As `OnnxClassifier`: pixels are NHWC, in [0, 1], and all is about the logits before a final
    softmax or sigmoid. What the file says is what the LiteRT interpreter says of it. The gradient
    is that of the ONNX graph which tf2onnx makes of the file, at the same images.

    Args:
        path: the file.
        threads: that compute; by default one for each core that this process may use.
        layout: "NHWC" or "NCHW"; by default found out.
        mean, std: a number or one a channel, in pixel units of [0, 1]: the file takes
            (pixels - mean) / std, which an integer file then rounds by its own scale. By default
            0 and 1, and an integer file is given the bytes of the image.
        output: which of the file's outputs; by default the only one that can be class scores.

    Attributes:
        path: the file.
        sha256: of the file's bytes, in hexadecimal.
        input_name: what the graph calls its images.
        layout: of the file's images.
        input_shape: (h, w, c); None where the file leaves a size open.
        class_names: none, which these files do not state.
        takes_whole_pixels: whether the file takes bytes: it sees pixels rounded to 1 / 255.
        saturates: whether it may answer otherwise on other processors.
        runtime: the package that computes it.

    Raises:
        UserError: the file is missing or no LiteRT model, or it does not take one batch of images
            and give one row of logits for each; no LiteRT is installed; or a setting does not fit.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        layout: str | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        output: str | None = None,
    ) -> None:
        self.path = Path(path)
        file = read_litert(self.path)
        with naming(self.path):
            scores = find_scores(file, output)
            if len(file.inputs) != 1:
                raise UserError(
                    f"it takes {len(file.inputs)} inputs, expected one of images; give an image "
                    "classifier."
                )
            real = mean is not None or std is not None
            self._numbers = ImageNumbers(file.tensors[file.inputs[0]], real)
        self._content, self._logits = file.with_output(scores.logits), file.tensors[scores.logits]
        session = LiteRTSession(self.path, self._content, self._numbers, self._logits, threads)
        self._session, self._told = session, {"layout": layout, "threads": threads}
        self._told |= {"mean": 0.0 if mean is None else mean, "std": 1.0 if std is None else std}
        normalised = {key: self._told[key] for key in ("layout", "mean", "std")}
        self._input = ImageInput(self.path, session, **normalised)
        self.sha256 = files.sha256(self.path)
        self.input_name, self.layout = self._input.name, self._input.layout
        self.input_shape = self._input.input_shape
        self.class_names: tuple[str, ...] = ()
        self.takes_whole_pixels = self._input.takes_whole_pixels
        self.saturates = False  # LiteRT adds products of bytes in 32 bits
        self.runtime = package()
        self._words = [words for words in (scores.in_words, self._numbers.in_words) if words]
        self._tried = False

    @property
    def in_words(self) -> str:
        """Which output is attacked, what integers take, and how, in a phrase."""
        is_run_so = self._tried and self._session.one_by_one
        return "; ".join(self._words + ([EACH_ALONE] if is_run_so else []))

    @cached_property
    def _twin(self) -> OnnxClassifier:
        with naming(self.path):
            model = onnx_twin(self._content, self._numbers, self._logits)
        twin = OnnxClassifier(self.path, model=model, **self._told)
        if twin.output.activation == MIXTURE:
            raise UserError(
                f"{self.path}: it gives probabilities mixed of several softmaxes or sigmoids, "
                "which hide the gradient; attack the same model as ONNX, whose logarithm is "
                "attacked, or this file by score: --attacks square."
            )
        if twin.output.activation:
            raise UserError(
                f"{self.path}: it ends in a {twin.output.activation} whose logits cannot be had of "
                "the interpreter; export it without what follows the logits, or attack it by "
                "score: --attacks square."
            )
        return twin

    def straight_through(self) -> tuple[str, ...]:
        """See `OnnxClassifier.straight_through`."""
        try:
            return self._twin.straight_through()
        except UserError:  # there is no gradient at all
            return ()

    def some_image_shape(self, size: int) -> tuple[int, int, int]:
        """Return (h, w, c) of images that fit the file, of this size where it is left open."""
        return self._input.some_shape(size)

    def logits(self, images: np.ndarray, *, batch_size: int = 0) -> np.ndarray:
        """Return the logits, (n, classes), of `images`, pixels (n, h, w, c) in [0, 1].

        Args:
            images: see above.
            batch_size: taken as the other classifiers take it; LiteRT runs a few images at a time.

        Raises:
            UserError: there are no images, or they have not the shape that the file takes; or the
                file says otherwise of an image when it is asked again, or beside others.
        """
        self._input.check(images)
        if not self._tried and len(images) > 1:
            self._see_whether_images_mix(images)
        return self._session.run(self._input.encode(images))

    def _see_whether_images_mix(self, images: np.ndarray) -> None:
        """Find out whether the file takes several images, and says the same of each as alone."""
        session, batch = self._session, self._input.batch
        values = self._input.encode(images[: min(batch or COMPARED, COMPARED)])
        session.one_by_one = mixes(
            self.path,
            batch,
            alone=lambda k: session.run(values[k : k + 1]),
            beside=lambda: session.run(values, together=True),
        )
        self._tried = True

    def look_again(self) -> None:
        """See `OnnxClassifier.look_again`."""
        self._tried = self._tried and self._session.one_by_one

    def loss_and_gradient(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        loss: str = "cross_entropy",
        target: np.ndarray | None = None,
        *,
        batch_size: int = 128,
    ) -> Result:
        """See `OnnxClassifier.loss_and_gradient`."""
        self._input.check(images)
        settings = {"batch_size": batch_size}
        found = self._twin.loss_and_gradient(images, labels, loss, target, **settings)
        given = {"labels": labels, "targets": target}
        told = {name: np.asarray(value) for name, value in given.items() if value is not None}
        return self._answered(images, loss, told, found)

    def by_name(self, loss: str, images: np.ndarray, told: Sequence[np.ndarray]) -> Result:
        """See `OnnxClassifier.by_name`."""
        found = self._twin.by_name(loss, images, told)
        return self._answered(images, loss, by_name_of(loss, told), found)

    def check_gradient(self, images: np.ndarray, loss: str = "log_odds") -> None:
        """See `OnnxClassifier.check_gradient`."""
        self._twin.check_gradient(images, loss)

    def agreement(self, images: np.ndarray) -> float:
        """Return the share of `images` that the graph which gradients are taken of puts into the
        class that the interpreter says, or into one that ties with it."""
        twins = self._twin.logits(images)
        return agreement(twins, self.logits(images))

    def _answered(
        self, images: np.ndarray, loss: str, told: dict[str, np.ndarray], found: Result
    ) -> Result:
        """Put what the interpreter says in the place of what the twin says."""
        own = self.logits(images)
        return own, loss_of(own, loss, told, found[1]), found[2]
