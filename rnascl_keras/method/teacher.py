"""What a method asks of a teacher: its logits and its attention maps, live or of a cache."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import FunctionType, MethodType
from typing import Any, Protocol

import keras
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.method.attention import common_size, unit_maps
from rnascl_keras.method.input_gradients import with_input_gradients
from rnascl_keras.method.need import OF_TEACHER, Need
from rnascl_keras.method.taps import tap
from rnascl_keras.models.altered import whole_slopes
from rnascl_keras.models.classifiers import check_classifier
from rnascl_keras.models.fingerprint import fingerprint
from rnascl_keras.models.finite import check_finite
from rnascl_keras.models.logits import logits_model

Tensor = Any


class Teacher(Protocol):
    """Who answers for a teacher in every step: a `LiveTeacher`, or an opened cache of answers."""

    @property
    def name(self) -> str:
        """The name of the teacher's model."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of its weights, the same whether it is asked live or was asked once."""
        ...

    @property
    def layers(self) -> list[str]:
        """Names of its n_t tapped layers."""
        ...

    @property
    def map_size(self) -> tuple[int, int]:
        """Common (height, width) of the maps."""
        ...

    @property
    def source(self) -> Any:
        """What was given: the model of the logits, or the cache."""
        ...

    @property
    def holds(self) -> Collection[Need]:
        """Which of `need.OF_TEACHER` it can give."""
        ...

    def answers(self, inputs: Any, layers: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and unit maps, see `LiveTeacher.answers`."""
        ...

    def input_gradients(self, inputs: Any, labels: Tensor) -> Tensor:
        """Return the teacher's, see `LiveTeacher.input_gradients`, if it `holds` them."""
        ...


class LiveTeacher:
    """A model that is asked anew in every step, in inference mode; it is never updated.

    Augmentation layers of its own, such as `RandomFlip`, which act where nothing is said about the
    mode, do nothing then.

    Args:
        model: a functional or Sequential image classifier; it is asked for its logits, see
            `logits_of`.
        taps: where its attention maps are taken, see `taps.tap`.
        map_size: common (height, width) of the maps.

    Attributes:
        source: what answers: the model of the logits.
        layers: names of the n_t tapped layers.
        map_size: as given.
    """

    holds = OF_TEACHER

    def __init__(
        self, model: keras.Model, taps: str | Sequence[str], map_size: Sequence[int]
    ) -> None:
        self.source = logits_model(model)
        height, width = map_size
        self.map_size = height, width
        self._tapped = tap(self.source, taps)
        self.layers = self._tapped.names

    @property
    def name(self) -> str:
        """The model's name."""
        return self.source.name

    @property
    def fingerprint(self) -> str:
        """Hash of the model's weights."""
        return fingerprint(self.source)

    def answers(self, inputs: Any, layers: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and unit maps.

        Args:
            inputs: images (batch, h, w, c), or a dict that holds them as `images`.
            layers: which of `self.layers`' maps are wanted, by number; by default all.

        Returns:
            (batch, classes), and float32 (batch, wanted layers, p) with rows of norm 1, or 0 for
            a map of zeros.
        """
        logits, activations, _ = self._tapped(_images(inputs))
        wanted = activations if layers is None else [activations[k] for k in layers]
        if not wanted:
            return logits, tf.zeros((tf.shape(logits)[0], 0, self.map_size[0] * self.map_size[1]))
        return logits, unit_maps(wanted, self.map_size)

    def input_gradients(self, inputs: Any, labels: Tensor) -> Tensor:
        """Return how each image's cross-entropy changes with its pixels, float32 (batch, h, w, c).

        Args:
            inputs: as of `answers`.
            labels: (batch,).
        """
        images = tf.convert_to_tensor(_images(inputs))
        with whole_slopes(self.source):
            _, gradients = with_input_gradients(
                lambda x: (self.source(x, training=False),), images, labels
            )
        return gradients


def _images(inputs: Any) -> Tensor:
    return inputs["images"] if isinstance(inputs, dict) else inputs


Chooser = Callable[[Collection[Need]], keras.Model | Teacher]
"""Which of `need.OF_TEACHER` are needed -> a cache of the teacher's answers that holds them, or the
teacher itself."""


def chosen(
    teacher: keras.Model | Teacher | Chooser, needs: Collection[Need]
) -> keras.Model | Teacher:
    """Return the teacher, or what a function that was given in its place gives."""
    return teacher(needs) if isinstance(teacher, FunctionType | MethodType) else teacher


def as_teacher(
    teacher: keras.Model | Teacher,
    taps: str | Sequence[str] | None,
    map_size: Sequence[int] | None,
    input_shape: Sequence[int],
    classes: int,
) -> Teacher:
    """Return what answers for `teacher`.

    Args:
        teacher: a model, or an opened cache.
        taps: where its maps are taken; None: at every convolution, or where the cache took them.
        map_size: common (height, width) of the maps; None: the images' default, or the cache's.
        input_shape, classes: of the student.

    Raises:
        UserError: it is neither, does not fit the student, or the cache was made otherwise.
    """
    if isinstance(teacher, keras.Model):
        source = logits_model(teacher)
        check_teacher(source, tuple(input_shape), classes)
        check_finite(source.weights, f"the teacher {teacher.name!r}", "give another")
        return LiveTeacher(source, taps or "conv", common_size(map_size, input_shape))
    check_fits: Any = getattr(teacher, "check_fits", None)
    if check_fits is None:
        raise UserError(
            f"teacher must be a Keras model or an opened cache of what one answers; got a "
            f"{type(teacher).__name__}."
        )
    check_fits(taps=taps, map_size=map_size, input_shape=input_shape, classes=classes)
    return teacher


def check_apart(teacher: Teacher, student: keras.Model) -> None:
    """Raise UserError where a student trains weights of its teacher's, which is never updated."""
    weights = {id(v) for v in getattr(teacher.source, "weights", ())}
    shared = [v.path for v in student.trainable_variables if id(v) in weights]
    if shared:
        raise UserError(
            f"teacher and student share {shared[0]} and {len(shared) - 1} more weights, so that "
            "training the student would change the teacher; make the student of layers of its own, "
            "e.g. by keras.models.clone_model and set_weights."
        )


def check_teacher(model: keras.Model, input_shape: Sequence[int], classes: int) -> None:
    """Raise UserError unless `model` maps (batch, *input_shape) to (batch, classes)."""
    check_classifier(model, "the teacher")
    takes, gives = model.input_shape, model.output_shape
    if gives[1] != classes:
        raise UserError(
            f"the teacher tells {gives[1]} classes apart, the data has {classes}; give a teacher "
            "trained on this data set."
        )
    fits = (
        isinstance(takes, tuple)
        and len(takes) == 4
        and all(t in (None, i) for t, i in zip(takes[1:], input_shape, strict=True))
    )
    if not fits:
        raise UserError(
            f"the teacher takes images of shape {takes}, the data's are {tuple(input_shape)}; give "
            "a teacher for images of this size, or set the data's image size."
        )
