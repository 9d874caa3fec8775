"""What the rivals' recipes share: the trainings that their authors published.

A run ends in the network itself, exported and attacked: there is no search. 1,000 training images
choose the epoch that is kept, where the authors took the last one or chose by test images. The
attacks start uniformly in the ball, also where the authors drew a small normal start.
"""

from typing import Any

from rnascl_keras.recipe import Data, Recipe, Teacher

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
EIGHT, TWO = 8 / 255, 2 / 255

ADVRUSH = {
    "method": "pgd",
    "epsilon": 0.031,
    "steps": 7,
    "step_size": 0.01,
    "epochs": 200,
    "batch_size": 64,
    "weight_decay": 1e-4,
    "decay_epochs": (99, 149),
    "clip_norm": 5,
}
"""nutellamok/advrush, adv_train.py; that of RACL was not found and is probably alike."""

DARTS = {
    "method": "natural",
    "mean": MEAN,
    "std": STD,
    "epochs": 600,
    "batch_size": 96,
    "learning_rate": 0.025,
    "schedule": "cosine",
    "weight_decay": 3e-4,
    "clip_norm": 5,
    "auxiliary": 0.4,
    "drop_path": 0.2,
}
"""quark0/darts, train.py; there the cut square has the mean colour, here it is black."""

PGD_7 = {"method": "pgd", "epsilon": EIGHT, "steps": 7, "step_size": TWO}
PGD_10 = {"method": "pgd", "epsilon": EIGHT, "steps": 10, "step_size": TWO}

ROBNET = PGD_7 | {"epochs": 170, "schedule": "cosine", "weight_decay": 1e-4}
"""gmh14/RobNets: 20 + 150 epochs, 0.8e-3 an image of the batch. There the rate rises for 20 epochs,
batches are of 1,536 and the attack sees the model in training mode."""

MSROBNET = PGD_7 | {
    "mean": MEAN,
    "std": STD,
    "epochs": 110,
    "batch_size": 48,
    "decay_epochs": (99, 104),
    "clip_norm": 5,
}
"""walkerning/aw_nas, examples/plugins/robustness; the 1000's labels are smoothed by 0.2 there."""

ROBUST_WRN = PGD_10 | {"epochs": 100, "decay_epochs": (75, 90), "clip_norm": 5}
"""HanxunH/RobustWRN, WRN-34-R-madrys.yaml; none was published for the small networks."""

ARD = PGD_10 | {"epochs": 200, "decay_epochs": (100,)}
"""goldblum/AdversariallyRobustDistillation, main.py, whose second decay has no effect; the loss is
that of adversarial training here, not of the distillation from a TRADES teacher."""

HYDRA = {
    "method": "trades",
    "epsilon": 0.031,
    "steps": 10,
    "step_size": 0.0078,
    "epochs": 100,
    "schedule": "cosine",
    "weight_decay": 1e-4,
}
"""inspire-group/hydra, pre-training; without the 500,000 more images of its scripts."""


def rival(architecture: str, training: dict[str, Any], **more: Any) -> Recipe:
    """Return the recipe of a network by a training, with some settings of it changed."""
    settings = training | more
    natural = settings["method"] == "natural"
    return Recipe(
        space=None,
        data=Data(
            source="cifar10",
            augmentation="crop_flip_cutout" if natural else "crop_flip",
            validation=0 if natural else 1000,
        ),
        teacher=Teacher(architecture=architecture, **settings),
    )
