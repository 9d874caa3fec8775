"""`cache.json`: what a cache holds and was made from; written last, so with it a cache is whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from rnascl_keras.errors import UserError
from rnascl_keras.files.shape import OnlyKeys, Shape
from rnascl_keras.files.whole import read_json, write_json

INDEX = "cache.json"


class _Index(OnlyKeys):
    format: Literal["rnascl-keras teacher cache 1", "rnascl-keras teacher cache 2"]
    settings: dict[str, Any]
    name: str
    layers: list[str]
    classes: PositiveInt
    image_shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    images_per_shard: PositiveInt
    shards: dict[str, str]


def write_index(folder: Path, content: dict[str, Any]) -> None:
    """Write `cache.json` with a checksum of its content."""
    write_json(folder / INDEX, {**content, "checksum": _checksum(content)})


def read_index(folder: Path, mend: str) -> dict[str, Any]:
    """Read what `write_index` wrote.

    Args:
        folder: of the cache.
        mend: what makes it again, for messages.

    Raises:
        UserError: it is not there, is damaged, or is of another version.
    """
    path = folder / INDEX
    if not path.exists():
        raise UserError(f"there is no whole cache in {folder}; make it with {mend}.")
    try:
        content = read_json(path)
    except UserError:
        content = {}
    if content.pop("checksum", None) != _checksum(content):
        raise UserError(f"{path} is damaged; make the cache again with {mend}.")
    Shape(_Index, "is not the index of a cache", f"make it again with {mend}").check(path, content)
    return content


def shard_names(folder: Path) -> list[str]:
    """Return the names of the shards of a whole cache; none where there is none."""
    try:
        return list(read_index(folder, "")["shards"])
    except UserError:
        return []


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
