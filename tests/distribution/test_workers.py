"""Two real processes that search together over loopback; and what if one of them dies."""

import json
import shutil
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from workers import finished, started

HERE = Path(__file__).parents[1]
SYNCHRONIZED = ("--set", "distribution.synchronized_batch_norm=true")
SLOWLY = ("--set", "search.learning_rate=0.01")
"""At the recipe's 0.05 one process alone, with oneDNN's kernels or without, ends 0.005 apart."""


def weights(folder):
    found = []
    with h5py.File(folder / "search" / "supernet.weights.h5") as file:
        file.visititems(lambda _, x: found.append(x[()]) if isinstance(x, h5py.Dataset) else None)
    return found


def outcome(folder):
    return json.loads((folder / "search" / "outcome.json").read_text())


def log(folder, index):
    return (folder / f"worker{index}.log").read_text()


def assert_same_search(folder, other):
    """Equal but for float32's rounding, which Adam, dividing by tiny gradients, makes visible; in
    float64 see `test_two_workers_train_as_one`."""
    for ours, theirs in zip(weights(folder), weights(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=1e-3)
    ours, theirs = outcome(folder), outcome(other)
    np.testing.assert_allclose(ours["tutor_logits"], theirs["tutor_logits"], atol=2e-3)
    assert ours["channel_logits"].keys() == theirs["channel_logits"].keys()
    for choice, logits in theirs["channel_logits"].items():
        np.testing.assert_allclose(ours["channel_logits"][choice], logits, atol=2e-3)


def test_two_workers_search_as_one_process(unsearched, tiny, tmp_path, rnascl):
    """The chief alone writes and speaks; then one process goes on with what they made."""
    alone = Path(shutil.copytree(unsearched, tmp_path / "alone"))
    command = ("search", tiny, *SLOWLY, "--workdir")
    assert rnascl(*command, alone).code == 0
    with started(*command, unsearched, *SYNCHRONIZED, logs=tmp_path) as processes:
        assert finished(processes) == [0, 0], log(tmp_path, 0) + log(tmp_path, 1)
    assert "2 epochs of 4 batches of 60 images on 2 replicas" in log(tmp_path, 0)
    assert "search:" not in log(tmp_path, 1) and "Epoch" not in log(tmp_path, 1)
    assert_same_search(unsearched, alone)
    assert sorted(p.name for p in (unsearched / "search").iterdir()) == sorted(
        p.name for p in (alone / "search").iterdir()
    )
    histories = [f / "search" / "choices.csv" for f in (unsearched, alone)]
    assert len({len(path.read_text().splitlines()) for path in histories}) == 1
    assert not (unsearched / ".stages" / "lock").exists()
    result = rnascl(*command, unsearched)
    assert "search: already done from the same settings" in result.err


def assert_trained_as_one(logs, *models):
    code = (HERE / "replicas_script.py").read_text()
    with started("workers", *models, logs=logs, code=code) as processes:
        assert finished(processes) == [0, 0], log(logs, 0) + log(logs, 1)
    for index in (0, 1):
        assert log(logs, index).endswith("".join(f"{model} equal\n" for model in models))


def test_two_workers_train_as_one(tmp_path, monkeypatch):
    """To float64's rounding: weights, Gumbel variables, both optimizers after five steps."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    assert_trained_as_one(tmp_path, "search")


@pytest.mark.slow
def test_two_workers_train_every_other_model_as_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    assert_trained_as_one(tmp_path, "distiller", "trades", "pgd", "trades_teacher")


def wait_for(path, processes):
    while not path.exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_one_of_two_workers_is_killed(unsearched, tiny, tmp_path, victim):
    """The other one ends with a clear message within a minute; started again, they go on."""
    command = ("search", tiny, "--workdir", unsearched, "--set", "search.epochs=60")
    with started(*command, logs=tmp_path) as processes:
        wait_for(unsearched / ".stages" / "search_checkpoint.npz", processes)
        processes[victim].send_signal(signal.SIGKILL)
        begin = time.monotonic()
        codes = finished(processes, timeout=60)
        assert time.monotonic() - begin < 60
    assert codes[victim] == -signal.SIGKILL and codes[1 - victim] == 75
    assert "a worker does not answer any more; start all" in log(tmp_path, 1 - victim)
    assert "Traceback" not in log(tmp_path, 1 - victim)

    with started(*command, logs=tmp_path) as processes:
        assert finished(processes) == [0, 0]
    assert "search: goes on after epoch" in log(tmp_path, 0)
    assert len(outcome(unsearched)["tutor_logits"]) > 0


@pytest.mark.slow
def test_one_of_two_workers_is_told_to_stop(unsearched, tiny, tmp_path, rnascl):
    """Both stop after the same step and exit with 75; one process can go on."""
    command = ("search", tiny, "--workdir", unsearched, "--set", "search.epochs=60")
    with started(*command, logs=tmp_path) as processes:
        wait_for(unsearched / ".stages" / "search_checkpoint.npz", processes)
        processes[1].send_signal(signal.SIGTERM)
        assert finished(processes, timeout=60) == [75, 75]
    assert "stopped by SIGTERM; the same command goes on" in log(tmp_path, 0)
    result = rnascl(*command)
    assert result.code == 0 and "search: goes on after epoch" in result.err


@pytest.mark.slow
def test_plain_fit_and_evaluate_under_several_workers(tmp_path, monkeypatch):
    """What Keras' own models cannot (keras-team/keras#20585); with short last batches."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    code = (HERE / "plain_fit_script.py").read_text()
    with started(logs=tmp_path, code=code) as processes:
        assert finished(processes) == [0, 0], log(tmp_path, 0) + log(tmp_path, 1)
    results = [log(tmp_path, index).splitlines()[-1] for index in (0, 1)]
    assert results[0].startswith("result") and results[0] == results[1]
