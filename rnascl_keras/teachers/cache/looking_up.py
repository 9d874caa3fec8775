"""Looking up what the teacher says on images: in the shards that were there at the opening."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.teachers.cache.shards import VALUE, Shard


class ShardRows:
    """The rows of all shards of a cache.

    Args:
        folder: of the cache.
        shards: view by view, see `shards.plan`.
        hashes: of the shards' rows, by the shards' names, as they were when all was looked at.
        views: of each image.
        length: images in a shard.
        mend: what makes a cache again, for messages.
    """

    def __init__(
        self,
        folder: Path,
        shards: Sequence[Shard],
        hashes: Mapping[str, str],
        *,
        views: int,
        length: int,
        mend: str,
    ) -> None:
        self._folder, self._shards, self._hashes = folder, shards, hashes
        self._shards_per_view, self._length, self._mend = len(shards) // views, length, mend
        self._fault: UserError | None = None

    @property
    def row(self) -> int:
        """Values of a row."""
        return self._shards[0].row

    def look_up(self, indices: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Return the rows of images in views, (b, row) float16.

        A shard is mapped for one look-up only: what was read would else stay in the process's
        memory for as long as there is room.

        Raises:
            UserError: a shard is not the one that was there when the cache was opened.
        """
        numbers = views * self._shards_per_view + indices // self._length
        found = np.empty((len(indices), self.row), VALUE)
        for number in np.unique(numbers):
            here = numbers == number
            found[here] = self._open(self._shards[number])[indices[here] % self._length]
        return found

    @contextmanager
    def told(self) -> Iterator[None]:
        """As `TeacherCache.told`."""
        self._fault = None
        try:
            yield
        except Exception as error:
            if self._fault is None:
                raise
            raise self._fault from error

    def _open(self, shard: Shard) -> np.ndarray:
        try:
            return shard.open(self._folder, self._hashes[shard.name])
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            self._fault = UserError(
                f"the shard {self._folder / shard.name} has changed since the cache was opened "
                f"({reason}); mend the cache with {self._mend}, then open it again."
            )
            raise self._fault from error
