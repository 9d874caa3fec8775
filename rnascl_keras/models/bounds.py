"""Limits for `.keras` files from anywhere: looked at before they are built, and before they run."""

from __future__ import annotations

import json
import math
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

MOST_CONFIG = 64 * 2**20
"""Bytes of a model's description; a network of a thousand layers has one or two million."""
MOST_OBJECTS = 20_000
"""Layers, initialisers and the like: Keras takes minutes to build more. An EfficientNetV2-L has
some 6,000."""
MOST_VALUES = 2**28
"""Values that one layer may give for one image; those of large networks are a hundredth of it."""
BATCH, VALUE = 128, 4
"""Images that are shown at a time, and bytes of a value."""
MEMORY_SHARE = 0.75
"""Of the machine's memory, what a layer may give for a batch."""
EXPANSION, SMALL = 8, 2**26
"""Weights of as many times a file's bytes, and these bytes of them more, may be built: a file can
be compressed, and its weights be kept in a byte each."""


def check_description(path: Path) -> None:
    """Raise UserError where a file describes more than Keras can build in reasonable time; what is
    no `.keras` file at all is left to Keras, which says so."""
    try:
        with zipfile.ZipFile(path) as file:
            if file.getinfo("config.json").file_size > MOST_CONFIG:
                raise UserError(
                    f"{path} describes its model in more than {count(MOST_CONFIG)}B; a classifier "
                    "takes far less. Save it again, or another."
                )
            described = json.loads(file.read("config.json"))
    except UserError:
        raise
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError):
        return
    objects = sum(1 for part in _parts(described) if "class_name" in part)
    if objects > MOST_OBJECTS:
        raise UserError(
            f"{path} describes {objects:,} layers and other objects; at most {MOST_OBJECTS:,} are "
            "built. Give a smaller classifier."
        )


@contextmanager
def limited_weights(path: Path) -> Iterator[None]:
    """Refuse the model that is built inside where it wants more weights than its file can hold.

    Keras builds a layer before it looks for its weights, so that a short description alone would
    take all memory.

    Raises:
        UserError: it does, whatever Keras makes of what is raised inside.
    """
    import keras

    holds = path.stat().st_size if path.exists() else 0
    kind: Any = keras.layers.Layer  # whose method is ours as long as this lasts
    wanted, refused, add = 0, [], kind.add_weight

    def counted(layer: Any, *given: Any, **settings: Any) -> Any:
        nonlocal wanted
        shape = given[0] if given else settings.get("shape")
        wanted += VALUE * math.prod(_sides(shape))
        if wanted > EXPANSION * holds + SMALL:
            reason = f"{path} describes weights of {size(wanted)} or more, and holds {size(holds)}"
            refused.append(UserError(f"{reason}; save it again, or give another."))
            raise refused[0]
        return add(layer, *given, **settings)

    kind.add_weight = counted
    try:
        yield
    except Exception as error:
        raise (refused or [error])[0] from None
    finally:
        kind.add_weight = add


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


def _parts(described: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary in a description."""
    pending = [described]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)


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
