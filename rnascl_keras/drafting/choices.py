"""Settings that fit the images, each with its reason.

The numbers are for two CPU cores and a quarter of an hour. What is cut down there first is the
size of the images and the number of times each is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnascl_keras.drafting.facts import Facts
from rnascl_keras.models.included import included
from rnascl_keras.recipe import Recipe
from rnascl_keras.teachers.included import included_teachers

START = "cifar10_small"
"""The robust network of the package that a teacher of other images starts from, the cheaper one."""
STUDENT = "cifar10_s3"
"""The robust student of the package that one of other images starts from."""
STROKES = 32
"""Pixels a side up to which grey images are taken for strokes of full contrast, as digits are."""
TINY = 16
"""Pixels a side up to which the space and the teacher are those of the digits."""
LARGEST = 112
"""Pixels a side from which on a network with a stem of stride 1 is too slow."""
STEPS = 20
"""Of an epoch, at least."""
STEPS_IN_ALL = 800
"""Of the student's training, at least."""
LARGEST_BATCH = 128
FEW = 5_000
"""Images below which a started student's training is given all of them."""
SEEN = 20_000
"""Images that the student's training goes through; the search and the teacher see fewer."""
FEWEST_EPOCHS, MOST_EPOCHS = 5, 40
"""Of the student's training, whatever number of images that comes to."""


@dataclass(frozen=True)
class Choice:
    """Settings of one section that were chosen for one reason.

    Attributes:
        key: of the setting that the reason is written at, e.g. ``train.epochs``.
        reason: in a sentence.
    """

    key: str
    reason: str


@dataclass(frozen=True)
class Draft:
    """A recipe that fits some images, and why it is as it is."""

    recipe: Recipe
    choices: tuple[Choice, ...]


def draft(facts: Facts, name: str) -> Draft:
    """Return a recipe that fits the images, called `name`."""
    chooser = _Chooser(facts)
    sections: dict[str, Any] = {
        "space": chooser.space(),
        "data": chooser.data(),
        "teacher": chooser.teacher(),
        "cache": chooser.cache(),
        "search": chooser.search(),
        "train": chooser.train(),
        "finetune": None,
        "evaluation": chooser.evaluation(),
    }
    recipe = Recipe.model_validate({"name": name, **sections})
    return Draft(recipe, tuple(chooser.choices))


class _Chooser:
    """Chooses one section after the other, and notes why."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.choices: list[Choice] = []
        shape = facts.splits.train.input_shape
        self.scaled = (64 if facts.shorter_side >= 48 else 32) if facts.is_folder else None
        self.side = self.scaled or max(shape[:2])
        self.strokes = shape[2] == 1 and self.side <= STROKES
        few = self.starts and facts.train < FEW
        self.validation = 0 if few else max(1, min(1000, facts.train // 10))
        self.train_images = facts.train - self.validation
        self.epochs = max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(SEEN / self.train_images)))
        in_all = self.epochs * self.train_images // STEPS_IN_ALL
        self.batch = max(2, min(LARGEST_BATCH, self.train_images // STEPS, in_all))
        self.epsilon = 0.1 if self.strokes else 8 / 255 if self.side < 48 else 4 / 255

    def note(self, key: str, reason: str) -> None:
        self.choices.append(Choice(key, reason))

    def space(self) -> str:
        if self.starts:
            self.note("space", f"the architecture of {STUDENT}, from which the student starts")
            return "S3_widest"
        space = "digits" if self.side <= TINY else "S3" if self.side <= LARGEST else "IS"
        self.note("space", f"small students, for images of {self.side} pixels a side")
        return space

    @property
    def starts(self) -> bool:
        """Whether the images are like those of the package's robust student."""
        colour = self.facts.splits.train.input_shape[2] == 3
        return colour and TINY < self.side <= LARGEST and STUDENT in included("students")

    def data(self) -> dict[str, Any]:
        facts = self.facts
        chosen: dict[str, Any] = {"source": facts.source, "validation": self.validation}
        if self.scaled:
            chosen["image_size"] = self.scaled
            self.note(
                "data.image_size",
                f"the photos' shorter side is {facts.shorter_side} pixels in the median; doubling "
                "image_size would take four times as long",
            )
        if facts.held_out is not None:
            chosen["held_out"] = facts.held_out
            self.note("data.held_out", "the folder has no train/ and val/; nothing is moved")
        if self.scaled:
            chosen["augmentation"] = "large_crop_flip"
            self.note("data.augmentation", "each image seen at many sizes, which few images need")
        else:
            chosen["augmentation"] = "shift" if self.side <= TINY or self.strokes else "crop_flip"
        # On 240 photographs of three classes, 300 to test on, PGD-20 at 4/255: 89.0 % clean and
        # 69.7 % under attack with all of them, 87.7 and 70.0 % where a tenth was held back.
        words = "none is held back: of so few, each teaches"
        if self.validation:
            words = "a tenth, by which the teacher's best epoch is kept"
        self.note("data.validation", words)
        return chosen

    def teacher(self) -> dict[str, Any]:
        if self.facts.source in included_teachers():
            self.note("teacher.weights", "it comes with the package, for these images")
            return {"weights": self.facts.source}
        trained = {
            "batch_size": self.batch,
            "epsilon": self.epsilon,
            "epochs": max(3, self.epochs // 3),
            "learning_rate": 0.02,
            "schedule": "one_cycle",
        }
        if self.side <= TINY:
            self.note("teacher.architecture", "for images as small as digits; trained from nothing")
            own = {"architecture": "digits_cnn", "epochs": self.epochs, "learning_rate": 0.05}
            return trained | own
        if self.side > LARGEST:
            self.note("teacher.architecture", "a ResNet-18 of half width; trained from nothing")
            own = {"architecture": "imagenet_resnet18", "width": 32, "epochs": self.epochs}
            return trained | own
        model = "the package's robust network of CIFAR-10, with a new head"
        if self.starts:
            # On 240 photographs of three classes, the first 200 to test on, PGD-20 at 4/255: the
            # larger one that started from START was right on 81.0 %, 63.5 % under attack.
            model = (
                "the package's robust student, as the student does, with a new head; a larger "
                "network learned no more of so few images, in ten times as long"
            )
        words = f"robust features transfer (Salman et al., 2020): it starts from {model}"
        self.note("teacher.start", words)
        # On 240 photographs of three classes, scaled to 32 pixels, 8 epochs: 78.5 % clean and
        # 64.0 % under PGD of 10 steps; 79.5 and 59.0 % without the average, at twice the rate.
        own = {"learning_rate": 0.01, "schedule": "cosine", "average": 0.97}
        return trained | own | {"start": STUDENT if self.starts else START}

    def cache(self) -> dict[str, Any]:
        if self.starts:  # the teacher is asked in the search only, and new windows teach more
            return {}
        views = min(10, self.epochs)
        self.note("cache.views", "the teacher is asked once about so many variants of each image")
        return {"views": views}

    def search(self) -> dict[str, Any]:
        self.note(
            "search.batch_size",
            f"an epoch of {self.train_images:,} images then has at least {STEPS} steps, and the "
            f"student's training {STEPS_IN_ALL}"
            if self.batch < LARGEST_BATCH
            else "as large as the usual one, for there are enough images",
        )
        epochs = max(2, self.epochs // 4)
        if self.starts:
            self.note("search.epochs", "the space has one choice, and no attention is copied")
            epochs = 1
        return {"batch_size": self.batch, "epochs": epochs, "learning_rate": 0.05}

    def train(self) -> dict[str, Any]:
        self.note("train.epochs", self._epochs_words())
        self.note("train.epsilon", self._radius_words())
        own: dict[str, Any] = {"robust": "rslad_n_fgsm"}
        words = "adversarial images of one step, with the robust teacher's answers as labels"
        if self.starts:
            self.note("train.start", "robust features transfer, the student's as the teacher's")
            # Twice 240 photographs of three classes, 300 to test on, PGD-20 at 4/255: with the
            # photographs beside (a share of 0.6) no better, in half as long again. An average of
            # the weights was no better either: the rate falls to 0.
            own = {"start": STUDENT, "gamma_t": 0.0, "robust": "n_fgsm", "adversarial_share": 1.0}
            words = (
                "adversarial images of one step, with the photographs' own labels: what the "
                "student starts from knows more than a teacher of so few"
            )
        self.note("train.robust", words)
        return own | {
            "batch_size": self.batch,
            "epochs": self.epochs,
            "learning_rate": 0.05,
            "schedule": "one_cycle",
            "epsilon": self.epsilon,
        }

    def evaluation(self) -> dict[str, Any]:
        most, check = (1000, 200) if self.side < 48 else (200, 25)
        n = min(self.facts.test, most)
        words = "all there are to test on" if n == self.facts.test else "the first to test on"
        self.note("evaluation.n", f"{words}; attacks take longer than the training of so few")
        asked = {"n": n, "epsilon": self.epsilon, "check": min(n, check)}
        if self.side > TINY:
            self.note("evaluation.engine", "on a CPU in half the time; Keras has to agree")
            asked["engine"] = "onnxruntime"
        return asked

    def _epochs_words(self) -> str:
        seen = f"{self.epochs * self.train_images:,} images in all"
        if self.epochs == MOST_EPOCHS:
            return f"{seen}; none is seen more than {MOST_EPOCHS} times"
        if self.epochs == FEWEST_EPOCHS:
            return f"{seen}; none is seen fewer than {FEWEST_EPOCHS} times"
        return f"{seen}, close to the {SEEN:,} aimed at"

    def _radius_words(self) -> str:
        if self.strokes:
            return "smaller changes hardly affect strokes of full contrast"
        if self.side < 48:
            return "as usual for small images, such as the 32 pixels of CIFAR-10"
        return "as usual for photographs"
