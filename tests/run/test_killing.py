"""kill -9 at random moments, and the same command again: see killing_script.py."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "killing_script.py"


@pytest.mark.slow
@pytest.mark.parametrize("stages", ["cache,search,train", "export,evaluate,attack"])
def test_nothing_is_lost_where_a_run_is_killed(stages):
    command = [sys.executable, SCRIPT, "--kills", "1", "--seed", "5", "--stages", stages]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1] == "tried 3, survived 3, lost 0"
