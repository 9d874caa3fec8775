"""What a JSON file has to hold, checked where it is read: it may be of another version, or edited.

Keys that are not asked for are left as they are, unless what they mean cannot be left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rnascl_keras.errors import UserError, printable

LONGEST = 60
"""Characters of a wrong value that are shown."""

NOT_YET: Any = Field(default=None)
"""Default of a key that earlier versions did not write: it may be absent, but not null."""
NEEDED: Any = Field()
"""Of a key that a class asks for, though the one it is made from does not."""


class Keys(BaseModel):
    """Keys of an object and the types of their values; others may stand beside them.

    What has a default was not written by earlier versions.
    """

    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class OnlyKeys(Keys):
    """Keys of an object that would mean something else with any other key in it."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Shape:
    """What a kind of JSON files holds.

    Attributes:
        keys: a class of `Keys`, or a dict of them.
        otherwise: what is said of a file that holds something else: ``is not ...``.
        mend: what its user does then.
    """

    keys: Any
    otherwise: str
    mend: str

    @cached_property
    def _adapter(self) -> TypeAdapter:
        return TypeAdapter(self.keys)

    def check(self, path: Path, content: Any) -> None:
        """Raise UserError, which names the file and the key, where the content is another."""
        if wrong := problem(self._adapter, content):
            raise UserError(
                f"{path} {self.otherwise} ({wrong}): it is damaged, or of another "
                f"version of this package; {self.mend}."
            )


def problem(keys: TypeAdapter, content: Any) -> str | None:
    """Say what is wrong with the first key of which something is; None where all are right."""
    try:
        keys.validate_python(content, strict=True)
    except ValidationError as error:
        return _in_words(error)
    return None


def _in_words(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = printable(".".join(map(str, first["loc"])))
    if first["type"] == "missing":
        return f"{key} is missing"
    if first["type"] == "extra_forbidden":
        return f"{key} is not known to this version"
    came = printable(repr(first["input"]))
    came = came if len(came) <= LONGEST else came[:LONGEST] + "..."
    return f"{key}: {first['msg']}; got {came}"
