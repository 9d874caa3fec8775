"""The training phase: the derived student learns from its tutors (eq. 3, section 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.method.architecture import Tutor
from rnascl_keras.method.attention_terms import TutoredAttention
from rnascl_keras.method.distiller import Distiller
from rnascl_keras.method.gradient_alignment import GradientAlignment
from rnascl_keras.method.output_losses import KLDistillation
from rnascl_keras.method.robust_distillation import Robust
from rnascl_keras.method.teacher import Chooser, Teacher
from rnascl_keras.method.terms import CrossEntropy, OutputTerm, Term
from rnascl_keras.method.trades import Trades, TradesTerm

AttentionTerm = Callable[[Sequence[Tutor], float], Term]


class CrossLayerDistiller(Distiller):
    """Trains a student by eq. 3: cross-entropy, the teacher's logits, and its tutors' maps.

    Args:
        teacher, student: as of `Distiller`.
        tutors: `architecture.tutors`; none means distillation from the logits alone.
        gamma_t: weight of the attention loss; 0: without it.
        classification_weight, kl_weight: of the other two terms, which eq. 3 does not weigh.
        kl, softening: of the distillation term, see `losses.distillation_kl`.
        gradient_weight: of one further term, see `gradient_alignment.alignment_loss`; 0: without
            it. The teacher has to be a model, or a cache that holds its input gradients.
        trades: replaces the cross-entropy by TRADES' objective (section 4.1), in which
            `classification_weight` is that of its cross-entropy alone.
        robust: replaces the cross-entropy and the distillation term by others on adversarial
            images, with their attack: one of `robust_distillation.ROBUST`, say.
        attention: makes the attention term of tutors and gamma_t: `TutoredAttention` or
            `UniformAttention`.
        settings: `shown`, `teacher_taps` (as in the search), `map_size` (likewise),
            `weight_decay`, `average`, `robust_at`, `seed` and `name` of `Distiller`.

    Raises:
        UserError: both `trades` and `robust` are given.

    Example::

        distiller = CrossLayerDistiller(
            teacher=teacher, student=architecture.build(), tutors=architecture.tutors
        )
        distiller.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
        distiller.fit(dataset, epochs=100)
        save_model(distiller.student, "student.keras")
    """

    def __init__(
        self,
        teacher: keras.Model | Teacher | Chooser,
        student: keras.Model,
        tutors: Sequence[Tutor] = (),
        *,
        gamma_t: float = 1.0,
        classification_weight: float = 1.0,
        kl_weight: float = 1.0,
        kl: str = "student_teacher",
        softening: float = 1.0,
        gradient_weight: float = 0.0,
        trades: Trades | None = None,
        robust: Robust | None = None,
        attention: AttentionTerm = TutoredAttention,
        name: str = "cross_layer_distiller",
        **settings: Any,
    ) -> None:
        if trades and robust:
            raise UserError("trades and robust both replace the cross-entropy; give one of them.")
        on_logits = [
            *classification_terms(trades, classification_weight),
            OutputTerm(KLDistillation(kl, softening), kl_weight, "kl"),
        ]
        told, attack = robust or (on_logits, trades)
        terms = [
            *told,
            *([attention(tutors, gamma_t)] if gamma_t else []),
            *([GradientAlignment(gradient_weight)] if gradient_weight else []),
        ]
        super().__init__(teacher, student, terms, attack, name=name, **settings)
        self.tutors = tuple(tutors)
        self.gamma_t = gamma_t
        self.classification_weight = classification_weight
        self.kl_weight = kl_weight
        self.kl = kl
        self.softening = softening
        self.gradient_weight = gradient_weight
        self.trades = trades
        self.robust = robust


def classification_terms(trades: Trades | None, weight: float) -> list[Term]:
    """Return eq. 3's first term; with TRADES in its place the cross-entropy is only reported."""
    if trades is None:
        return [CrossEntropy(weight)]
    return [CrossEntropy(None), TradesTerm(trades.beta, classification_weight=weight)]
