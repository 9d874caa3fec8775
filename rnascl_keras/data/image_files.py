"""Finding a broken image file before an hour of training does."""

from __future__ import annotations

import os

from rnascl_keras.errors import UserError

# How a file starts, and what its last bytes hold when it is whole.
KINDS = {
    "JPEG": (b"\xff\xd8\xff", b"\xff\xd9"),
    "PNG": (b"\x89PNG\r\n\x1a\n", b"IEND"),
}
TAIL = 64


def check_image(path: str) -> None:
    """Check that a file is a whole JPEG or PNG, whatever its name ends with.

    Reads only both ends, so that a hundred thousand files take seconds. A file without an end
    mark may still be whole, with other bytes after it: only such a file is decoded.

    Raises:
        UserError: it is not.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(TAIL)
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL))
            tail = file.read()
    except OSError as error:
        raise UserError(f"the image {path} cannot be read: {error.strerror}.") from error
    ends = [end for start, end in KINDS.values() if head.startswith(start)]
    if not ends:
        raise UserError(f"{path} is not an image; expected {' or '.join(KINDS)}. Remove it.")
    if ends[0] not in tail and not _decodes(path):
        raise UserError(f"the image {path} is damaged or cut short. Replace or remove it.")


def _decodes(path: str) -> bool:
    import tensorflow as tf

    try:
        tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError:
        return False
    return True
