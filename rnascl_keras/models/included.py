"""Files of models that come with the package, by name."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.models.hub import model_file

MODEL = ".keras"


def included(kind: str) -> dict[str, Path]:
    """Return the Keras files of a kind, by their names in order.

    Args:
        kind: the folder in `recipes/` that holds them, "teachers" or "students".
    """
    folder = Path(str(importlib.resources.files("rnascl_keras.recipes"))) / kind
    return {file.stem: file for file in sorted(folder.glob(f"*{MODEL}"))}


def card_title(kind: str, name: str) -> str:
    """Return the title of a model's card without its name, "" where it has no card."""
    card = included(kind)[name].with_suffix(".md")
    # with or without a block of metadata in front
    text = "\n" + card.read_text() if card.exists() else ""
    return text.partition(f"\n# {name}: ")[2].partition("\n")[0]


def included_or_given(setting: str, named: str, *kinds: str) -> Path:
    """Return the file that a setting of a recipe names: one included, a path, or one of the hub.

    Args:
        setting: begins an error's message, e.g. "teacher.weights".
        named: what the user wrote there.
        kinds: of what is included that may be meant, as of `included`.

    Raises:
        UserError: there is neither such a file nor such a model, or it cannot be fetched.
    """
    own = {name: file for kind in kinds for name, file in included(kind).items()}
    if named in own:
        return own[named]
    file = model_file(named)
    if not file.is_file():
        raise UserError(
            f"{setting}: there is no file {named}, and none of that name comes with the package; "
            f"these do: {', '.join(own)}.{nearest(named, list(own))}"
        )
    return file
