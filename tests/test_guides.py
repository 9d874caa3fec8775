"""Every block of the guides runs as printed, one after the other, in one folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

GUIDES = sorted((Path(__file__).parent.parent / "docs" / "guides").glob("*.md"))
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", flags=re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_runs_as_printed(guide, tmp_path, monkeypatch, rnascl):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = BLOCK.findall(guide.read_text())
    assert blocks
    for language, text in blocks:
        if language == "python":
            exec(compile(text, guide.name, "exec"), names)
            continue
        for line in text.strip().splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "rnascl"
            result = rnascl(*words)
            assert result.code == 0, f"{line}: {result.err}"
