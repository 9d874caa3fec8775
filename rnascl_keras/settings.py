"""The sections of a recipe: typed settings, checked before anything starts."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rnascl_keras.errors import UserError
from rnascl_keras.section import Count, Name, NotNegative, Positive, Radius, Settings, Training
from rnascl_keras.student_settings import Distillation, Finetune, Train, Tutored
from rnascl_keras.teacher_settings import Teacher

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
    """Which images, and how they are varied.

    Attributes:
        source: `digits`, a tensorflow-datasets name, a folder of train/<class>, or an `.npz`.
        image_size (pixels): height and width; a folder's images are scaled to it.
        augmentation: how training images are varied: none, shift, crop_flip, crop_flip_cutout,
            resized_crop_flip (windows of 8 % and more) or large_crop_flip (of 25 % and more).
        validation (images): held back from the end of the training split.
        class_list: a text file of class folders to use, one a line; the others are left out.
        limit_train (images): at most so many are trained on.
        held_out (share, 0 to 1): of each class, tested on; for a folder of classes without splits.
    """

    LATER: ClassVar[dict[str, Any]] = {"held_out": None}

    source: str = "cifar10"
    image_size: int | None = None
    augmentation: Name = "none"
    validation: Annotated[int, Field(ge=0)] = 0
    class_list: str | None = None
    limit_train: int | None = None
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return those of `data.load_data`."""
        names = ("source", "image_size", "validation", "class_list", "limit_train", "held_out")
        return self._only(*names)


class Cache(Settings):
    """The teacher asked once: seeded variants of every image, kept with its answers.

    Search, training and fine-tuning then go through the same views, epoch e through e mod `views`,
    and never run the teacher. No more are made than the longest of them has epochs.

    Attributes:
        views (an image): variants kept; 0: the teacher is asked live, of images varied anew.
        gradients: whether its input gradients are kept too, two bytes a pixel and channel: a
            `gradient_weight` above 0 then does not run it in every step.
    """

    LATER: ClassVar[dict[str, Any]] = {"gradients": False}

    views: Annotated[int, Field(ge=0)] = 0
    gradients: bool = False


class Search(Distillation):
    """Eq. 2, its split batches, and the Gumbel variables' Adam.

    n_f is of the expected multiply-adds, or of the expected latency in onnxruntime, batch 1: of
    blocks that are measured on this machine, or were on another.

    Attributes:
        gamma_s: weight of the attention loss, eq. 1.
        alpha: factor of n_f, or of the share of the largest MACs where it is added.
        beta: exponent of n_f, where it multiplies: how hard the search presses for small students.
        combine: whether n_f multiplies the loss, or is added.
        cost: what n_f is of.
        latency_threads: with cost=latency, one thread or onnxruntime's own choice.
        latency_table: with cost=latency, a file of blocks measured on another machine.
        taps: after what attention maps are taken.
        noise: of the choices; the paper's literal one is normal.
        gumbel_temperature: of the choices at the start.
        gumbel_decay (an epoch of 100): rate of its fall; a shorter search ends at the same.
        architecture_fraction: part of each batch that moves the Gumbel variables.
        architecture_learning_rate: of the Gumbel variables' Adam.
    """

    gamma_s: NotNegative = 1.0
    alpha: NotNegative = 0.2
    beta: NotNegative = 0.6
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
    """Which architecture is selected of a search.

    Attributes:
        max_macs (multiply-adds): a budget; the most probable architecture within it is selected.
    """

    max_macs: Positive | None = None

    def arguments(self) -> dict[str, Any]:
        """Return those of `derive.select`."""
        return self._only("max_macs")


class Export(Settings):
    """The exported files, and when an int8 one is kept.

    Attributes:
        calibration (images): drawn from the training ones, they set the ranges of int8 activations.
        agreement (share, 0 to 1): of the images that must get the float file's class.
        litert: whether there are LiteRT files too.
        integer_ends: whether their int8 form takes and gives signed bytes.
    """

    calibration: Count = 512
    agreement: Annotated[float, Field(ge=0, le=1)] = 0.95
    litert: bool = True
    integer_ends: bool = False

    def arguments(self) -> dict[str, Any]:
        """Return those of `export.quantise`."""
        return {"least_agreement": self.agreement}


class Evaluation(Settings):
    """Attacks on the first images of the test split.

    Attributes:
        n (images): the first of the test split.
        epsilon (pixels of [0, 1]): L-infinity radius of the attacks.
        attacks: some of `rnascl list attacks`.
        check (images): on the first of these, signs of false robustness are looked for; 0: none.
        corruptions: common corruptions beside attacks, at five severities: all, or e.g. fog, snow.
        engine: what computes the models: keras, or, on a CPU in less time, onnxruntime on exports
            that agree with them.
    """

    LATER: ClassVar[dict[str, Any]] = {"corruptions": (), "engine": "keras"}

    n: Count = 1000
    epsilon: Radius = 8 / 255
    attacks: tuple[str, ...] = ("fgsm", "pgd", "mi_fgsm")
    check: Annotated[int, Field(ge=0)] = 200
    corruptions: tuple[str, ...] = ()
    engine: Literal["keras", "onnxruntime"] = "keras"

    def arguments(self) -> dict[str, Any]:
        """Return those of `rnascl_keras.evaluate`."""
        return self._only("attacks", "epsilon", "check")

    @model_validator(mode="after")
    def _know_the_attacks(self) -> Evaluation:
        # Imported here: `--help` does without NumPy.
        from rnascl_keras.attacks import make_attack

        if not self.attacks:
            raise UserError(
                "attacks is empty; expected at least one of `rnascl list attacks`, e.g. pgd: "
                "without, no figure would be of robustness."
            )
        for name in self.attacks:
            make_attack(name, self.epsilon, norm="Linf")
        return self

    @model_validator(mode="after")
    def _know_the_corruptions(self) -> Evaluation:
        self.corrupting()
        return self

    def corrupting(self) -> list[str]:
        """Return the names of the corruptions to evaluate under."""
        from rnascl_keras.corruptions import corruptions_named

        named = ",".join(self.corruptions)
        return corruptions_named(named, "evaluation.corruptions") if named else []


class Distribution(Settings):
    """On what a run works, and how often it saves; no part of what a stage was made from.

    So a run that was begun on one device goes on with several, and what is done stays done.
    `batch_size` is always that over all replicas.

    Attributes:
        strategy: on what to work; mirrored is all GPUs of this host.
        synchronized_batch_norm: whether batch normalisation sees all replicas' images.
        save_every_steps (steps): save inside an epoch too; none: after each epoch.
    """

    strategy: Literal["auto", "one", "mirrored", "multi_worker", "tpu"] = "auto"
    synchronized_batch_norm: bool = False
    save_every_steps: Count | None = None
