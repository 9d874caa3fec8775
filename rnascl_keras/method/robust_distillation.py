"""Distillation on adversarial images of the student: each method as its terms and its attack.

Distiller(teacher, student, *ard(epsilon=8 / 255, step_size=2 / 255, steps=10))

Their papers write the KL divergence, a sum over the classes. The scripts that they published take
the mean over the classes, so with ten classes a tenth of that: with an equal learning rate, an
equal weight decay and, in ARD, an equal cross-entropy, that is another training. `scale` says which
is meant: "sum", as in the papers' equations, or "published", as in their scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from rnascl_keras.errors import look_up
from rnascl_keras.method.adversarial_terms import (
    AdaptiveKL,
    IndirectGradients,
    entropy_weights,
)
from rnascl_keras.method.inner_attacks import (
    InnerAttack,
    StepPGD,
    n_fgsm,
    normal_start,
    on_both,
    on_labels,
    on_teacher,
    uniform_start,
)
from rnascl_keras.method.need import Need
from rnascl_keras.method.output_losses import KLDistillation
from rnascl_keras.method.terms import CrossEntropy, OutputTerm, Term

Robust = tuple[Sequence[Term], InnerAttack]

SCALES = {"sum": "sum", "published": "mean"}
"""How KL divergences go over the classes at each scale."""


def ard(
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    adversarial_share: float = 1.0,
    softening: float = 30.0,
    scale: str = "sum",
) -> Robust:
    """Adversarially robust distillation (Goldblum et al., 2020, eq. 3 and algorithm 1).

    alpha t^2 KL(teacher(x) || student(x')) + (1 - alpha) CE(student(x)), both logits divided by
    the softening t in the first; x' raises the cross-entropy from a uniform point of the ball.
    Their script's settings for CIFAR-10 are alpha 1 and t 30.

    Args:
        epsilon, step_size, steps: of the ascent, in pixel units of [0, 1].
        adversarial_share, softening: their alpha and t.
        scale: of the KL term, "sum" or "published", see above.

    Raises:
        UserError: unknown `scale`.
    """
    divergence = _divergence(scale, softening)
    clean = CrossEntropy(1 - adversarial_share)
    robust = OutputTerm(divergence, adversarial_share, "kl", adversarial=True)
    terms = [robust, clean] if adversarial_share else [clean]
    return terms, StepPGD(on_labels, uniform_start(epsilon), epsilon, step_size, steps)


def rslad(
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    adversarial_share: float = 5 / 6,
    scale: str = "sum",
) -> Robust:
    """Robust soft label adversarial distillation (Zi et al., 2021, eq. 5 to 7).

    (1 - lambda) KL(teacher(x) || student(x)) + lambda KL(teacher(x) || student(x')), without any
    label; x' raises the second from beside the image. As their script has it, lambda is 5/6.

    Args:
        epsilon, step_size, steps: of the ascent, in pixel units of [0, 1].
        adversarial_share: their lambda.
        scale: of both terms, "sum" or "published", see above.

    Raises:
        UserError: unknown `scale`.
    """
    attack = StepPGD(on_teacher, normal_start(0.001), epsilon, step_size, steps)
    return _soft_labels(adversarial_share, scale), attack


def rslad_n_fgsm(*, epsilon: float, adversarial_share: float = 5 / 6, scale: str = "sum") -> Robust:
    """RSLAD's terms on images that one step of N-FGSM makes, at a fraction of the cost.

    The step raises KL(teacher(x) || student(x')), so the teacher may be a cache.

    Args:
        epsilon: of `inner_attacks.n_fgsm`, in pixel units of [0, 1].
        adversarial_share, scale: as of `rslad`; at a share of 1 the student never sees the images
            themselves, which spares a third of the work, and at 0 it never sees others.

    Raises:
        UserError: unknown `scale`.
    """
    return _soft_labels(adversarial_share, scale), n_fgsm(on_teacher, epsilon)


def adversarial_training(*, epsilon: float, adversarial_share: float = 1.0) -> Robust:
    """Adversarial training on labels, without the teacher's answers: what distillation has to beat.

    (1 - share) CE(student(x)) + share CE(student(x')), where one step of N-FGSM (de Jorge et al.,
    2022) makes x'.

    Args:
        epsilon: of `inner_attacks.n_fgsm`, in pixel units of [0, 1].
        adversarial_share: of the second.
    """
    clean = CrossEntropy(1 - adversarial_share)
    robust = CrossEntropy(adversarial_share, "robust_cross_entropy", adversarial=True)
    return _weighed(clean, robust), n_fgsm(on_labels, epsilon)


def adaad(
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    adversarial_share: float = 1.0,
    entropy_weighted: bool = False,
    scale: str = "sum",
) -> Robust:
    """Adaptive adversarial distillation (Huang et al., 2023).

    alpha KL(teacher(x') || student(x')) + (1 - alpha) KL(teacher(x) || student(x)); x' raises the
    first from beside the image. The teacher is asked about every x', so it cannot be a cache. Their
    script's alpha is 1; it averages over the classes of CIFAR-10 and sums over those of CIFAR-100.

    Args:
        epsilon, step_size, steps: of the ascent, in pixel units of [0, 1].
        adversarial_share: their alpha.
        entropy_weighted: whether an image counts in the first by the teacher's entropy on x', see
            `adversarial_terms.entropy_weights`.
        scale: of both terms, "sum" or "published", see above.

    Raises:
        UserError: unknown `scale`.
    """
    divergence = _divergence(scale)
    weighing = entropy_weights if entropy_weighted else None
    clean = OutputTerm(divergence, 1 - adversarial_share, "kl")
    robust = AdaptiveKL(divergence, adversarial_share, weighing=weighing)
    terms = [clean, robust] if adversarial_share else [clean]
    live = (Need.LIVE_TEACHER,)
    return terms, StepPGD(on_both, normal_start(0.001), epsilon, step_size, steps, needs=live)


def igdm(
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    adversarial_share: float = 1.0,
    alpha: float = 1.0,
) -> Robust:
    """AdaAD with indirect gradient distillation (Lee et al., 2024).

    KL(teacher(x') || student(x')) + alpha times what `adversarial_terms.IndirectGradients` is.

    Args:
        epsilon, step_size, steps: of AdaAD's ascent, in pixel units of [0, 1]; theirs are 8/255,
            2/255 and 10. (A later script of the authors' passes the first two in reverse.)
        adversarial_share: of AdaAD.
        alpha: weight of the second in the last epoch, 1 for CIFAR-10 there.
    """
    ascent = {"epsilon": epsilon, "step_size": step_size, "steps": steps}
    terms, attack = adaad(adversarial_share=adversarial_share, **ascent)
    return [*terms, IndirectGradients(_divergence("sum"), alpha)], attack


def _in_one_step(method: Callable[..., Robust]) -> Callable[..., Robust]:
    """Let a method of a single step take the others' settings, and leave those of their steps."""
    return lambda epsilon, step_size, steps, **more: method(epsilon=epsilon, **more)


ROBUST: dict[str, Callable[..., Robust]] = {
    "ard": ard,
    "rslad": rslad,
    "rslad_n_fgsm": _in_one_step(rslad_n_fgsm),
    "n_fgsm": _in_one_step(adversarial_training),
    "adaad": adaad,
    "adaad_entropy": partial(adaad, entropy_weighted=True),
    "igdm": igdm,
}
"""The methods by name: of `epsilon`, `step_size` and `steps`, otherwise as in their papers."""


def make_robust(
    name: str | None,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    adversarial_share: float | None = None,
) -> Robust | None:
    """Return one of `ROBUST`, or None where no name is given; a share of None is the method's own.

    Raises:
        UserError: there is none of this name.
    """
    if name is None:
        return None
    made = look_up("robust", name, ROBUST)
    share = {} if adversarial_share is None else {"adversarial_share": adversarial_share}
    return made(epsilon=epsilon, step_size=step_size, steps=steps, **share)


def _soft_labels(adversarial_share: float, scale: str) -> list[Term]:
    divergence = _divergence(scale)
    clean = OutputTerm(divergence, 1 - adversarial_share, "kl")
    robust = OutputTerm(divergence, adversarial_share, "robust_kl", adversarial=True)
    return _weighed(clean, robust)


def _weighed(*terms: Term) -> list[Term]:
    """Return those that have a weight, so that the student never sees the others' images."""
    return [term for term in terms if term.weight]


def _divergence(scale: str, softening: float = 1.0) -> KLDistillation:
    over_classes = look_up("scale", scale, SCALES)
    return KLDistillation("teacher_student", softening, over_classes)
