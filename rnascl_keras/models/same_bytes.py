"""`.keras` files that equal models have equal, byte for byte: no date, no number of the process.

Keras writes when a file was saved, and numbers what has no name of its own as it comes in the
process: the same operation is `pad` in one and `pad_3` in the next, and an object that two layers
share is known by where it lay in memory. What a stage was made from is told by files' hashes, so a
file that was lost and made anew would pass for another model.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from rnascl_keras.models.older_keras import without_newer

METADATA = "metadata.json"
CONFIG = "config.json"
DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip archive can tell."""
SAVED = "1980-01-01@00:00:00"
"""The same, as Keras writes it."""
BLOCK = 1 << 20


def copy_with_same_bytes(file: Path, copy: Path) -> None:
    """Write to `copy` the model of a `.keras` file, as it depends on the model alone.

    What computes and what was learned is the same. Settings that an older Keras does not know and
    the model does not use are left out, see `older_keras`.
    """
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(copy, "w") as new:
        for entry in old.infolist():
            made = zipfile.ZipInfo(entry.filename, DATE)
            made.file_size = entry.file_size  # by which it is known whether it needs long fields
            with old.open(entry) as content, new.open(made, "w") as part:
                if entry.filename == METADATA:
                    told = {**json.load(content), "date_saved": SAVED}
                    part.write(json.dumps(told).encode())
                elif entry.filename == CONFIG:
                    config = numbered_anew(without_newer(json.load(content)))
                    part.write(json.dumps(config).encode())
                else:
                    while block := content.read(BLOCK):
                        part.write(block)


def numbered_anew(config: Any) -> Any:
    """Return a model's configuration with numbers that count from its own beginning.

    Operations that Keras named, and shared objects, get them in the order in which they stand. The
    names of layers stay: a user may have read them, and they are told where layers are meant.
    """
    return _renamed(config, {}, {})


def _renamed(value: Any, names: dict[str, str], shared: dict[int, int]) -> Any:
    """Return a part of a configuration with `names` of operations and ids of `shared` objects."""
    if isinstance(value, list):
        return [_renamed(x, names, shared) for x in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("layers"), list):  # a model within a model has names of its own
        names = _own_names(value["layers"])
    made = {key: _renamed(part, names, shared) for key, part in value.items()}
    if "shared_object_id" in made:
        made["shared_object_id"] = shared.setdefault(made["shared_object_id"], len(shared) + 1)
    if "keras_history" in made:
        made["keras_history"] = _place(made["keras_history"], names)
    if "output_layers" in made:
        made["output_layers"] = _place(made["output_layers"], names)
    if _is_named_by_keras(value):
        name = names.get(value["name"], value["name"])
        made |= {"name": name, "config": {**made["config"], "name": name}}
    return made


def _place(value: Any, names: dict[str, str]) -> Any:
    """Return one place in a graph, [name, call, output], or several, by the new names."""
    if isinstance(value, dict):
        return {key: _place(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [_place(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def _own_names(entries: list[Any]) -> dict[str, str]:
    """Return the new name of each operation of a model that Keras named."""
    ours = [entry for entry in entries if _is_named_by_keras(entry)]
    old = [entry["name"] for entry in ours]
    taken = {entry.get("name") for entry in entries if isinstance(entry, dict)} - set(old)
    found: dict[str, str] = {}
    for name in old:
        stem, number = _stem(name), 0
        while (new := f"{stem}_{number}" if number else stem) in taken:
            number += 1
        taken.add(new)
        found[name] = new
    return found


def _is_named_by_keras(entry: Any) -> bool:
    """Return whether `entry` is an operation of Keras, no layer, under its class's name."""
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return False
    name, kind = entry.get("name"), str(entry.get("class_name"))
    of_keras = str(entry.get("module")).startswith(("keras.src.ops.", "keras.ops"))
    return of_keras and isinstance(name, str) and _stem(name).replace("_", "") == kind.lower()


def _stem(name: str) -> str:
    return re.sub(r"_\d+$", "", name)
