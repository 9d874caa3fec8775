"""The training phase: the derived student learns from its tutors (eq. 3, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.method import losses
from rnascl_keras.method.architecture import Tutor
from rnascl_keras.method.attention import tutored_attention_loss, unit_maps
from rnascl_keras.method.gradient_alignment import alignment_loss, with_input_gradients
from rnascl_keras.method.taps import tap
from rnascl_keras.method.teacher import Teacher, as_teacher
from rnascl_keras.method.trades import Trades
from rnascl_keras.method.training import TrainingModel, accuracy, descend, unpack_batch

Tensor = Any


class CrossLayerDistiller(TrainingModel):
    """Trains a student by eq. 3: cross-entropy, the teacher's logits, and its tutors' maps.

    Args:
        teacher: a robust image classifier that gives logits; it is never updated. Or a
            `TeacherCache`: `fit` then takes its `training_batches`.
        student: a functional or Sequential classifier for the same images and classes.
        tutors: `architecture.tutors`; none means distillation from the logits alone.
        gamma_t: weight of the attention loss.
        classification_weight, kl_weight: of the other two terms, see `losses.training_loss`.
        kl, softening: of the distillation term, see `losses.distillation_kl`.
        gradient_weight: of one further term, see `gradient_alignment.alignment_loss`; 0: without
            it. The teacher's input gradients are not in a cache, so it has to be a model.
        teacher_taps: as in the search; their number is n_t of eq. 1.
        map_size: common (height, width) of attention maps, as in the search. This and
            `teacher_taps` are a cache's own where `teacher` is one.
        trades: replaces the cross-entropy by TRADES' objective (section 4.1).
        weight_decay: coupled L2 on convolution and dense kernels.
        seed: of TRADES' random start.

    Example::

        distiller = CrossLayerDistiller(
            teacher=teacher, student=architecture.build(), tutors=architecture.tutors
        )
        distiller.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
        distiller.fit(dataset, epochs=100)
        distiller.student.save("student.keras")
    """

    parts = ("loss", "cross_entropy", "trades", "kl", "attention", "accuracy")
    """What `loss_parts` names, and a step reports; "gradient_alignment" comes to it where used."""

    def __init__(
        self,
        teacher: keras.Model | Teacher,
        student: keras.Model,
        tutors: Sequence[Tutor] = (),
        *,
        gamma_t: float = 1.0,
        classification_weight: float = 1.0,
        kl_weight: float = 1.0,
        kl: str = "student_teacher",
        softening: float = 1.0,
        gradient_weight: float = 0.0,
        teacher_taps: str | Sequence[str] | None = None,
        map_size: tuple[int, int] | None = None,
        trades: Trades | None = None,
        weight_decay: float = 2e-4,
        seed: int | None = None,
        name: str = "cross_layer_distiller",
    ) -> None:
        aligned = ("gradient_alignment",) if gradient_weight else ()
        super().__init__(student, (*self.parts, *aligned), name)
        losses.check_kl(kl)
        if gradient_weight and not isinstance(teacher, keras.Model):
            raise UserError(
                f"gradient_weight is {gradient_weight}, but a cache does not hold the teacher's "
                "input gradients; give the teacher itself."
            )
        self._teacher = as_teacher(
            teacher, teacher_taps, map_size, student.input_shape[1:], student.output_shape[-1]
        )
        self.student = student
        self.tutors = tuple(tutors)
        self.gamma_t = gamma_t
        self.classification_weight = classification_weight
        self.kl_weight = kl_weight
        self.kl = kl
        self.softening = softening
        self.gradient_weight = gradient_weight
        self.map_size = self._teacher.map_size
        self.trades = trades
        self.weight_decay = weight_decay
        self.noise = keras.random.SeedGenerator(seed)
        tutors_of_layers = [self._teacher_index(t.teacher_layer) for t in self.tutors]
        self._tutors_used = sorted(set(tutors_of_layers))
        self._tutor_of_layer = [self._tutors_used.index(j) for j in tutors_of_layers]
        self._student = tap(student, [t.student_layer for t in self.tutors]) if tutors else None

    @property
    def teacher(self) -> keras.Model | Teacher:
        """The teacher, or the model of the logits before its softmax; or the cache given."""
        return self._teacher.source

    def train_step(self, data: Any) -> dict[str, Tensor]:
        images, labels = unpack_batch(data, self.classes)
        teacher_logits, tutor_maps = self._teacher.answers(data[0], self._tutors_used)
        adversarial = self.adversarial(images, labels, teacher_logits)
        gradients = self._teacher.input_gradients(images, labels) if self.gradient_weight else None
        batch = (images, labels, teacher_logits, tutor_maps, adversarial, gradients)

        def decayed_loss() -> tuple[Tensor, dict[str, Tensor]]:
            parts = self.loss_parts(*batch)
            decay = losses.l2_penalty(self.weight_variables, self.weight_decay)
            return parts["loss"] + decay, parts

        parts = descend(decayed_loss, self.weight_variables, self.optimizer, labels)
        self.share_statistics()
        return self.record(parts, labels)

    def adversarial(self, images: Tensor, labels: Tensor, teacher_logits: Tensor) -> Tensor | None:
        """Return the adversarial images that the loss is taken on besides, (batch, h, w, c);
        None without TRADES."""
        return self.trades.adversarial(self.student, images, self.noise) if self.trades else None

    def loss_parts(
        self,
        images: Tensor,
        labels: Tensor,
        teacher_logits: Tensor,
        tutor_maps: Tensor,
        adversarial: Tensor | None = None,
        teacher_gradients: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return eq. 3 and its parts by name, scalars.

        Args:
            images: (batch, height, width, channels).
            labels: (batch,).
            teacher_logits: (batch, classes).
            tutor_maps: unit maps of the teacher's layers that are tutors, in the teacher's order,
                (batch, tutors in use, p).
            adversarial: as images, where TRADES is used.
            teacher_gradients: as images, where the student's input gradients are aligned with them.
        """
        if teacher_gradients is None:
            logits, activations = self._student_pass(images)
        else:
            (logits, activations), gradients = with_input_gradients(
                self._student_pass, images, labels
            )
        parts = {
            "cross_entropy": tf.reduce_mean(losses.cross_entropy(labels, logits)),
            "kl": tf.reduce_mean(
                losses.distillation_kl(logits, teacher_logits, self.kl, self.softening)
            ),
            "attention": self._attention(activations, tutor_maps),
        }
        classification = parts["cross_entropy"]
        if adversarial is not None:
            adversarial_logits = self.student(adversarial, training=True)
            classification = parts["trades"] = tf.reduce_mean(
                losses.trades_loss(labels, logits, adversarial_logits, self.trades.beta)
            )
        loss = losses.training_loss(
            classification,
            parts["kl"],
            parts["attention"],
            gamma_t=self.gamma_t,
            classification_weight=self.classification_weight,
            kl_weight=self.kl_weight,
        )
        if teacher_gradients is not None:
            parts["gradient_alignment"] = alignment_loss(gradients, teacher_gradients)
            loss += self.gradient_weight * parts["gradient_alignment"]
        return {**parts, "loss": loss, "accuracy": accuracy(labels, logits)}

    def _student_pass(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        if self._student is None:
            return self.student(images, training=True), []
        logits, activations, _ = self._student(images, training=True)
        return logits, activations

    def _attention(self, student: list[Tensor], tutor_maps: Tensor) -> Tensor:
        if not student:
            return tf.zeros(())
        return tutored_attention_loss(
            unit_maps(student, self.map_size),
            # (batch, tutors in use, p) -> (batch, n_s, p)
            tf.gather(tutor_maps, self._tutor_of_layer, axis=1),
            n_t=len(self._teacher.layers),
        )

    def _teacher_index(self, layer: str) -> int:
        names = self._teacher.layers
        if layer not in names:
            raise UserError(
                f"tutor {layer!r} is not a tapped layer of teacher {self._teacher.name!r}; was the "
                "architecture searched under another teacher?" + nearest(layer, names)
            )
        return names.index(layer)
