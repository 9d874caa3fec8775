"""From what a result was made, as a short hash, and where that is noted."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import read_json


def digest(content: Any) -> str:
    """Return a short hash of plain values."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def signature_in(note: Path) -> str | None:
    """Return the signature that a file notes; None where it does not, or is spoiled."""
    with suppress(UserError):
        noted = read_json(note) if note.exists() else None
        return noted.get("signature") if isinstance(noted, dict) else None
    return None
