"""Trainings written down where a team looks: for real, where MLflow or wandb is installed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.models.saving import load_model
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.tracking import TrackedTraining, tracked
from rnascl_keras.run.workdir import Run


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """MLflow's store of files, in a folder of the test's own; returns its client."""
    import mlflow

    address = (tmp_path / "store").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "digits")
    mlflow.set_tracking_uri(address)
    yield mlflow.MlflowClient(address)
    mlflow.set_tracking_uri(None)


def runs_in(client):
    (experiment,) = client.search_experiments(filter_string="name = 'digits'")
    return client.search_runs([experiment.experiment_id])


@needs("mlflow")
def test_mlflow_holds_what_keras_prints_of_every_epoch(store, tiny, tmp_path, rnascl):
    result = rnascl("teacher", tiny, "--workdir", tmp_path / "run", "--log", "mlflow")
    assert result.code == 0, result.err
    printed = [float(loss) for loss in re.findall(r" loss: ([\d.]+)", result.out)]
    (run,) = runs_in(store)
    history = store.get_metric_history(run.info.run_id, "loss")
    assert [metric.step for metric in history] == [0, 1]
    assert [metric.value for metric in history] == pytest.approx(printed, abs=6e-5)
    assert run.info.run_name == "tiny/teacher" and run.info.status == "FINISHED"
    told = {"teacher.epsilon": "0.1", "data.source": "digits", "seed": "0"}
    assert told.items() <= run.data.params.items()


@needs("mlflow")
def test_what_is_trained_is_the_same_with_and_without(store, tiny, tmp_path, rnascl):
    for name, asked in (("without", ()), ("with", ("--log", "mlflow"))):
        result = rnascl("teacher", tiny, "--workdir", tmp_path / name, *asked)
        assert result.code == 0, result.err
    weights = [load_model(tmp_path / name / "teacher.keras") for name in ("with", "without")]
    for one, other in zip(*(model.variables for model in weights), strict=True):
        np.testing.assert_array_equal(one, other)


@needs("mlflow")
def test_a_training_that_goes_on_goes_on_in_its_run(store, tiny, tmp_path):
    with pytest.raises(KeyboardInterrupt), begun(tiny, tmp_path, "mlflow") as (callback,):
        callback.on_epoch_end(0, {"loss": 3.0})
        raise KeyboardInterrupt
    (run,) = runs_in(store)
    assert run.info.status == "FAILED"
    with begun(tiny, tmp_path, "mlflow", goes_on=True) as (callback,):
        callback.on_epoch_end(1, {"loss": 2.0})
    (run,) = runs_in(store)
    history = store.get_metric_history(run.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(0, 3.0), (1, 2.0)]
    assert run.info.status == "FINISHED"
    with begun(tiny, tmp_path / "elsewhere", "mlflow", goes_on=True):
        assert len(runs_in(store)) == 2


@needs("mlflow")
def test_a_store_that_is_gone_ends_no_training(store, tiny, tmp_path, monkeypatch):
    import mlflow

    said = []

    def gone(*_):
        raise ConnectionError("no route to the server")

    with begun(tiny, tmp_path, "mlflow", say=said.append) as (callback,):
        monkeypatch.setattr(mlflow, "log_metrics", gone)
        callback.on_epoch_end(0, {"loss": 3.0})
        callback.on_epoch_end(1, {"loss": 2.0})
    assert said == ["teacher: MLflow is told no more of it: no route to the server"]


@needs("mlflow")
def test_a_store_that_cannot_begin_is_one_line(tiny, tmp_path, monkeypatch):
    import mlflow

    mlflow.set_tracking_uri("nowhere://here")
    refusal = pytest.raises(UserError, match="--log mlflow cannot begin: .*leave it out")
    with refusal, begun(tiny, tmp_path, "mlflow"):
        pass
    mlflow.set_tracking_uri(None)


@needs("wandb")
def test_wandb_writes_every_epoch_down_offline(tiny, tmp_path):
    """In a process of its own: the file is whole when that has ended."""
    command = [sys.executable, "-m", "rnascl_keras", "teacher", tiny, "--log", "wandb"]
    env = os.environ | {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}
    done = subprocess.run(
        [*map(str, command), "--workdir", str(tmp_path / "run")],
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    written = file.read_bytes()
    assert written.count(b"epoch/loss") >= 2  # epochs
    assert b"tiny/teacher" in written and b"teacher.epsilon" in written


def begun(recipe, folder, tracker, goes_on=False, say=print):
    """Begin to write a teacher's training down."""
    settings = load_recipe(str(recipe))
    run = Run(settings, Path(folder), listener=say)
    training = TrackedTraining("teacher", "teacher", settings.teacher, "of these", goes_on)
    return tracked([tracker], run, training)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_what_is_not_installed_is_told_before_anything_starts(name, monkeypatch, tiny, refused):
    monkeypatch.setitem(sys.modules, name, None)
    said = refused("run", tiny, "--log", name)
    assert f"--log {name} needs {name}" in said and f"pip install 'rnascl-keras[{name}]'" in said


def test_a_tracker_that_nobody_knows_is_refused(tiny, refused):
    said = refused("train", tiny, "--log", "mlfow")
    assert "--log 'mlfow' is unknown; expected one of mlflow, wandb. Did you mean 'mlflow'?" in said


def test_a_command_that_trains_nothing_has_nothing_to_write_down(tiny, refused):
    assert "export makes none; leave it out" in refused("export", tiny, "--log", "mlflow")
