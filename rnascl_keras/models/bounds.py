"""Limits for `.keras` files from anywhere: looked at before they are built, and before they run."""

from __future__ import annotations

import json
import math
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnascl_keras.errors import UserError, printable
from rnascl_keras.hardware import memory
from rnascl_keras.units import count, size

if TYPE_CHECKING:
    import keras

MOST_CONFIG = 16 * 2**20
"""Bytes of a model's description; a network of a thousand layers has one or two million."""
MOST_LAYERS = 1500
"""Layers, each counted as often as it is used: the largest of keras.applications, NASNetLarge, has
1,041. Keras takes some 8 ms for each, and builds no chain of a thousand: it recurses along it."""
DEEPEST = 100
"""Brackets in brackets of a description; a model in a model takes four, and some ten calls of
Python's thousand."""
BUILDING, BUILT_A_SECOND = 10.0, 5_000_000
"""Seconds that building may compute, and one more for as many bytes of the file: a network that
is large to build has large weights."""
MOST_OBJECTS = 20_000
"""Layers, initialisers and the like: Keras takes minutes to build more. An EfficientNetV2-L has
some 6,000."""
MOST_VALUES = 2**28
"""Values that one layer may give for one image; those of large networks are a hundredth of it."""
BATCH, VALUE = 128, 4
"""Images that are shown at a time, and bytes of a value."""
HDF5 = b"\x89HDF\r\n\x1a\n"
"""How a file of that form begins."""
MEMORY_SHARE = 0.75
"""Of the machine's memory, what a layer may give for a batch."""
EXPANSION, SMALL = 8, 2**26
"""Weights of as many times a file's bytes, and these bytes of them more, may be built: a file can
be compressed, and its weights be kept in a byte each."""


def from_h5(path: str) -> str:
    """Return what to type in Python to make a `.keras` file of an `.h5` file."""
    made = Path(path).with_suffix(".keras").name
    return f"keras.models.load_model({path!r}).save({made!r})"


def check_description(path: Path) -> None:
    """Raise UserError where a file describes more than Keras can build in reasonable time, unpacks
    to far more than it is, or is none; what else is wrong with it is left to Keras, which says so.
    """
    if path.exists() and not path.is_file():  # a pipe or a device could be read for ever
        raise UserError(f"{path} is no regular file; give a .keras file.")
    if path.exists() and path.suffix == ".keras" and not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begins = file.read(len(HDF5))
        if begins == HDF5:
            raise UserError(
                f"{path} cannot be loaded as a Keras model: it is HDF5, the form of .h5 files. "
                f"Rename it to {path.stem}.h5, and save it anew: {from_h5(f'{path.stem}.h5')}."
            )
        raise UserError(
            f"{path} cannot be loaded as a Keras model: it is no archive, as .keras files are, or "
            "it is cut short. Save it again, or give another."
        )
    try:
        with zipfile.ZipFile(path) as file:
            unpacked, holds = sum(x.file_size for x in file.infolist()), path.stat().st_size
            if unpacked > EXPANSION * holds + SMALL:
                raise UserError(
                    f"{path} holds {size(holds)}, and unpacked {size(unpacked)}; save it again, or "
                    "give another."
                )
            if file.getinfo("config.json").file_size > MOST_CONFIG:
                raise UserError(
                    f"{path} describes its model in more than {count(MOST_CONFIG)}B; a classifier "
                    "takes far less. Save it again, or another."
                )
            described = json.loads(file.read("config.json"))
    except UserError:
        raise
    except RecursionError:
        raise _too_deep(path) from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return
    layers = objects = 0
    for part, depth in _parts(described):
        if depth > DEEPEST:
            raise _too_deep(path)
        objects += "class_name" in part
        layers += _uses(part.get("layers"))
    for found, most, what in (
        (layers, MOST_LAYERS, "layers"),
        (objects, MOST_OBJECTS, "layers and other objects"),
    ):
        if found > most:
            raise UserError(
                f"{path} describes {found:,} {what}; at most {most:,} are built. Give a smaller "
                "classifier."
            )


@contextmanager
def limited_building(path: Path) -> Iterator[None]:
    """Refuse the model that is built inside where it wants more weights than its file can hold, or
    takes far longer than a file of its size warrants.

    Keras builds a layer before it looks for its weights, so that a short description alone would
    take all memory; and a few words of it can stand for thousands of layers' work.

    Raises:
        UserError: it does, whatever Keras makes of what is raised inside.
    """
    import keras

    holds = path.stat().st_size if path.exists() else 0
    kind: Any = keras.layers.Layer  # whose method is ours as long as this lasts
    wanted, refused, add, call = 0, [], kind.add_weight, kind.__call__
    allowed = BUILDING + holds / BUILT_A_SECOND
    end = time.thread_time() + allowed

    def refuse(reason: str) -> None:
        refused.append(UserError(f"{path} {reason}; save it again, or give another."))
        raise refused[0]

    def check_time() -> None:
        if time.thread_time() > end:
            refuse(f"takes more than {allowed:.0f} s to build, and holds {size(holds)}")

    def timed(layer: Any, *given: Any, **settings: Any) -> Any:
        check_time()
        return call(layer, *given, **settings)

    def counted(layer: Any, *given: Any, **settings: Any) -> Any:
        nonlocal wanted
        shape = given[0] if given else settings.get("shape")
        wanted += VALUE * math.prod(_sides(shape))
        if wanted > EXPANSION * holds + SMALL:
            refuse(f"describes weights of {size(wanted)} or more, and holds {size(holds)}")
        check_time()
        return add(layer, *given, **settings)

    kind.add_weight, kind.__call__ = counted, timed
    try:
        yield
    except Exception as error:
        raise (refused or [error])[0] from None
    finally:
        kind.add_weight, kind.__call__ = add, call


def check_sizes(model: keras.Model, path: Path) -> None:
    """Raise UserError where a layer would give more than any image classifier needs, or than a
    batch of images may take of this machine."""
    most = min(MOST_VALUES, int(MEMORY_SHARE * memory() / (BATCH * VALUE)))
    for layer, shape in _outputs(model):
        sizes = [size for size in shape[1:] if isinstance(size, int)]
        if math.prod(sizes) > most:
            raise UserError(
                f"{path}: layer {printable(layer)!r} gives {tuple(shape)}, more than "
                f"{most:,} values for an image; no classifier needs them, and {BATCH} images at a "
                "time would not fit this machine's memory."
            )


def _sides(shape: Any) -> list[int]:
    """Return the sides of a weight that are said in numbers."""
    sides = [shape] if isinstance(shape, int) else list(shape or ())
    return [side for side in sides if isinstance(side, int)]


def _parts(described: Any) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield every dictionary in a description, and how many brackets lie around what is in it."""
    pending = [(described, 1)]
    while pending:
        part, depth = pending.pop()
        if isinstance(part, dict):
            yield part, depth
            pending.extend((inner, depth + 1) for inner in part.values())
        elif isinstance(part, list):
            pending.extend((inner, depth + 1) for inner in part if isinstance(inner, dict | list))


def _uses(layers: Any) -> int:
    """Return how often the layers of a model are called, each once at least."""
    if not isinstance(layers, list):
        return 0
    nodes = [layer.get("inbound_nodes") for layer in layers if isinstance(layer, dict)]
    return sum(len(each) if isinstance(each, list) and each else 1 for each in nodes)


def _too_deep(path: Path) -> UserError:
    return UserError(
        f"{path} describes layers more than {DEEPEST // 4} deep in each other; flatten the model, "
        "or give another."
    )


def _outputs(model: Any) -> Iterator[tuple[str, tuple]]:
    """Yield the name of every operation and the shape of what it gives, also in nested models."""
    pending = [model]
    while pending:
        for operation in getattr(pending.pop(), "operations", []):
            if hasattr(operation, "operations"):
                pending.append(operation)
            for node in operation._inbound_nodes:
                for tensor in node.output_tensors:
                    yield operation.name, tuple(tensor.shape or ())
