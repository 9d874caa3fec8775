"""Imports point one way: the contracts of pyproject.toml, held by import-linter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_imports_point_one_way(tmp_path):
    """On the package as it is installed, with `export` and `recipes` inside."""
    package = tmp_path / "rnascl_keras"
    shutil.copytree(ROOT / "rnascl_keras", package)
    for name in ("export", "recipes"):
        shutil.copytree(ROOT / name, package / name, ignore=shutil.ignore_patterns("teachers"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
