"""Runs disturbed at random moments and in many ways, and ended: see tests/torture."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_nothing_is_lost_however_a_run_is_disturbed():
    command = [sys.executable, "-m", "tests.torture", "--seconds", "600", "--seed", "5"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1].endswith(", lost 0")
