"""Real processes told to stop, killed, out of room: the same command goes on to the same end."""

import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from rnascl_keras.errors import Stopped
from rnascl_keras.run.stopping import StopRequest, stopped_by_sigterm

MAIN = "from rnascl_keras.cli import main; main()"
STOPPED_IN_THE_SECOND_EPOCH = """
import os, signal
from rnascl_keras.run.checkpoint import Checkpoint
from rnascl_keras.cli import main


save = Checkpoint.on_train_batch_end

def tell(self, batch, logs=None):
    if self.path.exists() and batch == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    save(self, batch, logs)

Checkpoint.on_train_batch_end = tell
main()
"""


def assert_same_end(folder, whole_run):
    for file in ("architecture.json", "search/outcome.json", "search/choices.csv"):
        assert (folder / file).read_text() == (whole_run.folder / file).read_text(), file


def started(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_told_to_stop_inside_an_epoch(unsearched, tiny, rnascl, whole_run):
    with started(STOPPED_IN_THE_SECOND_EPOCH, "search", tiny, "--workdir", unsearched) as process:
        error = process.communicate()[1]
    assert process.returncode == 75
    assert error.splitlines()[-1] == (
        "rnascl: stopped by SIGTERM; the same command goes on from there."
    )
    assert not (unsearched / ".stages" / "lock").exists()
    result = rnascl("run", tiny, "--workdir", unsearched)
    assert result.code == 0
    assert "search: goes on after epoch 1 and 2 steps of 2" in result.err
    assert_same_end(unsearched, whole_run)


@pytest.mark.parametrize(
    ("stop", "code", "how"),
    [(Stopped, 75, "stopped by SIGTERM"), (KeyboardInterrupt, 130, "stopped")],
)
@pytest.mark.parametrize("command", [("evaluate", "m.keras"), ("attack", "m.onnx")])
def test_what_keeps_nothing_does_not_go_on(rnascl, monkeypatch, command, stop, code, how):
    def work(*arguments, **settings):
        raise stop

    monkeypatch.setattr("rnascl_keras.evaluation.keras_file.evaluate_file", work)
    monkeypatch.setattr("rnascl_keras.evaluation.onnx_file.attack_files", work)
    result = rnascl(*command, "--data", "digits")
    assert result.code == code
    assert result.err == f"rnascl: {how}; nothing was kept, and the same command begins anew.\n"


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, tiny, whole_run, snapshot):
    """No moment leaves a half file or another end."""
    folder, pause = tmp_path / "work", random.Random(0)
    kills = 0
    for patience in range(5, 90, 5):
        command = ("run", tiny, "--workdir", folder, "--save-every-steps", 1)
        with started(MAIN, *command) as process:
            try:
                error = process.communicate(timeout=pause.uniform(0, 4) + patience)[1]
                assert process.returncode == 0, error
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
    assert kills > 0 and (folder / "report.json").exists()
    assert_same_end(folder, whole_run)
    ours, theirs = snapshot(folder), snapshot(whole_run.folder)
    assert {name for name in ours if "tfevents" not in name} == {
        name for name in theirs if "tfevents" not in name
    }


def test_a_full_disk_is_told_and_what_was_saved_stays(unsearched, tiny, rnascl, whole_run):
    """No file may grow beyond some bytes: the checkpoint, then the weights do not fit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        result = rnascl("search", tiny, "--workdir", unsearched)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.code == 2
    assert "search:" in result.err.splitlines()[-1]
    assert "make room and give the same command" in result.err.splitlines()[-1]
    assert not [path.name for path in unsearched.rglob("part_*")]
    assert rnascl("run", tiny, "--workdir", unsearched).code == 0
    assert_same_end(unsearched, whole_run)


def test_sigterm_is_noted_or_raised_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_sigterm():
        request = StopRequest()
        with stopped_by_sigterm(request.note):
            assert not request.is_requested()
            os.kill(os.getpid(), signal.SIGTERM)
            assert request.is_requested()
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) == before


def test_nobody_takes_the_stop_for_a_fault_of_what_he_does():
    """As whoever tries a stranger's file, or a tuner its trials, takes every error."""
    with stopped_by_sigterm(), pytest.raises(Stopped):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Exception:
            pytest.fail("it was taken for one")


def test_workers_agree_to_stop_if_any_of_them_is_asked():
    request = StopRequest(any_worker=lambda noted: True)
    assert request.is_requested()
