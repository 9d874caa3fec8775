"""From any classifier to its logits: the one way in for whatever asks, trains or attacks a model.

Probabilities taken for logits are no error that anything would show. A loss of a softmax of a
softmax stays near log(classes); and where a model is sure, its probabilities are 0 and 1 in float32
and have no gradient, so that attacks fail, which looks like robustness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from rnascl_keras.errors import UserError
from rnascl_keras.models.ending import ENDINGS, Cut, cuts, is_functional
from rnascl_keras.models.image_input import shape_to_ask
from rnascl_keras.models.traced_ending import traced_ending

IMAGES = 4
PROBABILITIES = (
    "the model gives probabilities, by {} at its end that cannot be left out of it; give the model "
    "without that, so that it gives logits."
)


@dataclass(frozen=True)
class Logits:
    """The logits of a model.

    Attributes:
        model: images -> logits (batch, classes), on the weights of the model given; that model
            itself where it gives them.
        ending: what was left out at its end, one of `ENDINGS`; None: nothing.
        single: whether the model has one output z, and the logits are (0, z).
    """

    model: keras.Model
    ending: str | None = None
    single: bool = False

    @property
    def remarks(self) -> list[str]:
        """How they differ from the model's own output, in words about attacking them."""
        told = [f"attacked before its final {self.ending}"] if self.ending else []
        return told + ["one output z: classes 0 and 1 with logits (0, z)"] * self.single


def logits_of(model: keras.Model) -> Logits:
    """Return the logits of a classifier.

    A softmax, sigmoid, logarithm of one, or tanh at the end is left out: as a layer, an operation,
    an activation or a function, in nested models, and whatever follows it that changes nothing. The
    result shares all weights with `model`, which stays as it is, so to train it is to train that.
    One output z is two classes of logits (0, z): the softmax of these is the sigmoid of z. What
    is not known to give logits is asked about a few images.

    Args:
        model: one input, one output (batch, classes). A subclassed one is returned as it is.

    Raises:
        UserError: it takes whole numbers as pixels, or gives probabilities otherwise.
    """
    if not is_functional(model):
        return Logits(model)
    _check_pixels(model)
    single = model.outputs[0].shape[1:] in ((), (1,))
    ending, cut = _last_function(model)
    if ending is None:
        _check_asked(model)
        if not single:
            return Logits(model)
    if single and ending in ("softmax", "log-softmax"):
        raise UserError(
            f"model {model.name!r} has one output, and a {ending} of one number is always the "
            "same; let it end in a sigmoid, or in nothing."
        )
    output = cut.make() if cut else model.outputs[0]
    if single:
        output = _with_zero(output, model.name)
    elif output.shape != model.outputs[0].shape:
        shape = model.outputs[0].shape[1:]
        output = layers.Reshape(shape, name=f"{model.name}_logits", dtype=output.dtype)(output)
    return Logits(keras.Model(model.inputs[0], output, name=model.name), ending, single)


def logits_model(model: keras.Model) -> keras.Model:
    """Return the model of `logits_of`, from which it raises too."""
    return logits_of(model).model


def _with_zero(z: Any, name: str) -> Any:
    """Return (0, z), (batch, 2), of z, (batch, ...) of one number each.

    By layers of names that the model has not: Keras counts its own anew in every process, so they
    can be those of a model that was loaded.
    """
    own = z.dtype  # whatever policy is in force
    z = layers.Reshape((1, 1), name=f"{name}_z", dtype=own)(z)
    before: Any = (1, 0)
    z = layers.ZeroPadding1D(before, name=f"{name}_zero_and_z", dtype=own)(z)
    return layers.Flatten(name=f"{name}_logits", dtype=own)(z)  # (batch, 2, 1) -> (batch, 2)


def _last_function(model: keras.Model) -> tuple[str | None, Cut | None]:
    """Return what a model ends in, one of `ENDINGS`, and the cut before it."""
    for cut in cuts(model):
        for name, function in ENDINGS.items() if cut.tail else ():
            if cut.does(function):
                return name, cut
    return None, None


def _check_pixels(model: keras.Model) -> None:
    dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise UserError(
            f"model {model.name!r} takes pixels as {dtype}; expected float pixels in [0, 1], which "
            "all would become 0 in it. Give the model behind an input of floats, with what scales "
            "them inside, e.g. keras.layers.Rescaling(255)."
        )


def _check_asked(model: keras.Model) -> None:
    """Ask a model whose layers do not show how it ends about a few images, and see how it ends.

    Raises:
        UserError: what it answers are probabilities.
    """
    if any(cut.is_linear and cut.is_open() for cut in cuts(model)):
        return
    shape = shape_to_ask(model, IMAGES)
    images = np.random.default_rng(0).uniform(size=shape).astype(model.inputs[0].dtype)
    asked = tf.function(lambda x: model(x, training=False)).get_concrete_function(images)
    check_traced(asked.graph)
    answers = asked(images)
    if not tf.is_tensor(answers):
        raise UserError(
            f"model {model.name!r} gives a {type(answers).__name__} of outputs; expected one "
            "tensor of logits: only classifiers can be evaluated."
        )
    if are_probabilities(answers.numpy()):
        raise UserError(PROBABILITIES.format("a function"))


def check_traced(graph: tf.Graph) -> None:
    """Raise UserError where a traced model's output comes from a softmax or a sigmoid."""
    if ending := traced_ending(graph):
        raise UserError(PROBABILITIES.format(f"a {ending}"))


def are_probabilities(answers: np.ndarray) -> bool:
    """Return whether rows of numbers, (n, classes), are distributions: not negative, of sum 1."""
    sums = answers.sum(axis=-1, dtype=np.float64)
    return bool(answers.min() >= 0 and np.allclose(sums, 1.0, atol=1e-3))
