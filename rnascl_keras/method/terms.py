"""The addends of a distiller's loss: what a term is, and those on logits."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from keras.config import floatx

from rnascl_keras.errors import UserError
from rnascl_keras.method import losses
from rnascl_keras.method.need import Need
from rnascl_keras.method.step import Step
from rnascl_keras.method.teacher import Teacher

Tensor = Any

OF_PROBABILITIES = {
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "kl_divergence",
    "poisson",
}
"""Keras' losses that logits have no meaning for, by name."""
WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Term:
    """One addend of the loss of a `Distiller`. Subclasses override `compute`.

    Args:
        name: under which its value is reported.
        weight: its factor in the loss; None: it is reported only.

    Attributes:
        needs: what else than a clean pass it reads of a `Step`.
        clean: whether it reads what the student says on the images themselves; where no term does,
            the student is not asked about them.
        student_layers: names of those whose `Step.activations` it reads, see `taps.tap`.
        teacher_layers: names of those whose `Step.teacher_maps` it reads; None: all tapped ones.
    """

    needs: Collection[Need] = ()
    clean: bool = True
    student_layers: Sequence[str] = ()
    teacher_layers: Sequence[str] | None = ()

    def __init__(self, name: str, weight: float | None = 1.0) -> None:
        self.name = name
        self.weight = weight

    def check(self, teacher: Teacher, student: keras.Model) -> None:
        """Raise UserError where it cannot be computed for these two; asked once, at the start."""

    def compute(self, step: Step) -> Tensor:
        """Return the term's value for the batch, a scalar, without its weight."""
        raise NotImplementedError


class _OnLogits(Term):
    """A term on the student's logits, those on the images or on the adversarial ones."""

    def __init__(self, name: str, weight: float | None, adversarial: bool) -> None:
        super().__init__(name, weight)
        self.adversarial = adversarial
        self.needs = (Need.ADVERSARIAL,) if adversarial else ()
        self.clean = not adversarial

    def _student(self, step: Step) -> Tensor:
        return step.adversarial_logits if self.adversarial else step.logits


class CrossEntropy(_OnLogits):
    """The student's cross-entropy on the labels, the first term of eq. 2 and 3.

    Args:
        weight, name: as of `Term`.
        adversarial: whether the student's logits are those on the adversarial images.
    """

    def __init__(
        self,
        weight: float | None = 1.0,
        name: str = "cross_entropy",
        *,
        adversarial: bool = False,
    ) -> None:
        super().__init__(name, weight, adversarial)

    def compute(self, step: Step) -> Tensor:
        return tf.reduce_mean(losses.cross_entropy(step.labels, self._student(step)))


class OutputTerm(_OnLogits):
    """A `keras.distillation.DistillationLoss` of the two models' logits, ours or Keras' own.

    A loss of hidden layers, such as `keras.distillation.FeatureDistillation` with names of layers,
    does not fit: the teacher may be a cache, which holds unit maps and no activations.

    Args:
        loss: e.g. `output_losses.KLDistillation()`, or `keras.distillation.LogitsDistillation(3.0,
            keras.losses.KLDivergence())`.
        weight: as of `Term`.
        name: as of `Term`; by default that of the loss's class in snake case.
        adversarial: whether the student's logits are those on the adversarial images; the
            teacher's are on the clean ones in any case.

    Raises:
        UserError: it is no such loss, names layers, or takes logits for probabilities.
    """

    def __init__(
        self,
        loss: keras.distillation.DistillationLoss,
        weight: float | None = 1.0,
        name: str | None = None,
        *,
        adversarial: bool = False,
    ) -> None:
        if not isinstance(loss, keras.distillation.DistillationLoss):
            raise UserError(
                "a term must be a Term or a keras.distillation.DistillationLoss; got a "
                f"{type(loss).__name__}."
            )
        if any(getattr(loss, f"{who}_layer_name", None) for who in ("teacher", "student")):
            raise UserError(
                f"{type(loss).__name__} compares hidden layers, which a Distiller has no teacher's "
                "activations for; leave the layers' names out, or use TutoredAttention."
            )
        _check_takes_logits(loss)
        super().__init__(name or WORD.sub("_", type(loss).__name__).lower(), weight, adversarial)
        self.loss = loss

    def check(self, teacher: Teacher, student: keras.Model) -> None:
        """Let the loss look at the two models, where the teacher is one.

        Raises:
            UserError: the teacher is a cache that lacks what the loss reads.
        """
        if isinstance(teacher.source, keras.Model):
            self.loss.validate_model_compatibility(teacher.source, student)
        if getattr(teacher, "shifted", False) and _reads_largest(self.loss, student):
            raise UserError(
                f"{self.name!r} compares the logits themselves, and this cache of teacher "
                f"{teacher.name!r}, of an older format, holds each image's less the largest of "
                "them; make the cache anew."
            )

    def compute(self, step: Step) -> Tensor:
        # Keras' losses compute in their arguments' precision
        both = step.teacher_logits, self._student(step)
        answers = [ops.cast(logits, floatx()) for logits in both]
        self.loss.validate_outputs(*answers)
        return self.loss.compute_loss(*answers)


def _reads_largest(loss: keras.distillation.DistillationLoss, student: keras.Model) -> bool:
    """Return whether a loss is another when the same number is added to all of a teacher's logits,
    as those of probabilities are not."""
    teacher, answers = np.random.default_rng(0).normal(size=(2, 2, student.output_shape[-1]))
    logits = ops.convert_to_tensor(answers, floatx())
    found, shifted = (
        float(loss.compute_loss(ops.convert_to_tensor(each, floatx()), logits))
        for each in (teacher, teacher + 3.0)
    )
    return not math.isclose(found, shifted, rel_tol=1e-3, abs_tol=1e-6)


def _check_takes_logits(loss: keras.distillation.DistillationLoss) -> None:
    """Raise UserError where Keras would give a loss of probabilities the logits themselves: its
    `LogitsDistillation` makes them probabilities for a `KLDivergence` alone, not for the function
    that it has by default."""
    if not isinstance(loss, keras.distillation.LogitsDistillation):
        return
    for used in keras.tree.flatten(loss.loss):
        name = getattr(used, "__name__", getattr(used, "name", ""))
        if name in OF_PROBABILITIES and not isinstance(used, keras.losses.KLDivergence):
            raise UserError(
                f"LogitsDistillation with {name} takes the logits for probabilities; give "
                "keras.distillation.LogitsDistillation(3.0, keras.losses.KLDivergence()), or "
                "output_losses.KLDistillation()."
            )


def as_terms(terms: Sequence[Term | keras.distillation.DistillationLoss]) -> tuple[Term, ...]:
    """Return terms, a Keras loss among them made one of weight 1.

    Raises:
        UserError: one is neither, two have the same name, or none has a weight.
    """
    found = tuple(term if isinstance(term, Term) else OutputTerm(term) for term in terms)
    names = [term.name for term in found]
    taken = {"loss", "accuracy"}
    if twice := [name for k, name in enumerate(names) if name in {*names[:k], *taken}]:
        raise UserError(
            f"terms are reported by name, but {twice[0]!r} is taken; got {', '.join(names)}; give "
            "each a name of its own."
        )
    if all(term.weight is None for term in found):
        raise UserError("a distiller needs at least one term with a weight; give terms=[...].")
    return found
