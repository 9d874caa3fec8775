"""All from which a stage is made, so that what differs can be named."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnascl_keras.assignments import flat_settings
from rnascl_keras.errors import UserError
from rnascl_keras.files.shape import NOT_YET, Keys
from rnascl_keras.files.whole import read_json

ABSENT = "none"
NAMED = 8
NAMES = {"views": "cache.views"}


class MadeFrom(Keys):
    """What is noted of an origin."""

    settings: dict[str, Any]
    inputs: dict[str, str]
    outside: dict[str, str]


class Noted(Keys):
    """An origin as it is noted; earlier versions noted the signature alone."""

    signature: str
    made_from: MadeFrom = NOT_YET


@dataclass(frozen=True)
class Origin:
    """What a stage, or a row of a comparison, is made from.

    Attributes:
        signature: a hash of it all.
        settings: by section, or by single setting in one: its dumped value.
        inputs: by name in the work folder, the hash of a file made by an earlier stage.
        outside: by what it is, the hash of what lies outside the work folder: files, and the data
            where they are no data set known by its name.
    """

    signature: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    outside: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as it is noted: `signature`, and `made_from`."""
        noted = {"settings": self.settings, "inputs": self.inputs, "outside": self.outside}
        return {"signature": self.signature, "made_from": noted}

    def alike(self, noted: dict[str, Any], measuring: Collection[str]) -> bool:
        """Return whether what is noted was trained as it would be now, however it was measured.

        Args:
            noted: as `as_dict` returns it.
            measuring: settings that say what is measured of it only.
        """
        if (made_from := noted.get("made_from")) is None:
            return noted["signature"] == self.signature
        there, here = (
            {key: value for key, value in settings.items() if key not in measuring}
            for settings in (made_from["settings"], self.settings)
        )
        files = made_from["inputs"] == self.inputs and made_from["outside"] == self.outside
        return there == here and files


def differences(noted: dict[str, Any], now: Origin) -> list[str]:
    """Return in what something that is there differs from what would be made now.

    Args:
        noted: as `Origin.as_dict`; without `made_from`, as earlier versions noted it, nothing is
            known but that it differs.
        now: of what would be made.
    """
    made_from = noted.get("made_from")
    if made_from is None:
        return ["which, is not noted there"]
    found = changed(made_from["settings"], now.settings)
    found += [f"{name} is another one" for name in _others(made_from["inputs"], now.inputs)]
    given = _others(made_from["outside"], now.outside)
    return found + [f"what is given as {name} is another one" for name in given]


def changed(
    there: dict[str, Any], now: dict[str, Any], places: tuple[str, str] = ("there", "now")
) -> list[str]:
    """Return which settings differ: ``train.epochs: 5 there, 99 now``."""
    old, new = (dict(flat_settings(settings)) for settings in (there, now))
    keys = [key for key in {**old, **new} if old.get(key, ABSENT) != new.get(key, ABSENT)]
    told = [
        f"{NAMES.get(key, key)}: {_value(old, key)} {places[0]}, {_value(new, key)} {places[1]}"
        for key in keys
    ]
    return told if len(told) <= NAMED else [*told[:NAMED], f"{len(told) - NAMED} more"]


def _value(settings: dict[str, Any], key: str) -> str:
    if key not in settings:
        return ABSENT
    value = settings[key]
    return value if isinstance(value, str) and value else json.dumps(value)


def _others(there: dict[str, str], now: dict[str, str]) -> list[str]:
    return [name for name in {**there, **now} if there.get(name) != now.get(name)]


def signature_in(note: Path) -> str | None:
    """Return the signature that a file notes; None where it does not, or is spoiled."""
    with suppress(UserError):
        noted = read_json(note) if note.exists() else None
        return noted.get("signature") if isinstance(noted, dict) else None
    return None
