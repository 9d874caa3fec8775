"""The ways to train the same student that are compared, each a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import keras
import numpy as np

from rnascl_keras.comparison.tutors import matched_tutors, random_tutors
from rnascl_keras.errors import check_name
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.attention_terms import UniformAttention
from rnascl_keras.method.distill import CrossLayerDistiller
from rnascl_keras.method.distiller import Distiller
from rnascl_keras.method.inner_attacks import GaussianNoise
from rnascl_keras.method.robust_distillation import ROBUST, Robust, adaad, ard, rslad
from rnascl_keras.method.teacher import Chooser, Teacher
from rnascl_keras.method.trades import Trades
from rnascl_keras.recipe import Recipe
from rnascl_keras.settings import Finetune, Tutored

Searched = tuple[Architecture, Sequence[str]]
"""What the search has found, and the names of the teacher's layers."""


EQ_3 = {"classification_weight": 1.0, "kl_weight": 1.0, "gradient_weight": 0.0}
"""Its weights but for gamma_t, which is the recipe's, as the divergence and its softening are."""
KL_ALONE = {**EQ_3, "kl": "student_teacher", "softening": 1.0}
"""Of the methods whose names say which divergence it is, and how it is softened."""


@dataclass(frozen=True)
class Method:
    """One way to train a student.

    Attributes:
        name: in a table.
        adversarial: whether it takes adversarial images: then it goes on from the student of
            `searched` with the recipe's `finetune`, otherwise it begins as `train` does.
        architecture: (searched, seed) -> the student's widths and tutors.
        arguments: settings -> what `CrossLayerDistiller` takes besides what the recipe says.
        stated: what the name says besides, whatever the recipe says, of eq. 3's terms.
        composed: settings -> the terms and the attack in place of eq. 3's; None: eq. 3.
    """

    name: str
    adversarial: bool = False
    architecture: Callable[[Searched, int], Architecture] = lambda searched, seed: searched[0]
    arguments: Callable[[Tutored], dict[str, Any]] = lambda settings: {}
    stated: Mapping[str, Any] = field(default_factory=lambda: EQ_3)
    composed: Callable[[Tutored], Robust] | None = None

    @property
    def tutored(self) -> bool:
        """Whether it learns from tutors, so is another method where `gamma_t` is 0."""
        return self.architecture is not _without_tutors

    def restored(self, settings: Tutored) -> dict[str, Any]:
        """Return what is `stated` and the recipe says otherwise; what is `arguments` apart."""
        if self.composed:
            return {}
        own = self.arguments(settings)
        stated = {key: value for key, value in self.stated.items() if key not in own}
        return {key: value for key, value in stated.items() if getattr(settings, key) != value}

    def distiller(
        self,
        teacher: keras.Model | Teacher | Chooser,
        student: keras.Model,
        architecture: Architecture,
        recipe: Recipe,
        settings: Tutored,
        seed: int,
    ) -> Distiller:
        """Return what trains `student` by this method with a section of `recipe`."""
        if self.composed:
            terms, attack = self.composed(settings)
            arguments = {"teacher_taps": recipe.search.taps, **settings.step_arguments()}
            return Distiller(teacher, student, terms, attack, seed=seed, **arguments)
        arguments = settings.arguments() | self.restored(settings) | self.arguments(settings)
        arguments["teacher_taps"] = recipe.search.taps
        return CrossLayerDistiller(teacher, student, architecture.tutors, seed=seed, **arguments)


_kl_alone = partial(Method, stated=KL_ALONE)


def _without_tutors(searched: Searched, seed: int) -> Architecture:
    return replace(searched[0], tutors=())


def _matched(searched: Searched, seed: int) -> Architecture:
    found, teacher_layers = searched
    return replace(found, tutors=matched_tutors(_student_layers(found), teacher_layers))


def _random(searched: Searched, seed: int) -> Architecture:
    found, teacher_layers = searched
    return replace(found, tutors=random_tutors(_student_layers(found), teacher_layers, seed))


def _random_widths(searched: Searched, seed: int) -> Architecture:
    generator, found = np.random.default_rng(seed), searched[0]
    widths = [
        [int(generator.choice(stage.widths)) for _ in range(stage.depth)]
        for stage in found.space.stages
    ]
    return replace(found, widths=widths)


def _largest_widths(searched: Searched, seed: int) -> Architecture:
    return replace(searched[0], widths=searched[0].space.widths_everywhere(max))


def _student_layers(found: Architecture) -> list[str]:
    return [tutor.student_layer for tutor in found.tutors]


def _finetune(settings: Tutored) -> Finetune:
    """Return the settings as the section that `Method.adversarial` asks for."""
    if not isinstance(settings, Finetune):
        raise TypeError(f"an adversarial method takes Finetune; got {type(settings).__name__}")
    return settings


def _trades(settings: Tutored) -> dict[str, Any]:
    return {"trades": Trades(**_finetune(settings).trades_arguments())}


def _aligned(settings: Tutored) -> dict[str, Any]:
    return {"gradient_weight": settings.gradient_weight or GRADIENT_WEIGHT}


def _without_labels(settings: Tutored) -> dict[str, Any]:
    return {"classification_weight": 0.0}


def _reversed(settings: Tutored) -> dict[str, Any]:
    return {"kl": "teacher_student", **_without_labels(settings)}


def _inner(settings: Tutored) -> dict[str, Any]:
    own, names = _finetune(settings), ("epsilon", "step_size", "steps")
    return {name: getattr(own, name) for name in names}


def _robust(name: str, make: Callable[..., Robust]) -> Method:
    """Return the method of this name that goes by one of `ROBUST`, or of its kind."""
    return Method(name, True, architecture=_without_tutors, composed=lambda s: make(**_inner(s)))


def _softened(settings: Tutored) -> dict[str, Any]:
    return {**_reversed(settings), "softening": SOFTENING}


def _noisy(settings: Tutored) -> dict[str, Any]:
    return {**_reversed(settings), "shown": GaussianNoise(NOISE)}


def _attentive(settings: Tutored) -> dict[str, Any]:
    return {**_reversed(settings), "gamma_t": 10 * settings.gamma_t}


def _combined(settings: Tutored) -> dict[str, Any]:
    return _softened(settings) | _noisy(settings) | _attentive(settings)


GRADIENT_WEIGHT = 1.0
"""Of input-gradient alignment, where the recipe has none; at 10 a student of the digits learns to
be flat instead of right."""

SOFTENING = 4.0
NOISE = 0.1
"""Its standard deviation, pixels being from 0 to 1."""

# "ard" and "rslad" sum over the classes, the "published" ones average, see `robust_distillation`.
METHODS = {
    "cross_entropy": Method(
        "Cross-entropy", architecture=_without_tutors, arguments=lambda s: {"kl_weight": 0.0}
    ),
    "last_layer": Method("Last-layer distillation", architecture=_without_tutors),
    "gradient_alignment": Method("KDIGA", architecture=_without_tutors, arguments=_aligned),
    "kl": _kl_alone(
        "KL(student ‖ teacher) alone", architecture=_without_tutors, arguments=_without_labels
    ),
    "reversed_kl": _kl_alone(
        "KL(teacher ‖ student) alone", architecture=_without_tutors, arguments=_reversed
    ),
    "softened": _kl_alone(
        "KL(teacher ‖ student), softened by 4", architecture=_without_tutors, arguments=_softened
    ),
    "noisy": _kl_alone(
        "KL(teacher ‖ student), noisy images", architecture=_without_tutors, arguments=_noisy
    ),
    "reversed_kl_aligned": _kl_alone(
        "KL(teacher ‖ student), KDIGA",
        architecture=_without_tutors,
        arguments=lambda s: {**_reversed(s), **_aligned(s)},
    ),
    "strong_attention": _kl_alone("KL(teacher ‖ student), attention × 10", arguments=_attentive),
    "combined": _kl_alone("KL softened, noisy, attention × 10", arguments=_combined),
    "matched": Method("Tutors matched by depth", architecture=_matched),
    "uniform": Method("Uniform tutors", arguments=lambda s: {"attention": UniformAttention}),
    "random": Method("Random tutors", architecture=_random),
    "searched": Method("RNAS-CL, searched tutors"),
    "random_widths": Method("RNAS-CL, random widths", architecture=_random_widths),
    "largest_widths": Method("RNAS-CL, largest widths", architecture=_largest_widths),
    "searched_trades": Method("RNAS-CL + TRADES", True, arguments=_trades),
    "trades": Method(
        "TRADES alone",
        True,
        architecture=_without_tutors,
        arguments=lambda s: {"kl_weight": 0.0, **_trades(s)},
    ),
    "ard": _robust("ARD", ard),
    "rslad": _robust("RSLAD", rslad),
    "ard_published": _robust("ARD, published scale", partial(ard, scale="published")),
    "rslad_published": _robust("RSLAD, published scale", partial(rslad, scale="published")),
    "rslad_n_fgsm": _robust("RSLAD, N-FGSM", ROBUST["rslad_n_fgsm"]),
    "n_fgsm": _robust("N-FGSM, without a teacher", ROBUST["n_fgsm"]),
    "adaad": _robust("AdaAD", adaad),
    "adaad_entropy": _robust("AdaAD, weighted by entropy", ROBUST["adaad_entropy"]),
    "igdm": _robust("AdaAD + IGDM", ROBUST["igdm"]),
    "adaad_published": _robust("AdaAD, published scale", partial(adaad, scale="published")),
}
START = "searched"
"""The method from whose student the adversarial ones go on."""


def find_methods(names: Sequence[str]) -> dict[str, Method]:
    """Return the methods of these names in the order of `METHODS`, with what they start from.

    Raises:
        UserError: there is none of a name.
    """
    for name in names:
        check_name("method", name, METHODS)
    wanted = set(names)
    if any(METHODS[name].adversarial for name in names):
        wanted.add(START)
    return {name: method for name, method in METHODS.items() if name in wanted}
