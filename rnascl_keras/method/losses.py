"""Eq. 2, the terms of eq. 3, and TRADES as functions of tensors.

Logits enter everywhere, probabilities nowhere: a logarithm of a softmax is computed as one
operation, in float32 also where the layers compute in half precision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras import ops
from keras.config import floatx

from rnascl_keras.attacks import losses as attack_losses
from rnascl_keras.errors import check_name

Tensor = Any

KL_DIRECTIONS = ("student_teacher", "teacher_student")


def log_probabilities(logits: Tensor, softening: float = 1.0) -> Tensor:
    """Return log softmax(logits / softening) in float32, shape (batch, classes)."""
    values: Tensor = ops.cast(logits, floatx())
    return ops.log_softmax(values / softening, axis=-1)


def cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return -y log p for each image, the first term of eq. 2.

    Args:
        labels: class indices, shape (batch,).
        logits: shape (batch, classes).

    Returns:
        float32, shape (batch,).
    """
    chosen = ops.one_hot(labels, logits.shape[-1], dtype=floatx())
    log_p: Tensor = ops.sum(chosen * log_probabilities(logits), axis=-1)
    return -log_p


def log_odds(labels: Tensor, logits: Tensor) -> Tensor:
    """Return log(1 - p) - log p of each image's own class: what to raise instead of -log p.

    Its gradient is that of `cross_entropy` over 1 - p: the same signs, but it does not vanish where
    the model is sure.

    Args:
        labels: class indices, shape (batch,).
        logits: shape (batch, classes).

    Returns:
        float32, shape (batch,).
    """
    values, _ = attack_losses.log_odds(ops, ops.cast(logits, floatx()), labels, labels)
    return values


def kl_divergence(p_logits: Tensor, q_logits: Tensor, softening: float = 1.0) -> Tensor:
    """Return KL(p, q) = sum p log(p / q) for each image, as printed below eq. 2.

    Args:
        p_logits: logits of p, shape (batch, classes).
        q_logits: logits of q, the same shape.
        softening: both logits are divided by it, and the result multiplied by its square, which
            keeps the gradient's size (Hinton et al., 2015).

    Returns:
        float32, shape (batch,).
    """
    log_p = log_probabilities(p_logits, softening)
    log_q = log_probabilities(q_logits, softening)
    divergence: Tensor = ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)
    return softening**2 * divergence


def distillation_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    direction: str = "student_teacher",
    softening: float = 1.0,
) -> Tensor:
    """Return the KL term of eq. 2 and 3 for each image, shape (batch,).

    Args:
        student_logits: shape (batch, classes).
        teacher_logits: the same shape.
        direction: `"student_teacher"` is KL(student || teacher), as the paper prints it;
            `"teacher_student"` is the direction usual in distillation.
        softening: see `kl_divergence`.
    """
    check_kl(direction)
    if direction == "student_teacher":
        return kl_divergence(student_logits, teacher_logits, softening)
    return kl_divergence(teacher_logits, student_logits, softening)


def check_kl(direction: str) -> None:
    """Raise UserError unless `direction` is one of `KL_DIRECTIONS`."""
    check_name("kl", direction, KL_DIRECTIONS)


def search_loss(
    cross_entropy: Tensor,
    kl: Tensor,
    attention: Tensor,
    *,
    gamma_s: float,
    n_f: Tensor,
    combine: str = "multiply",
) -> Tensor:
    """Return eq. 2 for one batch, a scalar.

    Args:
        cross_entropy: mean over the batch.
        kl: mean over the batch.
        attention: eq. 1, mean over the batch.
        gamma_s: weight of the attention loss.
        n_f: the latency term, see `cost.latency_term`.
        combine: `"multiply"` as in eq. 2, or `"add"`.
    """
    total = cross_entropy + kl + gamma_s * attention
    return total * n_f if combine == "multiply" else total + n_f


def trades_loss(
    labels: Tensor,
    clean_logits: Tensor,
    adversarial_logits: Tensor,
    beta: float = 6.0,
    classification_weight: float = 1.0,
) -> Tensor:
    """Return CE(clean) + beta KL(clean || adversarial) for each image, shape (batch,).

    Zhang et al. (2019), eq. 5 and their published script; there the cross-entropy weighs 1.
    """
    robust = kl_divergence(clean_logits, adversarial_logits)
    return classification_weight * cross_entropy(labels, clean_logits) + beta * robust


def l2_penalty(variables: Iterable[Any], rate: float) -> Tensor:
    """Return rate / 2 times the sum of squares of all convolution and dense kernels.

    Its gradient is rate * w, added to the loss's gradient *before* momentum: the coupled weight
    decay of the usual SGD (A.1). Keras' `weight_decay=` of an optimizer is decoupled and, with
    momentum 0.9, about ten times weaker.
    """
    kernels = [v for v in variables if v.name.endswith("kernel")]
    squares: list[Tensor] = [ops.sum(ops.square(ops.cast(v, floatx()))) for v in kernels]
    return 0.5 * rate * sum(squares, start=ops.zeros((), floatx()))
