"""The sections of a recipe: typed settings, checked before anything starts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rnascl_keras.section import Count, Positive, Radius, Settings
from rnascl_keras.teacher_settings import Teacher, Training

__all__ = [
    "Cache",
    "Data",
    "Derive",
    "Distillation",
    "Distribution",
    "Evaluation",
    "Export",
    "Finetune",
    "Search",
    "Teacher",
    "Train",
    "Training",
    "Tutored",
]


class Data(Settings):
    """Which images, and how they are varied; `source` is `digits`, a tensorflow-datasets name, a
    folder per class, or an `.npz`."""

    source: str = "cifar10"
    image_size: int | None = None
    augmentation: str = "none"
    validation: Annotated[int, Field(ge=0)] = 0
    class_list: str | None = None
    limit_train: int | None = None

    def arguments(self) -> dict[str, Any]:
        """Return those of `data.load_data`."""
        return self._only("source", "image_size", "validation", "class_list", "limit_train")


class Distillation(Training):
    """What the search and the training phase share: the teacher's terms of eq. 2 and 3."""

    kl: Literal["student_teacher", "teacher_student"] = "student_teacher"
    softening: Positive = 1.0
    map_size: tuple[int, int] | None = None


class Cache(Settings):
    """The teacher asked once: `views` seeded variants of every image, kept with its answers.

    Search, training and fine-tuning then go through the same views, epoch e through e mod `views`,
    and never run the teacher. No more are made than the longest of them has epochs. 0 asks the
    teacher live in every step, about images varied anew in every epoch.

    With `gradients` its input gradients are kept too, two bytes a pixel and channel: a
    `gradient_weight` above 0 then does not run the teacher forward and backward in every step.
    """

    views: Annotated[int, Field(ge=0)] = 0
    gradients: bool = False

    def made_from(self) -> dict[str, Any]:
        values = super().made_from()
        return values if self.gradients else {"views": values["views"]}


class Search(Distillation):
    """Eq. 2, its split batches, and the Gumbel variables' Adam.

    The Gumbel temperature starts at `gumbel_temperature` and is multiplied by exp(-`gumbel_decay`)
    after each of 100 epochs; fewer or more epochs end at the same temperature.

    n_f is of the expected multiply-adds, or with `cost="latency"` of the expected latency in
    onnxruntime, batch 1: of blocks that are measured on this machine, with one thread or
    onnxruntime's own choice, or were on another, in the file `latency_table`.
    """

    gamma_s: float = 1.0
    alpha: float = 0.2
    beta: float = 0.6
    combine: Literal["multiply", "add"] = "multiply"
    cost: Literal["macs", "latency"] = "macs"
    latency_threads: Literal["one_thread", "all_threads"] = "one_thread"
    latency_table: str | None = None
    taps: Literal["conv", "block"] = "conv"
    noise: Literal["gumbel", "normal"] = "gumbel"
    gumbel_temperature: Positive = 5.0
    gumbel_decay: Annotated[float, Field(ge=0)] = 0.045
    architecture_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    architecture_learning_rate: Positive = 0.01

    def arguments(self) -> dict[str, Any]:
        """Return those of `CrossLayerSearch`; the teacher is tapped as the student is."""
        names = ("gamma_s", "alpha", "beta", "combine", "kl", "softening", "taps", "map_size")
        names += ("architecture_fraction", "weight_decay")
        return {"teacher_taps": self.taps, **self._only(*names)}

    def temperature_arguments(self) -> dict[str, Any]:
        """Return those of `gumbel.decayed_temperature`."""
        return {"start": self.gumbel_temperature, "rate": self.gumbel_decay}


class Derive(Settings):
    """`max_macs`: budget of multiply-adds; the most probable architecture within it is selected."""

    max_macs: Positive | None = None

    def arguments(self) -> dict[str, Any]:
        """Return those of `derive.select`."""
        return self._only("max_macs")


class Tutored(Distillation):
    """Training with the chosen tutors, by eq. 3; the weights are 1 there, but for gamma_t.
    `gradient_weight` adds input-gradient alignment (Shao et al., 2021).

    `robust` puts the terms of a method of `robust_distillation`, on adversarial images of the
    student, in place of eq. 3's cross-entropy and KL, whose settings then have no effect; the
    attention stays, unless `gamma_t` is 0. `adversarial_share` is the part of the loss that is on
    these images; None: as the method has it, and at 1 the student never sees another image. Its
    attack takes `steps` of `step_size` within `epsilon`; `rslad_n_fgsm` one of `epsilon`. `adaad`,
    alone or with more, and `igdm` ask the teacher itself, also where there is a cache. The rows of
    a comparison, each a method of its own, do not go by these two.

    `average` is the decay a step of a moving average of the weights, which is then the result; 0:
    the last step's are. `keep="best"` keeps the epoch of the best PGD accuracy on the validation
    images, at `epsilon`.
    """

    gamma_t: float = 1.0
    classification_weight: Annotated[float, Field(ge=0)] = 1.0
    kl_weight: Annotated[float, Field(ge=0)] = 1.0
    gradient_weight: Annotated[float, Field(ge=0)] = 0.0
    robust: Literal["ard", "rslad", "rslad_n_fgsm", "adaad", "adaad_entropy", "igdm"] | None = None
    adversarial_share: Annotated[float, Field(ge=0, le=1)] | None = None
    epsilon: Radius = 8 / 255
    step_size: Positive = 2 / 255
    steps: Count = 10
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    keep: Literal["last", "best"] = "last"

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
        without_robust = set() if self.robust else {"robust", "adversarial_share"}
        off = {"average": 0.0, "keep": "last", "adversarial_share": None}
        return without_robust | {key for key, value in off.items() if getattr(self, key) == value}


class Train(Tutored):
    """`start` is `scratch` (A.1) or `supernet`, its weights sliced."""

    start: Literal["scratch", "supernet"] = "scratch"

    def _unused(self) -> set[str]:
        unused = super()._unused()
        if self.robust:
            return unused
        unused |= {"step_size", "steps"}
        return unused if self.keep == "best" else unused | {"epsilon"}


class Finetune(Tutored):
    """TRADES in place of eq. 3's cross-entropy (section 4.1), or `robust`."""

    epochs: Count = 20
    learning_rate: Positive = 0.01
    schedule: Literal["step", "cosine", "one_cycle"] = "cosine"
    trades_beta: Positive = 6.0
    epsilon: Radius = 0.031
    step_size: Positive = 0.007
    steps: Count = 10

    def trades_arguments(self) -> dict[str, Any]:
        """Return those of `trades.Trades`."""
        return {"beta": self.trades_beta, **self._only("epsilon", "step_size", "steps")}


class Export(Settings):
    """The int8 files: `calibration` training images, drawn by the run's seed and not augmented, set
    the ranges of the activations. A file is kept if at least `agreement` of the images it is
    checked on, from 0 to 1, get the class that the float file gives them. With `litert` there are
    LiteRT files too, whose int8 form takes and gives signed bytes with `integer_ends`."""

    calibration: Count = 512
    agreement: Annotated[float, Field(ge=0, le=1)] = 0.95
    litert: bool = True
    integer_ends: bool = False

    def arguments(self) -> dict[str, Any]:
        """Return those of `export.quantise`."""
        return {"least_agreement": self.agreement}


class Evaluation(Settings):
    """Attacks on the first `n` images of the test split; on the first `check` of these, signs of
    false robustness are looked for."""

    n: Count = 1000
    epsilon: Radius = 8 / 255
    attacks: tuple[str, ...] = ("fgsm", "pgd", "mi_fgsm")
    check: Annotated[int, Field(ge=0)] = 200

    def arguments(self) -> dict[str, Any]:
        """Return those of `rnascl_keras.evaluate`."""
        return self._only("attacks", "epsilon", "check")

    @model_validator(mode="after")
    def _know_the_attacks(self) -> Evaluation:
        # Imported here: `--help` does without NumPy.
        from rnascl_keras.attacks import make_attack

        for name in self.attacks:
            make_attack(name, self.epsilon)
        return self


class Distribution(Settings):
    """On what a run works, and how often it saves; no part of what a stage was made from.

    So a run that was begun on one device goes on with several, and what is done stays done.
    `strategy` is a name that `strategies.make_strategy` knows; `batch_size` is always that over
    all replicas. Batch normalisation sees each replica's own images, or all where it is
    synchronised. With `save_every_steps` the training state is saved inside an epoch too.
    """

    strategy: Literal["auto", "one", "mirrored", "multi_worker", "tpu"] = "auto"
    synchronized_batch_norm: bool = False
    save_every_steps: Count | None = None
