"""A training step of a student under a teacher, whatever its terms and its attack are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import keras

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.method.batches import unpack_batch
from rnascl_keras.method.callback_lists import listed, with_callback
from rnascl_keras.method.epoch_share import EpochShare
from rnascl_keras.method.inner_attacks import InnerAttack
from rnascl_keras.method.input_gradients import with_input_gradients
from rnascl_keras.method.kept_weights import KeepsWeights
from rnascl_keras.method.need import OF_TEACHER, Need
from rnascl_keras.method.step import Step
from rnascl_keras.method.taps import tap
from rnascl_keras.method.teacher import Chooser, Teacher, as_teacher, check_apart, chosen
from rnascl_keras.method.term_checks import check_nothing_untrained, check_scalars
from rnascl_keras.method.terms import Term, as_terms
from rnascl_keras.method.training import accuracy, descend

Tensor = Any


class Distiller(KeepsWeights):
    """Trains a student on a weighted sum of terms, under a teacher that is never updated.

    A step asks the teacher (`ask`), makes adversarial images where a term needs them (`attacked`),
    lets the student answer and adds up the terms (`loss_parts`), and descends. What no term needs
    is not computed.

    Exchange these; none of them needs a subclass of this class:

    - a term: a `Term`, or a `keras.distillation.DistillationLoss` of logits. `Term.compute` gives
      its value of a `Step`; `needs`, `student_layers` and `teacher_layers` say what is to be there.
      `keras.distillation.Distiller` has no place for the others: it never makes other images than
      the batch's, takes no input gradients, and its teacher is always asked live.
    - the attack: its `perturb` makes `Step.adversarial` of a `Step`; `InnerAttack`.
    - what the student is shown in place of the images: another `perturb`.

    Args:
        teacher: a robust image classifier. Or a `TeacherCache`: `fit` then takes
            its `training_batches`. Or a function that gives one of them, when it is told what the
            terms and attacks need of it, see `teacher.Chooser`.
        student: a functional or Sequential classifier for the same images and classes. Of one that
            ends in a softmax or a sigmoid the logits before it are trained, see `logits_of`.
        terms: addends of the loss, each reported under its name besides "loss" and "accuracy".
        attack: on the student, for terms that need `Need.ADVERSARIAL`: `StepPGD`, `Trades`.
        shown: what the clean pass sees, e.g. `GaussianNoise`; None: the images. The teacher and
            the attack see the images in any case.
        teacher_taps: where its maps are taken; their number is n_t of eq. 1.
        map_size: common (height, width) of attention maps. This and `teacher_taps` are a cache's
            own where `teacher` is one.
        weight_decay: coupled L2 on convolution and dense kernels; the student's own regularizers
            are added too.
        average, robust_at: as of `KeepsWeights.keep_copies`; then call `finish` after `fit`.
        seed: of `noise`, from which attack and `shown` draw.

    Raises:
        UserError: teacher, student, terms and attack do not fit one another.
    """

    def __init__(
        self,
        teacher: keras.Model | Teacher | Chooser,
        student: keras.Model,
        terms: Sequence[Term | keras.distillation.DistillationLoss],
        attack: InnerAttack | None = None,
        *,
        shown: InnerAttack | None = None,
        teacher_taps: str | Sequence[str] | None = None,
        map_size: tuple[int, int] | None = None,
        weight_decay: float = 2e-4,
        average: float = 0.0,
        robust_at: float | None = None,
        seed: int | None = None,
        name: str = "distiller",
    ) -> None:
        terms = as_terms(terms)
        super().__init__(student, ("loss", *(term.name for term in terms), "accuracy"), name)
        teacher = chosen(teacher, needs_of_teacher(terms, attack, shown))
        self._teacher = as_teacher(
            teacher, teacher_taps, map_size, student.input_shape[1:], self.classes
        )
        check_needs(terms, attack, shown, self._teacher)
        check_apart(self._teacher, student)
        self.student = student
        check_nothing_untrained((*terms, attack, shown), self.classifier)
        self.terms = terms
        self.attack = attack
        self.shown = shown
        self.map_size = self._teacher.map_size
        self.weight_decay = weight_decay
        self.noise = keras.random.SeedGenerator(seed)
        self._epochs = EpochShare() if Need.EPOCH_SHARE in self.needs else None
        for term in terms:
            term.check(self._teacher, self.classifier)
        self._asked = self._teacher_layers()
        tapped = dict.fromkeys(layer for term in terms for layer in term.student_layers)
        self._student = tap(self.classifier, list(tapped)) if tapped else None
        self.keep_copies(average, robust_at)

    @property
    def teacher(self) -> keras.Model | Teacher:
        """The teacher, or the model of its logits; or the cache given."""
        return self._teacher.source

    @property
    def needs(self) -> set[Need]:
        """What the terms need of a step."""
        return {need for term in self.terms for need in term.needs}

    def fit(self, *args: Any, callbacks: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """As `TrainingModel.fit`; terms that need `Need.EPOCH_SHARE` are told of each epoch."""
        if self._epochs and self._epochs not in listed(callbacks):
            callbacks = with_callback(callbacks, self._epochs, self)
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        step = self.attacked(self.ask(data))

        def decayed_loss() -> tuple[Tensor, dict[str, Tensor]]:
            parts = self.loss_parts(step)
            return parts["loss"] + self.penalties(self.weight_decay), parts

        parts = descend(decayed_loss, self.weight_variables, self.optimizer, step.labels)
        self.share_statistics()
        self.average_weights()
        return self.record(parts, step.labels)

    def ask(self, data: Any) -> Step:
        """Return what the teacher says on a batch as `fit` hands it to a step."""
        images, labels = unpack_batch(data, self.classes)
        logits, maps = self._teacher.answers(data[0], [k for k, _ in self._asked])
        gradients = None
        if Need.INPUT_GRADIENTS in self.needs:
            gradients = self._teacher.input_gradients(data[0], labels)
        return Step(
            images=images,
            labels=labels,
            teacher=self._teacher,
            student=self.classifier,
            inference=self.inference,
            noise=self.noise,
            teacher_logits=logits,
            teacher_gradients=gradients,
            epoch_share=self._epochs.share.value if self._epochs else None,
            # (batch, layers asked for, p) -> one (batch, p) each
            teacher_maps={layer: maps[:, k] for k, (_, layer) in enumerate(self._asked)},
        )

    def attacked(self, step: Step) -> Step:
        """Return the step with adversarial images, where a term needs them."""
        # `check_needs` has seen to it that there is an attack
        if Need.ADVERSARIAL in self.needs and self.attack is not None:
            step = replace(step, adversarial=self.attack.perturb(step))
        return step

    def loss_parts(self, step: Step) -> dict[str, Tensor]:
        """Return the loss of an `attacked` step, the terms by name, and the accuracy, scalars.

        The accuracy is on the images, or on the adversarial ones where no term is `clean`.
        """
        step = self._answered(step)
        parts = {term.name: term.compute(step) for term in self.terms}
        check_scalars(parts)
        weighted = [
            term.weight * parts[term.name] for term in self.terms if term.weight is not None
        ]
        loss = weighted[0]
        for value in weighted[1:]:
            loss += value
        seen = step.adversarial_logits if step.logits is None else step.logits
        return {"loss": loss, **parts, "accuracy": accuracy(step.labels, seen)}

    def _answered(self, step: Step) -> Step:
        """Return the step with what the student says in training mode, as far as needed."""

        def clean_pass(images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            shown = self.shown.perturb(replace(step, images=images)) if self.shown else images
            if self._student is None:
                return self.classifier(shown, training=True), {}
            logits, activations, _ = self._student(shown, training=True)
            return logits, dict(zip(self._student.names, activations, strict=True))

        logits = gradients = adversarial_logits = None
        activations: dict[str, Tensor] = {}
        if Need.INPUT_GRADIENTS in self.needs:
            (logits, activations), gradients = with_input_gradients(
                clean_pass, step.images, step.labels
            )
        elif any(term.clean for term in self.terms):
            logits, activations = clean_pass(step.images)
        if Need.ADVERSARIAL in self.needs:
            adversarial_logits = self.classifier(step.adversarial, training=True)
        return replace(
            step,
            logits=logits,
            activations=activations,
            gradients=gradients,
            adversarial_logits=adversarial_logits,
        )

    def _teacher_layers(self) -> list[tuple[int, str]]:
        """Return number and name of the teacher's layers that terms read, in its order."""
        wanted = [term.teacher_layers for term in self.terms]
        every = None in wanted
        named = {layer for layers in wanted for layer in layers or ()}
        for layer in sorted(named.difference(self._teacher.layers)):
            raise UserError(
                f"a term reads the maps of layer {layer!r}, which teacher {self._teacher.name!r} "
                "has not tapped; give its name in teacher_taps."
                + nearest(layer, self._teacher.layers)
            )
        return [(k, x) for k, x in enumerate(self._teacher.layers) if every or x in named]


def check_needs(
    terms: Collection[Term],
    attack: InnerAttack | None,
    shown: InnerAttack | None,
    teacher: Teacher,
) -> None:
    """Raise UserError where a term's or an attack's needs cannot be met.

    Args:
        terms, attack, shown: as of `Distiller`.
        teacher: who answers.
    """
    given = [(term.name, term.needs) for term in terms]
    given += [(type(x).__name__, x.needs) for x in (attack, shown) if x is not None]
    for name, needs in given:
        if Need.ADVERSARIAL in needs and attack is None:
            raise UserError(f"{name!r} needs adversarial images; give attack=, e.g. Trades().")
        for need in OF_TEACHER.intersection(needs).difference(teacher.holds):
            more = " or make it with them" if need is Need.INPUT_GRADIENTS else ""
            raise UserError(
                f"the cache does not hold the teacher's {need.value}, which {name!r} needs; give "
                f"the teacher itself{more}."
            )


def needs_of_teacher(terms: Collection[Term], *attacks: InnerAttack | None) -> set[Need]:
    """Return which of `need.OF_TEACHER` these need."""
    return {need for x in (*terms, *filter(None, attacks)) for need in x.needs} & OF_TEACHER
