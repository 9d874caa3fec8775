"""Every command is called from a fresh folder."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path, monkeypatch):
    """Whatever is written where the command is called lands in a fresh folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
