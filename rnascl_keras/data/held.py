"""What a file or a folder of images holds now, so that a change behind its name is seen."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from rnascl_keras.data import folder
from rnascl_keras.data.sources import find_folder, is_npz
from rnascl_keras.files.hashes import content_hash


def held_by(
    source: str,
    data_dir: str | os.PathLike[str] | None = None,
    class_list: str | os.PathLike[str] | None = None,
) -> str | None:
    """Return a hash of what a source of `load_data` holds; None of a data set known by its name,
    which stays what it is.

    Of an `.npz` the whole file counts; of a folder the names and sizes of the images that are read,
    without opening any.

    Raises:
        UserError: a folder cannot be read, or has no images.
        OSError: a file cannot be.
    """
    if is_npz(source):
        return content_hash(Path(source))
    place = find_folder(source, data_dir, folder.no_one, unsplit=True)
    if place is None:
        return None
    digest = hashlib.sha256()
    for path, size in sorted(folder.images_within(place, class_list)):
        digest.update(os.fsencode(f"{path} {size}\n"))
    return digest.hexdigest()
