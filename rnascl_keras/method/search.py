"""The search phase: weights and Gumbel variables in turn, under the teacher (section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.method import losses
from rnascl_keras.method.attention import attention_loss, unit_maps
from rnascl_keras.method.batch_split import check_fraction, weight_images
from rnascl_keras.method.batches import unpack_batch
from rnascl_keras.method.callback_lists import listed, with_callback
from rnascl_keras.method.callbacks import GumbelTemperatureDecay
from rnascl_keras.method.cost_term import CostTerm
from rnascl_keras.method.gumbel import GumbelChoice
from rnascl_keras.method.latency_table import LatencyTable
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.method.taps import tap
from rnascl_keras.method.teacher import Teacher, as_teacher
from rnascl_keras.method.training import TrainingModel, accuracy, descend
from rnascl_keras.method.tutor_choice import TutorChoice

Tensor = Any

TERMS = ("loss", "cross_entropy", "kl", "attention", "n_f")


class CrossLayerSearch(TrainingModel):
    """Searches a student's widths and, for each of its layers, a tutor, by eq. 2.

    In each batch the first 80 % of the images update the weights, the last 20 % the Gumbel
    variables of channels and tutors, with an optimizer each (A.1). The second step runs in training
    mode: moving statistics may move in it, weights do not.

    Args:
        teacher: a robust image classifier, functional or Sequential; it is never updated. Or a
            `TeacherCache`: `fit` then takes its `training_batches`.
        supernet: a `Supernet` for the same images and classes.
        gamma_s: weight of the attention loss.
        alpha, beta, combine: of the latency term n_f, see `cost.latency_term`.
        latency_table: with one, n_f is of the expected latency on the device it was measured on,
            not of the expected multiply-adds.
        kl, softening: of the distillation term, see `losses.distillation_kl`.
        taps: where the supernet's attention maps are taken, see `taps.tap`.
        teacher_taps: where the teacher's are; names of layers, `"conv"` (the default) or
            `"block"`.
        map_size: common (height, width) of attention maps; by default 8 x 8, 7 x 7 where the
            images' side is a multiple of 7, 4 x 4 for images of at most 8 pixels. This and
            `teacher_taps` are a cache's own where `teacher` is one.
        architecture_fraction: part of each batch that updates the Gumbel variables.
        weight_decay: coupled L2 on convolution and dense kernels.
        seed: of the tutors' noise.

    Example::

        search = CrossLayerSearch(teacher=teacher, supernet=Supernet("S3"))
        search.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
        search.fit(dataset, epochs=100)
        architecture = derive(search)
    """

    def __init__(
        self,
        teacher: keras.Model | Teacher,
        supernet: Supernet,
        *,
        gamma_s: float = 1.0,
        alpha: float = 0.2,
        beta: float = 0.6,
        combine: str = "multiply",
        latency_table: LatencyTable | None = None,
        kl: str = "student_teacher",
        softening: float = 1.0,
        taps: str | Sequence[str] = "conv",
        teacher_taps: str | Sequence[str] | None = None,
        map_size: tuple[int, int] | None = None,
        architecture_fraction: float = 0.2,
        weight_decay: float = 2e-4,
        seed: int | None = None,
        name: str = "cross_layer_search",
    ) -> None:
        cost_term = CostTerm(supernet, alpha, beta, combine, latency_table)
        super().__init__(supernet, (*TERMS, *cost_term.names, "accuracy"), name)
        losses.check_kl(kl)
        check_fraction(architecture_fraction)
        self._teacher = as_teacher(
            teacher, teacher_taps, map_size, supernet.input_shape[1:], supernet.classes
        )
        self.supernet = supernet
        self.gamma_s = gamma_s
        self.combine = combine
        self.cost_term = cost_term
        self.kl = kl
        self.softening = softening
        self.map_size = self._teacher.map_size
        self.architecture_fraction = architecture_fraction
        self.weight_decay = weight_decay
        self._student = tap(supernet, taps, also=[choice.name for choice in supernet.choices])
        sizes = len(self.student_layers), len(self.teacher_layers)
        noise = {"noise": supernet.noise, "seed": seed}
        self.tutor_choice = TutorChoice(*sizes, **noise, name="tutor_choice")

    smallest_batch = 2  # one image for the weights, one for the choices

    @property
    def teacher(self) -> keras.Model | Teacher:
        """The teacher, or the model of its logits; or the cache given."""
        return self._teacher.source

    @property
    def teacher_fingerprint(self) -> str:
        """Hash of the teacher's weights, the same whether it is asked live or was asked once."""
        return self._teacher.fingerprint

    @property
    def student_layers(self) -> list[str]:
        """Names of the n_s tapped student layers, the rows of the tutor choice."""
        return self._student.names

    @property
    def teacher_layers(self) -> list[str]:
        """Names of the n_t tapped teacher layers, the columns of the tutor choice."""
        return self._teacher.layers

    @property
    def gumbel_choices(self) -> list[GumbelChoice]:
        """The channel choice of every block, then the tutor choice."""
        return [*self.supernet.choices, self.tutor_choice]

    @property
    def architecture_variables(self) -> list[Any]:
        """The Gumbel variables."""
        return [choice.logits for choice in self.gumbel_choices]

    @property
    def weight_variables(self) -> list[Any]:
        """The supernet's trainable weights, without the Gumbel variables."""
        gumbel = {id(v) for v in self.architecture_variables}
        return [v for v in self.supernet.trainable_variables if id(v) not in gumbel]

    @property
    def gumbel_temperature(self) -> float:
        """The temperature of every Gumbel-softmax of this search."""
        return float(self.tutor_choice.gumbel_temperature.numpy())

    @gumbel_temperature.setter
    def gumbel_temperature(self, value: float) -> None:
        for choice in self.gumbel_choices:
            choice.gumbel_temperature.assign(value)

    def compile(
        self,
        optimizer: Any = "sgd",
        architecture_optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Set the optimizers; further arguments are those of `keras.Model.compile`.

        Args:
            optimizer: of the weights; the paper's is SGD(0.1, momentum=0.9).
            architecture_optimizer: of the Gumbel variables; by default Adam(0.01). Tutor
                gradients are of size 1e-6 at the start: SGD or a large Adam epsilon would not
                move them.

        Raises:
            UserError: losses or metrics are given, or an optimizer averages (`use_ema`).
        """
        if architecture_optimizer is None:
            architecture_optimizer = keras.optimizers.Adam(0.01, epsilon=1e-12)
        super().compile(optimizer=optimizer, **kwargs)
        found: Any = keras.optimizers.get(architecture_optimizer)
        if found is self.optimizer:
            raise UserError(
                "optimizer and architecture_optimizer are one object, but each keeps the state of "
                "its own variables; give two."
            )
        for given in (self.optimizer, found):
            if getattr(given, "inner_optimizer", given).use_ema:  # float16's is within another
                raise UserError(
                    "use_ema=True is set on an optimizer of a search, whose weights serve the "
                    "choices alone; leave it out, and set it where the student is trained."
                )
        self.architecture_optimizer: keras.optimizers.Optimizer = found
        scaled = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaled) and not isinstance(found, scaled):  # float16
            self.architecture_optimizer = scaled(found)
        self.architecture_optimizer.build(self.architecture_variables)

    def fit(self, *args: Any, callbacks: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Search; as `keras.Model.fit`, with the temperature's decay added where it is missing.

        It falls from 5.0 to 0.0555 over epochs 0 to `epochs` of this call, so a second call begins
        at 5.0 again, and warns, unless `initial_epoch` says how many are done. A search in several
        parts gives each the same `GumbelTemperatureDecay(epochs=...)`, which shows how.
        """
        if not any(isinstance(c, GumbelTemperatureDecay) for c in listed(callbacks)):
            callbacks = with_callback(callbacks, GumbelTemperatureDecay(), self, first=True)
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        images, labels = unpack_batch(data, self.classes)
        teacher_logits, teacher_maps = self._teacher.answers(data[0])
        batch = (images, labels, teacher_logits, teacher_maps)
        first = weight_images(images, self.architecture_fraction)

        def search_loss(part: slice) -> tuple[Tensor, dict[str, Tensor]]:
            parts = self.loss_parts(*(tensor[part] for tensor in batch))
            return parts["loss"], parts

        def decayed_loss() -> tuple[Tensor, dict[str, Tensor]]:
            loss, parts = search_loss(slice(None, first))
            return loss + self.penalties(self.weight_decay), parts

        parts = descend(decayed_loss, self.weight_variables, self.optimizer, labels[:first])
        descend(
            lambda: search_loss(slice(first, None)),
            self.architecture_variables,
            self.architecture_optimizer,
            labels[first:],
        )
        self.share_statistics()
        return self.record(parts, labels[:first])

    def loss_parts(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor, teacher_maps: Tensor
    ) -> dict[str, Tensor]:
        """Return eq. 2 under one sample of all choices, and its parts by name, scalars.

        Args:
            images: (batch, height, width, channels).
            labels: (batch,).
            teacher_logits: (batch, classes).
            teacher_maps: unit maps of the teacher, (batch, n_t, p).
        """
        logits, activations, widths = self._student(images, training=True)
        student_maps = unit_maps(activations, self.map_size)
        parts = {
            "cross_entropy": tf.reduce_mean(losses.cross_entropy(labels, logits)),
            "kl": tf.reduce_mean(
                losses.distillation_kl(logits, teacher_logits, self.kl, self.softening)
            ),
            "attention": attention_loss(
                student_maps, teacher_maps, self.tutor_choice(training=True)
            ),
        }
        parts["n_f"], costs = self.cost_term(widths)
        loss = losses.search_loss(**parts, gamma_s=self.gamma_s, combine=self.combine)
        return {**parts, **costs, "loss": loss, "accuracy": accuracy(labels, logits)}
