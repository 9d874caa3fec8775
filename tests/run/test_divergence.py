"""Trainings whose loss or weights are not finite any more: stopped, told, and nothing is lost."""

import shutil

import keras
import numpy as np
import pytest
from test_checkpoint import STEPS, fit
from tiny_models import ONE_BLOCK, make_distiller, make_search, same

from rnascl_keras.errors import Diverged, UserError
from rnascl_keras.method.callbacks import read_history
from rnascl_keras.run.checkpoint import Checkpoint
from rnascl_keras.run.divergence import StopsWhenDiverged
from rnascl_keras.run.saved_state import SavedState
from rnascl_keras.run.training_state import training_state

MADE = {
    "teacher": "teacher.keras",
    "search": "search/outcome.json",
    "train": "student.keras",
    "finetune": "student_trades.keras",
}


def spoil(model, value=np.nan):
    weights = model.classifier.trainable_variables[0]
    weights.assign(np.full(weights.shape, value))


class Spoils(keras.callbacks.Callback):
    """Makes the weights NaN after one step of all."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            spoil(self.model)


def undone(work, stage):
    """Take a stage's files out of a finished run."""
    if stage == "search":
        shutil.rmtree(work / "search")
    else:
        (work / MADE[stage]).unlink()
    (work / ".stages" / f"{stage}.json").unlink()


@pytest.mark.parametrize("stage", list(MADE))
def test_a_rate_that_is_too_high_ends_its_stage_and_a_lower_one_works(rnascl, work, tiny, stage):
    undone(work, stage)
    command = ("run", tiny, "--workdir", work)
    result = rnascl(*command, "--set", f"{stage}.learning_rate=1e30")
    assert result.code == 2
    line = result.err.splitlines()[-1]
    assert line.startswith(f"rnascl: {stage} has diverged: in epoch 1 ")
    assert f"lower {stage}.learning_rate (1e+30 now)" in line
    assert not (work / MADE[stage]).exists()
    assert not (work / ".stages" / f"{stage}.json").exists()
    result = rnascl(stage, tiny, "--workdir", work)
    assert result.code == 0, result.err
    assert "goes on" not in result.err and (work / MADE[stage]).exists()


def test_what_was_finite_last_is_kept_and_not_taken_for_other_settings(
    rnascl, unsearched, tiny, monkeypatch
):
    begin = Checkpoint.on_epoch_begin

    def spoilt_in_the_second(self, epoch, logs=None):
        begin(self, epoch, logs)
        if epoch == 1:
            spoil(self.model)

    checkpoint = unsearched / ".stages" / "search_checkpoint.npz"
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_epoch_begin", spoilt_in_the_second)
        result = rnascl("search", tiny, "--workdir", unsearched, "--save-every-steps", 1)
    assert result.code == 2
    line = result.err.splitlines()[-1]
    assert "search has diverged: in epoch 2 " in line
    assert f"{checkpoint} keeps what was finite last" in line
    saved = SavedState.read(checkpoint)
    assert (saved.epoch, saved.step) == (1, 0)
    assert all(np.isfinite(value).all() for value in saved.state)
    rows = read_history(unsearched / "search" / "choices.csv")
    assert {row["epoch"] for row in rows} == {"0"}

    result = rnascl("search", tiny, "--workdir", unsearched, "--set", "search.learning_rate=0.01")
    assert result.code == 0, result.err
    assert "goes on" not in result.err and not checkpoint.exists()


@pytest.mark.parametrize("make", [make_search, make_distiller])
@pytest.mark.parametrize("step", [2, STEPS, STEPS + 2])
def test_a_checkpoint_never_holds_nan(tmp_path, make, step):
    """In the middle of an epoch, at its end, and in the middle of the next."""
    checkpoint = Checkpoint(tmp_path / "state.npz", every_steps=1, steps_per_epoch=STEPS)
    with pytest.raises(Diverged, match=f"in epoch {(step - 1) // STEPS + 1} "):
        # which come after it: the next save finds it
        fit(make(space=ONE_BLOCK), checkpoint, [Spoils(step)])
    saved = SavedState.read(checkpoint.path)
    # at the end of an epoch they come after the step's save too, so before the epoch's
    done = step if step % STEPS else step - 1
    assert STEPS * saved.epoch + saved.step == done
    assert all(np.isfinite(value).all() for value in saved.state)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_any_variable_or_the_loss_ends_it(value):
    model, callback = make_search(), StopsWhenDiverged()
    callback.set_model(model)
    callback.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(Diverged, match=f"in epoch 4 the loss is {value}"):
        callback.on_epoch_end(3, {"loss": value})
    for variable in training_state(model)[::9]:
        if np.issubdtype(variable.dtype, np.floating):
            before = variable.numpy()
            variable.assign(np.full(before.shape, value))
            with pytest.raises(Diverged, match="in epoch 1 weights became NaN or infinite"):
                callback.on_epoch_end(0, {"loss": 1.0})
            variable.assign(before)


def test_a_state_of_an_earlier_version_that_holds_nan_is_passed_over(tmp_path):
    model, said = make_distiller(), []
    path = tmp_path / "state.npz"
    state = [v.numpy() for v in training_state(model)]
    broken = [np.full(v.shape, np.nan) if v.dtype.kind == "f" else v for v in state]
    SavedState(2, 0, "", broken, []).write(path)
    SavedState(1, 0, "", state, []).write(Checkpoint(path).before)
    assert Checkpoint(path, say=said.append).restore(model) == 1
    assert "NaN or infinite" in said[0]
    assert same([v.numpy() for v in training_state(model)], state)


def test_models_that_are_not_finite_are_not_worked_with(refused, work, tiny):
    for name, stages in {"student": ["finetune", "export"], "teacher": ["search"]}.items():
        model = keras.models.load_model(work / f"{name}.keras", compile=False)
        weights = model.trainable_variables[0]
        weights.assign(np.full(weights.shape, np.nan))
        model.save(work / f"{name}.keras")
        (work / "search" / "outcome.json").unlink(missing_ok=True)
        for stage in stages:
            line = refused(stage, tiny, "--workdir", work)
            assert f"{work / name}.keras holds NaN or infinite numbers" in line
    assert issubclass(Diverged, UserError)
