"""All that a cache of what the teacher says depends on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import keras

from rnascl_keras.data.augmentation import find_augmentation
from rnascl_keras.errors import UserError
from rnascl_keras.files.hashes import digest
from rnascl_keras.method.attention import common_size
from rnascl_keras.models.fingerprint import fingerprint, structure
from rnascl_keras.models.logits import logits_model

if TYPE_CHECKING:
    from rnascl_keras.data import ImageData

WORDS = {
    "teacher": "the teacher's weights",
    "structure": "the teacher's layers",
    "data": "the training images",
    "images": "the number of images",
    "taps": "the teacher's taps",
    "map_size": "the size of the maps",
    "views": "the number of views",
    "gradients": "the input gradients",
}


@dataclass(frozen=True)
class CacheSettings:
    """What a cache was made from, as it stands in its `cache.json`.

    Attributes:
        teacher: fingerprint of the teacher's weights.
        structure: of its layers.
        data: fingerprint of the images, in their order, and their labels.
        images: their number.
        augmentation, seed: of the views, as in `ImageData.training_batches`.
        taps: where the teacher's maps are taken.
        map_size: common (height, width) of the maps.
        views: of each image.
        gradients: whether input gradients are kept too, as `LiveTeacher.input_gradients`.
    """

    teacher: str
    structure: str
    data: str
    images: int
    augmentation: str
    seed: int
    taps: str | tuple[str, ...]
    map_size: tuple[int, int]
    views: int
    gradients: bool = False

    @classmethod
    def of(
        cls,
        teacher: keras.Model,
        data: ImageData,
        *,
        views: int,
        augmentation: str = "none",
        seed: int = 0,
        taps: str | Sequence[str] = "conv",
        map_size: Sequence[int] | None = None,
        gradients: bool = False,
    ) -> CacheSettings:
        """Return the settings of a teacher on images.

        Raises:
            UserError: unknown augmentation, or less than one view.
        """
        find_augmentation(augmentation)
        if views < 1:
            raise UserError(f"a cache needs at least 1 view of each image; got views={views}.")
        height, width = common_size(map_size, data.input_shape)
        model = logits_model(teacher)
        return cls(
            teacher=fingerprint(model),
            structure=structure(model),
            data=data.fingerprint(),
            images=len(data),
            augmentation=augmentation,
            seed=seed,
            taps=taps if isinstance(taps, str) else tuple(taps),
            map_size=(height, width),
            views=views,
            gradients=gradients,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON has them; no word of gradients that are not kept."""
        content = json.loads(json.dumps(asdict(self)))
        return content if self.gradients else {k: v for k, v in content.items() if k != "gradients"}

    def row(self, input_shape: Sequence[int], classes: int, layers: int) -> int:
        """Return how many values are kept of each image, see `shards`.

        Args:
            input_shape: (height, width, channels) of the images.
            classes: number of classes.
            layers: of the teacher that are tapped.
        """
        maps = layers * math.prod(self.map_size)
        return classes + 1 + maps + (math.prod(input_shape) if self.gradients else 0)

    @property
    def fingerprint(self) -> str:
        """Hash of all but the number of views: a view does not depend on how many there are, so
        views that are there stay when more are wanted."""
        content = {key: value for key, value in self.to_dict().items() if key != "views"}
        return digest(content)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Return in words what is other in the settings of a `cache.json`, e.g. ``seed: 0, now
        1``."""
        now = self.to_dict()
        return [
            f"{WORDS.get(key, key)}: {other.get(key)!r}, now {now.get(key)!r}"
            for key in dict.fromkeys([*now, *other])
            if other.get(key) != now.get(key)
        ]
