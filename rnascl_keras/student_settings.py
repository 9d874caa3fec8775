"""The student's sections of a recipe: its training, and its fine-tuning."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rnascl_keras.errors import UserError
from rnascl_keras.section import Count, NotNegative, Positive, Radius, Start, Training


class Distillation(Training):
    """What the search and the training phase share: the teacher's terms of eq. 2 and 3.

    Attributes:
        kl: which divergence: KL(student ‖ teacher), as printed, or the other way round.
        softening: temperature of both models' logits in it.
        map_size (height, width): that attention maps are resized to; none: by the image size.
    """

    kl: Literal["student_teacher", "teacher_student"] = "student_teacher"
    softening: Positive = 1.0
    map_size: tuple[Count, Count] | None = None


class Tutored(Distillation):
    """Training with the chosen tutors, by eq. 3; the weights are 1 there, but for gamma_t.

    `robust` puts the terms of a method of `robust_distillation`, on adversarial images of the
    student, in place of eq. 3's cross-entropy and KL, whose settings then have no effect; the
    attention stays, unless `gamma_t` is 0. `rslad_n_fgsm` takes one step of `epsilon`, and so
    does `n_fgsm`, which trains on the labels and asks no teacher. `adaad`, alone or with more, and
    `igdm` ask the teacher itself, also where there is a cache. The rows of a comparison, each a
    method of its own, do not go by it.

    Attributes:
        gamma_t: weight of the attention loss of the chosen tutors; 0: without it.
        classification_weight: of the cross-entropy with the labels.
        kl_weight: of the divergence between the models' answers.
        gradient_weight: of input-gradient alignment (Shao et al., 2021); 0: without it.
        robust: a method of robust distillation in place of eq. 3's terms on logits; none: eq. 3.
        adversarial_share (share, 0 to 1): of its loss, what is on adversarial images; none is the
            method's own. At 0 none are made, but for `igdm`. At 1 the others move no weight, but
            batch normalisation of `ard`, `adaad` and `igdm` sees them still.
        epsilon (pixels of [0, 1]): radius of the attack in training, and of `keep`'s.
        step_size (pixels of [0, 1]): of its steps.
        steps: of that attack.
        average (a step): decay of an average of the weights, which is the result; 0: the last
            step's are.
        keep: the last epoch, or the best one (of equals the last) under PGD on the validation
            images, at `epsilon`.
    """

    LATER: ClassVar[dict[str, Any]] = {
        **Training.LATER,
        "adversarial_share": None,
        "average": 0.0,
        "keep": "last",
    }

    gamma_t: NotNegative = 1.0
    classification_weight: Annotated[float, Field(ge=0)] = 1.0
    kl_weight: Annotated[float, Field(ge=0)] = 1.0
    gradient_weight: Annotated[float, Field(ge=0)] = 0.0
    robust: (
        Literal["ard", "rslad", "rslad_n_fgsm", "n_fgsm", "adaad", "adaad_entropy", "igdm"] | None
    ) = None
    adversarial_share: Annotated[float, Field(ge=0, le=1)] | None = None
    epsilon: Radius = 8 / 255
    step_size: Radius = 2 / 255
    steps: Count = 10
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    keep: Literal["last", "best"] = "last"

    @model_validator(mode="after")
    def _share_a_robust_loss(self) -> Tutored:
        if self.adversarial_share is not None and self.robust is None:
            raise UserError(
                f"adversarial_share={self.adversarial_share} is of the loss of a robust method, "
                "but robust is none; give one, e.g. robust=rslad, or adversarial_share=none."
            )
        return self

    def arguments(self) -> dict[str, Any]:
        """Return those of `CrossLayerDistiller`."""
        names = ("gamma_t", "classification_weight", "kl_weight", "gradient_weight", "kl")
        return {**self._only(*names, "softening"), **self.step_arguments()}

    def step_arguments(self) -> dict[str, Any]:
        """Return those among them that every `Distiller` takes, whatever its terms are."""
        robust_at = self.epsilon if self.keep == "best" else None
        return {"robust_at": robust_at, **self._only("map_size", "weight_decay", "average")}

    def robust_arguments(self) -> dict[str, Any]:
        """Return those of `robust_distillation.make_robust`."""
        names = ("adversarial_share", "epsilon", "step_size", "steps")
        return {"name": self.robust, **self._only(*names)}

    def made_from(self) -> dict[str, Any]:
        values = super().made_from()
        return {key: value for key, value in values.items() if key not in self._unused()}

    def _unused(self) -> set[str]:
        """Return the settings that have no effect as the others are."""
        return set() if self.robust else {"robust", "adversarial_share"}


class Train(Tutored):
    """Training the derived student from its tutors, by eq. 3 or robustly.

    Attributes:
        start: `scratch` (A.1), `supernet`, its weights sliced, or those of another student:
            one that comes with the package, or a file (.keras, also hf://OWNER/REPO/FILE).
    """

    start: Start = "scratch"

    def _unused(self) -> set[str]:
        unused = super()._unused()
        if self.robust:
            return unused
        unused |= {"step_size", "steps"}
        return unused if self.keep == "best" else unused | {"epsilon"}


class Finetune(Tutored):
    """Fine-tuning with TRADES in place of eq. 3's cross-entropy (section 4.1), or `robust`.

    Attributes:
        trades_beta: weight of TRADES' robust term.
    """

    epochs: Count = 20
    learning_rate: Positive = 0.01
    schedule: Literal["step", "cosine", "one_cycle"] = "cosine"
    trades_beta: Positive = 6.0
    epsilon: Radius = 0.031
    step_size: Radius = 0.007
    steps: Count = 10

    def trades_arguments(self) -> dict[str, Any]:
        """Return those of `trades.Trades`."""
        return {"beta": self.trades_beta, **self._only("epsilon", "step_size", "steps")}
