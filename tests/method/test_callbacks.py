"""What happens between epochs: temperature, histories, and going on after an interruption."""

import math

import keras
import numpy as np
import pytest
from tiny_models import (
    CLASSES,
    ONE_BLOCK,
    make_distiller,
    make_search,
    same,
    tiny_batch,
    values,
)

from rnascl_keras.data import load_data
from rnascl_keras.errors import UserError
from rnascl_keras.method.callbacks import (
    ChoiceHistograms,
    ChoiceHistory,
    GumbelTemperatureDecay,
    read_history,
)
from rnascl_keras.method.robust_distillation import igdm
from rnascl_keras.method.trades import Trades
from rnascl_keras.run.checkpoint import Checkpoint, training_state

IMAGES, LABELS = tiny_batch()
EAGER = {"run_eagerly": True}


class Stop(Exception):
    pass


class StopAfter(keras.callbacks.Callback):
    """Raises after an epoch, as an interruption does."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Stop


@pytest.mark.parametrize("added", [True, False])
def test_the_temperature_falls_after_each_epoch(added):
    search = make_search(compiling=EAGER)
    callbacks = [GumbelTemperatureDecay()] if added else None
    assert search.gumbel_temperature == 5.0
    history = search.fit(IMAGES, LABELS, batch_size=20, epochs=3, verbose=0, callbacks=callbacks)
    expected = [5 * math.exp(-4.5 * epoch / 3) for epoch in range(3)]
    np.testing.assert_allclose(history.history["gumbel_temperature"], expected, rtol=1e-6)
    for choice in search.gumbel_choices:  # after the last one it is 0.0555
        assert float(choice.gumbel_temperature) == pytest.approx(5 * math.exp(-4.5))


def test_another_start_and_decay_of_the_temperature():
    search = make_search(compiling=EAGER)
    callbacks = [GumbelTemperatureDecay(start=2.0, rate=0.01)]
    history = search.fit(IMAGES, LABELS, batch_size=20, epochs=2, verbose=0, callbacks=callbacks)
    found = history.history["gumbel_temperature"]
    np.testing.assert_allclose(found, [2, 2 * math.exp(-0.5)], rtol=1e-6)
    assert search.gumbel_temperature == pytest.approx(2 * math.exp(-1))


def batches_of(data, first_epoch):
    """Digits as three classes, 20 images a batch; `fit` takes three batches an epoch."""
    pairs = data.training_batches(20, augmentation="shift", seed=3, first_epoch=first_epoch)
    return pairs.map(lambda images, labels: (images, labels % CLASSES))


def run(model, data, epochs, first=0, callbacks=()):
    settings = {"epochs": epochs, "steps_per_epoch": 3, "verbose": 0}
    model.fit(batches_of(data, first), initial_epoch=first, callbacks=list(callbacks), **settings)


MODELS = {
    "search": lambda: make_search(space=ONE_BLOCK),
    "distiller": lambda: make_distiller(
        space=ONE_BLOCK, trades=Trades(steps=1), optimizer=keras.optimizers.Adam(0.01)
    ),
    "igdm": lambda: make_distiller(
        space=ONE_BLOCK,
        robust=igdm(epsilon=0.1, step_size=0.05, steps=1),
        compiling=EAGER,
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_an_interrupted_fit_goes_on_to_the_very_same_weights(kind, tmp_path):
    digits = load_data("digits").train.take(60)
    make, path = MODELS[kind], tmp_path / "deep" / "state.npz"
    whole = make()
    run(whole, digits, 3)

    cut = make()
    with pytest.raises(Stop):
        run(cut, digits, 3, callbacks=[Checkpoint(path, "s"), StopAfter(1)])
    again = make()
    again.set_weights([np.full_like(w, 0.5) for w in again.get_weights()])  # nothing may remain
    epoch = Checkpoint(path, "s").restore(again)
    assert epoch == 2
    assert same(values(training_state(again)), values(training_state(cut)))
    run(again, digits, 3, first=epoch, callbacks=[Checkpoint(path, "s")])
    for ours, theirs in zip(training_state(again), training_state(whole), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=theirs.path)
    assert Checkpoint(path, "s").restore(make()) == 3
    assert sorted(p.name for p in path.parent.iterdir()) == ["state.npz", "state_before.npz"]


def saved(tmp_path, signature="s"):
    model = make_distiller()
    checkpoint = Checkpoint(tmp_path / "state.npz", signature)
    checkpoint.set_model(model)
    checkpoint.on_epoch_end(4)
    return model, checkpoint


def test_the_state_holds_both_optimizers_and_the_random_generators_but_no_teacher():
    search = make_search()
    paths = [v.path for v in training_state(search)]
    assert sum("seed_generator_state" in path for path in paths) == 5
    assert sum(path.endswith("iteration") for path in paths) == 2
    assert sum(path.endswith("gumbel_temperature") for path in paths) == 5
    ids = [id(v) for v in training_state(search)]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {id(v) for v in search.teacher.variables}
    assert not set(ids) & {id(v) for m in search.metrics for v in m.variables}


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 99])
def test_a_damaged_file_is_told(tmp_path, spoil):
    model, checkpoint = saved(tmp_path)
    checkpoint.path.write_bytes(spoil(checkpoint.path.read_bytes()))
    before = values(model.variables)
    with pytest.raises(UserError, match="state.npz is damaged.*delete it"):
        checkpoint.restore(model)
    assert same(values(model.variables), before)


def test_another_signature_no_file_and_another_model(tmp_path):
    model, checkpoint = saved(tmp_path)
    assert checkpoint.restore(model) == 5
    before = values(model.variables)
    assert Checkpoint(checkpoint.path, "other").restore(model) == 0
    assert Checkpoint(tmp_path / "none.npz", "s").restore(model) == 0
    assert same(values(model.variables), before)
    with pytest.raises(UserError, match="of another model"):
        checkpoint.restore(make_search())


def test_the_history_of_choices_and_its_continuation(tmp_path):
    path = tmp_path / "history.csv"
    settings = {"batch_size": 20, "verbose": 0}
    search = make_search(compiling=EAGER)
    search.fit(IMAGES, LABELS, epochs=2, callbacks=[ChoiceHistory(path)], **settings)
    rows = read_history(path)
    options = 2 + 2 + 3 + 3 + len(search.student_layers) * 3
    assert len(rows) == 2 * options
    last = {(r["choice"], r["option"]): float(r["probability"]) for r in rows[options:]}
    expected = np.asarray(search.supernet.choices[2].probabilities())
    found = [last["stage2_block1_choice", width] for width in ("6", "4", "2")]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    tutors = np.asarray(search.tutor_choice.probabilities())
    assert last["tutor_choice:stage2_block2_project", "conv3"] == pytest.approx(tutors[-1, 2], 1e-5)
    # an interrupted run goes on from epoch 1: its rows of that epoch are replaced
    callbacks = [ChoiceHistory(path)]
    with pytest.warns(UserWarning, match="the Gumbel temperature jumps"):  # none was restored
        search.fit(IMAGES, LABELS, initial_epoch=1, epochs=3, callbacks=callbacks, **settings)
    again = read_history(path)
    assert [int(r["epoch"]) for r in again] == [0] * options + [1] * options + [2] * options
    assert again[:options] == rows[:options] and again[options : 2 * options] != rows[options:]


def test_tensorboard_histograms(tmp_path):
    make_search(compiling=EAGER).fit(
        IMAGES, LABELS, batch_size=20, verbose=0, callbacks=[ChoiceHistograms(tmp_path)]
    )
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    assert b"stage1_block1_choice" in content and b"tutor_choice" in content
