"""What the ImageNet-100 recipes share: the settings of appendix A.1."""

from rnascl_keras.recipe import Data, Finetune, Recipe, Search, Teacher, Train

PAPER = {"batch_size": 256, "learning_rate": 0.05, "schedule": "cosine", "weight_decay": 4e-5}


def imagenet100(space: str, teacher: str) -> Recipe:
    """Return the recipe of a space under an adversarially trained `teacher`."""
    return Recipe(
        space=space,
        data=Data(source="imagenet", image_size=224, augmentation="resized_crop_flip"),
        teacher=Teacher(expected=f"an adversarially trained {teacher} with 100 classes"),
        search=Search(epochs=100, **PAPER),
        train=Train(epochs=200, **PAPER),
        finetune=Finetune(batch_size=256, weight_decay=4e-5),
    )
