"""What the teacher says, read from files in place of asking it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from keras import ops
from keras.config import floatx

from rnascl_keras.data.share import WHOLE, Share
from rnascl_keras.errors import UserError
from rnascl_keras.method.attention import common_size, normalize
from rnascl_keras.method.need import Need
from rnascl_keras.progress import progress_bar
from rnascl_keras.teachers.cache.index import read_index
from rnascl_keras.teachers.cache.looking_up import ShardRows
from rnascl_keras.teachers.cache.settings import CacheSettings
from rnascl_keras.teachers.cache.shards import (
    DAMAGED,
    WITHOUT_LARGEST,
    Shard,
    listed,
    plan,
)

if TYPE_CHECKING:
    from rnascl_keras.data import ImageData

Tensor = Any


class TeacherCache:
    """An opened cache; it stands for its teacher in `CrossLayerSearch` and `CrossLayerDistiller`.

    They are then fitted on batches of `training_batches`. Made by `open_cache`.

    Attributes:
        layers: names of the teacher's n_t tapped layers.
        map_size: common (height, width) of the maps.
        taps: where they were taken.
        holds: which of `need.OF_TEACHER` it can give: input gradients, where they were kept.
        views: of each image.
        name: of the teacher.
        fingerprint: of the teacher's weights.
        classes: number of classes.
        input_shape: (height, width, channels).
        shifted: whether logits are given less the largest of each image, as by older caches: right
            for a softmax, and wrong for what compares logits themselves.
    """

    def __init__(
        self,
        content: dict[str, Any],
        settings: CacheSettings,
        data: ImageData,
        folder: Path,
        shards: list[Shard],
        mend: str,
    ) -> None:
        self.layers: list[str] = content["layers"]
        self.name: str = content["name"]
        self.classes: int = content["classes"]
        self.input_shape = tuple(content["image_shape"])
        self.fingerprint = settings.teacher
        self.map_size = settings.map_size
        self.taps = settings.taps
        self.views = settings.views
        self.holds = frozenset({Need.INPUT_GRADIENTS} if settings.gradients else ())
        self._settings = settings
        self._data = data
        self._rows = ShardRows(
            folder,
            shards,
            content["shards"],
            views=settings.views,
            length=content["images_per_shard"],
            mend=mend,
        )
        self.shifted = content["format"] == WITHOUT_LARGEST
        self._largest = int(not self.shifted)  # values of a row

    @property
    def source(self) -> TeacherCache:
        """What answers: the cache itself, there is no model."""
        return self

    def training_batches(
        self,
        batch_size: int,
        *,
        first_epoch: int = 0,
        first_step: int = 0,
        share: Share = WHOLE,
    ) -> tf.data.Dataset:
        """Return the batches of `ImageData.training_batches` with what the teacher says on them.

        Shards are mapped into memory, so only what a batch needs is read. Where one has changed
        since the cache was opened, tf.data raises an error of its own, see `told`.

        Args:
            batch_size: images a batch, static.
            first_epoch, first_step, share: as of `ImageData.training_batches`.

        Returns:
            ``({"images": float32 (b, h, w, c), "teacher_logits": float32 (b, classes),
            "teacher_maps": float16 (b, n_t, p)}, labels int64 (b,))``, without end. Of the
            logits, the distances to the largest are as fine as float16, and so is the largest,
            which older caches lack: there it is 0. Where gradients are kept, also
            "teacher_gradients": float16 (b, h, w, c).
        """
        batches = self._data.training_batches(
            batch_size,
            augmentation=self._settings.augmentation,
            seed=self._settings.seed,
            first_epoch=first_epoch,
            first_step=first_step,
            views=self.views,
            indexed=True,
            share=share,
        )
        return batches.map(
            self._with_answers, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        ).prefetch(tf.data.AUTOTUNE)

    def check_fits(
        self,
        *,
        taps: str | Sequence[str] | None,
        map_size: Sequence[int] | None,
        input_shape: Sequence[int],
        classes: int,
    ) -> None:
        """Raise UserError where the cache was made for other images, classes, taps or maps than
        these; None stands for whatever it was made with."""
        wanted_size = common_size(self.map_size if map_size is None else map_size, input_shape)
        wanted = {
            "teacher_taps": (taps, self.taps),
            "map_size": (wanted_size, self.map_size),
            "input_shape": (tuple(input_shape), self.input_shape),
            "classes": (classes, self.classes),
        }
        for what, (ours, theirs) in wanted.items():
            if ours is not None and ours != theirs:
                raise UserError(
                    f"{what} is {ours}, but the cache of what teacher {self.name!r} says was made "
                    f"with {theirs}; make a cache with the same."
                )

    def answers(self, inputs: Any, layers: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and unit maps, as `LiveTeacher.answers`.

        Args:
            inputs: the dict of a batch of `training_batches`.
            layers: which of `self.layers`' maps are wanted, by number; by default all.

        Raises:
            UserError: the batch is not one of a cache.
        """
        if not isinstance(inputs, dict) or not {"teacher_logits", "teacher_maps"} <= set(inputs):
            raise UserError(
                "the batches hold images alone, without what the teacher says; with a TeacherCache "
                "take those of its training_batches."
            )
        logits = ops.cast(inputs["teacher_logits"], floatx())
        maps: Tensor = inputs["teacher_maps"]
        if layers is not None:
            maps = tf.gather(maps, tf.constant(layers, tf.int32), axis=1)
        maps = ops.cast(maps, floatx())
        return logits, normalize(maps) if maps.shape[1] else maps

    def input_gradients(self, inputs: Any, labels: Tensor) -> Tensor:
        """Return the teacher's input gradients, as `LiveTeacher.input_gradients`, rounded to
        float16; only where the cache `holds` them."""
        return tf.cast(inputs["teacher_gradients"], tf.float32)

    def told(self) -> AbstractContextManager[None]:
        """Raise UserError where what is done within meets a shard that is lost or has changed.

        tf.data, by which batches come, would tell of it by a page of its own calls.
        """
        return self._rows.told()

    def _with_answers(
        self, images: Tensor, labels: Tensor, indices: Tensor, views: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        size = images.shape[0]
        # Not stateful, so tf.data runs it in parallel and ahead also where all is deterministic.
        look_up = self._rows.look_up
        rows = tf.numpy_function(look_up, (indices, views), tf.float16, stateful=False)
        rows = tf.ensure_shape(rows, (size, self._rows.row))
        # (b, row) -> (b, classes), (b, 1 or 0), (b, n_t * p), and (b, h * w * c) or (b, 0)
        p = self.map_size[0] * self.map_size[1]
        parts = [self.classes, self._largest, len(self.layers) * p, -1]
        distances, largest, maps, gradients = tf.split(rows, parts, axis=1)
        largest = tf.reduce_sum(tf.cast(largest, tf.float32), axis=1, keepdims=True)
        answers = {
            "teacher_logits": tf.cast(distances, tf.float32) + largest,
            "teacher_maps": tf.reshape(maps, (size, len(self.layers), p)),
        }
        if self._settings.gradients:
            answers["teacher_gradients"] = tf.reshape(gradients, (size, *self.input_shape))
        return {"images": images, **answers}, labels


def open_cache(
    folder: Path,
    teacher: keras.Model,
    data: ImageData,
    *,
    mend: str = "build_cache",
    **settings: Any,
) -> TeacherCache:
    """Open what `build_cache` has made, all of it looked at.

    The teacher is not asked; it only shows that the cache is its own.

    Args:
        folder: of the cache.
        teacher: as in `CrossLayerSearch`.
        data: the training images.
        mend: what makes a cache again, for messages.
        settings: as in `build_cache`.

    Raises:
        UserError: it is not there, was made with other settings, or is damaged.
    """
    return open_whole(folder, data, CacheSettings.of(teacher, data, **settings), mend=mend)


def open_whole(folder: Path, data: ImageData, wanted: CacheSettings, *, mend: str) -> TeacherCache:
    """As `open_cache`, whose settings, teacher and data `wanted` stands for."""
    folder = Path(folder)
    content = read_index(folder, mend)
    if differences := wanted.differences(content["settings"]):
        raise UserError(
            f"the cache {folder} was made with other settings ({'; '.join(differences)}); make it "
            f"again with {mend}."
        )
    row = wanted.row(content["image_shape"], content["classes"], len(content["layers"]))
    row -= content["format"] == WITHOUT_LARGEST
    length, kind = content["images_per_shard"], content["format"]
    shards = plan(wanted.fingerprint, wanted.views, len(data), row, length, kind)
    _check_shards(folder, shards, content["shards"], mend)
    return TeacherCache(content, wanted, data, folder, shards, mend)


def _check_shards(folder: Path, shards: list[Shard], hashes: dict[str, str], mend: str) -> None:
    """Raise UserError that names every kind of fault."""
    faults: dict[str, list[str]] = {}
    for shard in progress_bar(shards, desc="cache: checking", unit="shard", delay=2):
        fault = shard.fault(folder)
        if fault is None and shard.sha256(folder) != hashes.get(shard.name):
            fault = DAMAGED
        if fault:
            faults.setdefault(fault, []).append(shard.name)
    if faults:
        told = "; ".join(f"{fault}: {listed(names)}" for fault, names in faults.items())
        raise UserError(f"the cache {folder} is not whole ({told}); mend it with {mend}.")
