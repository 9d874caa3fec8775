from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from rnascl_keras.run import stamps
from rnascl_keras.run.checkpoint import Checkpoint

# `tiny` has no cache: it asks the teacher in every step; test_cache_run.py is about one that has.
STAGE_NAMES = tuple(name for name in stamps.STAGE_NAMES if name != "cache")
MODELS = ("teacher", "student", "student_trades")


def read(path):
    return json.loads(path.read_text())


def weights(path):
    return [np.asarray(v) for v in keras.models.load_model(path, compile=False).variables]


def assert_same_weights(one, other):
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def done_stages(result):
    """Return the stages that a command skipped."""
    return [n for n in STAGE_NAMES if f"{n}: already done from the same settings" in result.err]


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    tmp_path, tiny, rnascl, whole_run, monkeypatch, snapshot
):
    """Stopped in the middle of every training, and after derive and export before they were noted
    as done: the same command goes on each time, and another folder ends with the same files."""
    stops = ["teacher", "search", "train", "finetune", "derive", "export"]
    save, stamp = Checkpoint.on_epoch_end, stamps.write_stamp

    def stop_at(stage):
        if stage in stops:
            stops.remove(stage)
            raise KeyboardInterrupt

    def save_and_stop(self, epoch, logs=None):
        save(self, epoch, logs)
        stop_at(self.path.name.removesuffix("_checkpoint.npz"))

    def stop_or_stamp(run, stage, *rest):
        stop_at(stage.name)
        stamp(run, stage, *rest)

    monkeypatch.setattr(Checkpoint, "on_epoch_end", save_and_stop)
    monkeypatch.setattr(stamps, "write_stamp", stop_or_stamp)
    folder = tmp_path / "work"
    done = 0
    for stage in ("teacher", "search", "derive", "train", "finetune", "export"):
        result = rnascl("run", tiny, "--workdir", folder)
        assert result.code == 130
        assert "the same command goes on" in result.err.splitlines()[-1]
        assert done_stages(result) == list(STAGE_NAMES[:done])
        done = STAGE_NAMES.index(stage)
        assert stage not in stops
        assert not (folder / ".stages" / f"{stage}.json").exists()
    assert rnascl("export", tiny, "--workdir", folder).code == 0

    for file in ("architecture.json", "search/outcome.json", "search/choices.csv"):
        assert (folder / file).read_text() == (whole_run.folder / file).read_text(), file
    for model in MODELS:
        assert_same_weights(folder / f"{model}.keras", whole_run.folder / f"{model}.keras")
    assert not [name for name in snapshot(folder) if "part" in name or "checkpoint" in name]


KILLED = """
import os, signal, sys
from rnascl_keras.run.checkpoint import Checkpoint
from rnascl_keras.cli import main

def kill_in_the_second_epoch(self, batch, logs=None):
    if self.path.exists() and batch == 1:
        os.kill(os.getpid(), signal.SIGKILL)

Checkpoint.on_train_batch_end = kill_in_the_second_epoch
main()
"""


def test_a_search_that_was_killed_goes_on(work, tiny, rnascl, whole_run):
    """A real process, killed by SIGKILL between two batches of the second epoch."""
    shutil.rmtree(work / "search")
    for name in ("architecture.json", ".stages/search.json", ".stages/derive.json"):
        (work / name).unlink()
    command = [sys.executable, "-c", KILLED, "search", tiny, "--workdir", work]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    process = subprocess.run(command, env=environment, capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert (work / ".stages" / "search_checkpoint.npz").exists()
    assert not (work / "search" / "outcome.json").exists()

    result = rnascl("run", tiny, "--workdir", work)
    assert result.code == 0
    assert "search: goes on after epoch 1 of 2" in result.err
    assert not (work / ".stages" / "search_checkpoint.npz").exists()
    for file in ("architecture.json", "search/outcome.json", "search/choices.csv"):
        assert (work / file).read_text() == (whole_run.folder / file).read_text(), file


def test_another_seed_gives_another_search(work, tiny, rnascl, whole_run):
    """So that the equalities above are not those of constants."""
    result = rnascl("search", tiny, "--workdir", work, "--set", "seed=1", "--overwrite")
    assert result.code == 0
    ours, theirs = (read(f / "search" / "outcome.json") for f in (work, whole_run.folder))
    assert ours["tutor_logits"] != theirs["tutor_logits"]


def test_a_given_teacher_is_used_and_looked_at_again_when_it_changes(
    tmp_path, tiny, rnascl, whole_run
):
    given, folder = tmp_path / "given.keras", tmp_path / "work"
    shutil.copyfile(whole_run.folder / "teacher.keras", given)
    command = ("teacher", tiny, "--workdir", folder, "--set", f"teacher.weights={given}")
    assert rnascl(*command).code == 0
    assert_same_weights(folder / "teacher.keras", given)
    assert done_stages(rnascl(*command)) == ["teacher"]

    model = keras.models.load_model(given, compile=False)
    model.trainable_variables[0].assign_add(np.ones(model.trainable_variables[0].shape))
    model.save(given)
    assert done_stages(rnascl(*command)) == []
    assert_same_weights(folder / "teacher.keras", given)
    assert weights(given)[0] != pytest.approx(weights(whole_run.folder / "teacher.keras")[0])
