"""How a file names its classes: what `rnascl` writes into the metadata of those it exports."""

from __future__ import annotations

import json
from collections.abc import Mapping


def stated_class_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names, in the order of the outputs; none of a file that does not state them.

    Args:
        metadata: of the file, texts by name.
    """
    try:
        names = json.loads(metadata.get("class_names", "null"))
    except (ValueError, RecursionError):  # somebody else's words under that name
        return ()
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if is_list else ()
