"""The time that a stage takes, over all processes that work on it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rnascl_keras.errors import Stopped, UserError
from rnascl_keras.run import clock as module
from rnascl_keras.run.clock import Clock
from rnascl_keras.run.stamps import durations
from rnascl_keras.run.workdir import Run


def noted(path) -> float:
    return json.loads(path.read_text())["seconds"]


def test_what_earlier_processes_spent_on_the_same_is_counted(tmp_path):
    path = tmp_path / "spent.json"
    with pytest.raises(Stopped), Clock(path, "this"):
        time.sleep(0.05)
        raise Stopped
    first = noted(path)
    assert first >= 0.05
    with Clock(path, "this") as clock:
        assert first <= clock.seconds
    assert noted(path) >= first
    assert Clock(path, "another").seconds < first
    clock.remove()
    assert not path.exists()


def test_a_refusal_changes_no_file(tmp_path):
    path = tmp_path / "spent.json"
    with pytest.raises(UserError), Clock(path, "this"):
        raise UserError("no")
    assert not path.exists()


def test_time_that_is_none_is_told(tmp_path):
    path = tmp_path / "spent.json"
    path.write_text('{"signature": "this", "seconds": "long"}')
    with pytest.raises(UserError, match="spent.json is not the time spent"):
        Clock(path, "this")


KILLED = """
import sys, time
from pathlib import Path
from rnascl_keras.run import clock
clock.INTERVAL = 0.01
with clock.Clock(Path(sys.argv[1]), "this"):
    time.sleep(60)
"""


def test_a_killed_process_leaves_its_time(tmp_path):
    path = tmp_path / "spent.json"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)]) as process:
        while not path.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert Clock(path, "this").seconds > 0
    assert module.INTERVAL > 1


def test_the_report_s_duration_holds_the_processes_before(unsearched, tiny, rnascl, monkeypatch):
    """Stopped between the epochs; the time so far is made long enough to be seen."""
    from rnascl_keras.method.callbacks import ChoiceHistory
    from rnascl_keras.recipe import load_recipe

    with monkeypatch.context() as patch:

        def stop(self, epoch, logs=None):
            raise Stopped

        patch.setattr(ChoiceHistory, "on_epoch_end", stop)
        assert rnascl("search", tiny, "--workdir", unsearched).code == 75
    run = Run(load_recipe(str(tiny)), unsearched)
    spent = run.spent("search")
    spent.write_text(json.dumps(json.loads(spent.read_text()) | {"seconds": 5_000.0}))
    assert rnascl("search", tiny, "--workdir", unsearched).code == 0
    assert 5_000 < durations(run)["search"] < 6_000
    assert not spent.exists()
