"""Asking the teacher once: making the cache of what it says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from rnascl_keras.distribution import workers
from rnascl_keras.errors import UserError
from rnascl_keras.files.full_disk import lack_of_room
from rnascl_keras.files.whole import check_writable
from rnascl_keras.hardware import hardware
from rnascl_keras.method.teacher import LiveTeacher, check_teacher
from rnascl_keras.models.logits import logits_model
from rnascl_keras.progress import progress_bar
from rnascl_keras.teachers.cache.asking import AskedTeacher
from rnascl_keras.teachers.cache.index import INDEX, write_index
from rnascl_keras.teachers.cache.settings import CacheSettings
from rnascl_keras.teachers.cache.shards import (
    DAMAGED,
    FORMAT,
    OTHER,
    SUFFIX,
    Shard,
    images_per_shard,
    listed,
    plan,
    read_header,
)
from rnascl_keras.units import count, counted, duration

if TYPE_CHECKING:
    from rnascl_keras.data import ImageData


def build_cache(
    folder: Path,
    teacher: keras.Model,
    data: ImageData,
    *,
    batch_size: int = 128,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> None:
    """Write what the teacher says on `views` views of every image, for `open_cache`.

    What is there already, whole and from the same settings, stays; so a build that was cut short
    goes on. How large the cache gets, and about how long that takes, is said before. In the scope
    of a strategy the replicas share the batches, and several workers the shards.

    Args:
        folder: where to; it is made.
        teacher: as in `CrossLayerSearch`.
        data: the training images.
        batch_size: images that the teacher is asked about at a time.
        say: takes each line of progress.
        settings: `views`, `augmentation`, `seed`, `taps`, `map_size`, `gradients` of
            `CacheSettings.of`.

    Raises:
        UserError: the teacher does not fit the images or gives no finite logits, or the disk has
            not the room.
    """
    check_teacher(logits_model(teacher), data.input_shape, data.classes)
    made_from = CacheSettings.of(teacher, data, **settings)
    fill_cache(folder, teacher, data, made_from, batch_size=batch_size, say=say)


def fill_cache(
    folder: Path,
    teacher: keras.Model,
    data: ImageData,
    made_from: CacheSettings,
    *,
    batch_size: int,
    say: Callable[[str], None],
) -> None:
    """As `build_cache`, whose settings, teacher and data `made_from` stands for."""
    check_writable(Path(folder) / INDEX)
    live = LiveTeacher(teacher, made_from.taps, made_from.map_size)
    row = made_from.row(data.input_shape, data.classes, len(live.layers))
    shards = plan(made_from.fingerprint, made_from.views, len(data), row, images_per_shard(row))
    build = _Build(Path(folder), live, data, made_from, batch_size, say)
    strategy = tf.distribute.get_strategy()
    missing = build.sort_out(shards)
    workers.wait_for_all_workers(strategy)  # nobody removes or writes before all have looked
    if missing and workers.is_chief(strategy):
        build.make_room(shards, missing)
    workers.wait_for_all_workers(strategy)
    build.fill(missing[workers.worker_index(strategy) :: workers.worker_count(strategy)])
    workers.wait_for_all_workers(strategy)
    if workers.is_chief(strategy):
        build.finish(shards)


@dataclass
class _Build:
    folder: Path
    live: LiveTeacher
    data: ImageData
    settings: CacheSettings
    batch_size: int
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        self._teacher = AskedTeacher(self.live, self.settings.gradients)

    def sort_out(self, shards: list[Shard]) -> list[Shard]:
        """Return the shards that are to be made, and say what is wrong with those that are not."""
        for part in self.folder.glob("*.part"):  # left where the process was killed
            part.unlink(missing_ok=True)
        bar = progress_bar(shards, desc="cache: looking", unit="shard", delay=2)
        faults = {shard: shard.fault(self.folder) for shard in bar}
        damaged = [shard.name for shard in shards if faults[shard] == DAMAGED]
        for fault, names in ((DAMAGED, damaged), (OTHER, [p.name for p in self._others()])):
            if names:
                self.say(f"cache: {fault}: {listed(names)}; to be replaced")
        missing = [shard for shard in shards if faults[shard]]
        self.say(f"cache: {len(shards) - len(missing)} of {len(shards)} shards are there")
        return missing

    def make_room(self, shards: list[Shard], missing: list[Shard]) -> None:
        """Say how large the cache gets and how long that takes; remove what is to be replaced.

        The teacher is asked first: one that cannot be used costs nothing that is there.

        Raises:
            UserError: the disk has not the room, or the teacher's answers are not finite.
        """
        in_the_way = {path for s in missing if (path := self.folder / s.name).is_file()}
        replaced = in_the_way | set(self._others())
        needed = sum(shard.bytes for shard in missing)
        room = shutil.disk_usage(self.folder).free + sum(p.stat().st_size for p in replaced)
        self.say(
            f"cache: {counted(self.settings.views, 'view')} of {len(self.data):,} images, "
            f"{count(sum(shard.bytes for shard in shards))}B, {count(needed)}B of it to be made"
        )
        if needed > room:
            raise UserError(
                f"the cache needs {count(needed)}B more in {self.folder}, but only {count(room)}B "
                "are free there; lower cache.views or choose another --workdir."
            )
        batches = sum(-(-shard.length // self.batch_size) for shard in missing)
        first = next(iter(self.data.view_batches(0, min(self.batch_size, len(self.data)))))
        seconds = batches * self._teacher.seconds(*first)
        self.say(f"cache: about {duration(seconds)} on {hardware()}")
        (self.folder / INDEX).unlink(missing_ok=True)
        for path in replaced:
            path.unlink()

    def fill(self, missing: list[Shard]) -> None:
        """Write the shards.

        Raises:
            UserError: one cannot be written, or the teacher's answers are not finite.
        """
        images = sum(shard.length for shard in missing)
        with progress_bar(total=images, desc="cache", unit="image") as bar:
            for shard in missing:
                try:
                    shard.write(self.folder, self._rows(shard, bar))
                except OSError as error:
                    raise _told(error, self.folder / shard.name) from error

    def finish(self, shards: list[Shard]) -> None:
        """Write `cache.json`, which makes the cache whole."""
        content = {
            "format": FORMAT,
            "settings": self.settings.to_dict(),
            "name": self.live.name,
            "layers": self.live.layers,
            "classes": self.data.classes,
            "image_shape": list(self.data.input_shape),
            "images_per_shard": images_per_shard(shards[0].row),
            "shards": {shard.name: shard.sha256(self.folder) for shard in shards},
        }
        try:
            write_index(self.folder, content)
        except OSError as error:
            raise _told(error, self.folder / INDEX) from error

    def _others(self) -> list[Path]:
        """Return the shards of other settings, whatever their view.

        Those of ours beyond the views wanted are not among them: they are right when more are.
        """
        ours = self.settings.fingerprint
        headers = {path: read_header(path) for path in sorted(self.folder.glob(f"*{SUFFIX}"))}
        return [p for p, header in headers.items() if header and header.get("fingerprint") != ours]

    def _batches(self, shard: Shard) -> tf.data.Dataset:
        return self.data.view_batches(
            shard.view,
            self.batch_size,
            augmentation=self.settings.augmentation,
            seed=self.settings.seed,
            start=shard.first,
            stop=shard.first + shard.length,
        )

    def _rows(self, shard: Shard, bar: tqdm) -> Iterator[np.ndarray]:
        for images, labels in self._batches(shard):
            rows = self._teacher.rows(images, labels)
            yield rows
            bar.update(len(rows))


def _told(error: OSError, path: Path) -> UserError:
    full = lack_of_room(error)
    advice = "make room or choose another --workdir" if full else "look at the disk"
    return UserError(
        f"{path} cannot be written ({error.strerror}); {advice}, then give the same command: it "
        "goes on from the last whole shard."
    )
