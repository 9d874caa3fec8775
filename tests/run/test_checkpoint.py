"""Going on inside an epoch, and from what is left when a file is damaged."""

import re

import keras
import numpy as np
import pytest
from tiny_models import CLASSES, ONE_BLOCK, make_distiller, make_search, same, values

from rnascl_keras.data import load_data
from rnascl_keras.errors import Stopped, UserError
from rnascl_keras.run.checkpoint import Checkpoint, RestOfEpoch, training_state
from rnascl_keras.run.stopping import StopRequest

STEPS, EPOCHS = 3, 3


def fit(model, checkpoint=None, callbacks=()):
    """Fit, from where the checkpoint was restored on."""
    epoch, step = (checkpoint.epoch, checkpoint.step) if checkpoint else (0, 0)
    data = load_data("digits").train.take(60)
    pairs = data.training_batches(20, seed=3, first_epoch=epoch, first_step=step)
    rest = [RestOfEpoch(epoch, STEPS - step)] if step else []
    return model.fit(
        pairs.map(lambda images, labels: (images, labels % CLASSES)),
        epochs=EPOCHS,
        initial_epoch=epoch,
        steps_per_epoch=STEPS,
        verbose=0,
        shuffle=False,
        callbacks=[*rest, *([checkpoint] if checkpoint else []), *callbacks],
    ).history


class StopAt(keras.callbacks.Callback):
    """Asks to stop during one step of all."""

    def __init__(self, request, step):
        super().__init__()
        self.request, self.left = request, step

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.request.note()


@pytest.fixture(scope="module")
def whole():
    """A search that was not asked to stop, and its logs."""
    search = make_search(space=ONE_BLOCK)
    return search, fit(search)


@pytest.mark.parametrize("step", [1, 3, 5])  # inside the first epoch, at its end, inside the next
def test_a_fit_that_was_asked_to_stop_goes_on_to_the_very_same_end(tmp_path, whole, step):
    whole, logs = whole
    request = StopRequest()
    settings = {"steps_per_epoch": STEPS, "stop": request}
    cut = make_search(space=ONE_BLOCK)
    with pytest.raises(Stopped):
        fit(cut, Checkpoint(tmp_path / "state.npz", **settings), [StopAt(request, step)])

    again = make_search(space=ONE_BLOCK)
    checkpoint = Checkpoint(tmp_path / "state.npz", steps_per_epoch=STEPS)
    assert checkpoint.restore(again) == step // STEPS
    assert checkpoint.step == step % STEPS
    rest = fit(again, checkpoint)
    for ours, theirs in zip(training_state(again), training_state(whole), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=theirs.path)
    for name, value in rest.items():  # the means of the epoch that was cut short, too
        np.testing.assert_array_equal(value, logs[name][step // STEPS :], err_msg=name)


def test_it_saves_after_so_many_steps(tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyError

    checkpoint = Checkpoint(tmp_path / "state.npz", every_steps=2, steps_per_epoch=STEPS)
    with pytest.raises(KeyError):
        fit(make_distiller(space=ONE_BLOCK), checkpoint, [Crash()])
    again = Checkpoint(tmp_path / "state.npz")
    assert (again.restore(make_distiller(space=ONE_BLOCK)), again.step) == (0, 2)


def saved_twice(tmp_path):
    """Return the states after one and two epochs, and the checkpoint that holds both."""
    model, states = make_distiller(), []
    checkpoint = Checkpoint(tmp_path / "state.npz")
    checkpoint.set_model(model)
    for epoch in range(2):
        for variable in training_state(model):
            variable.assign(np.full(variable.shape, epoch + 1))
        checkpoint.on_epoch_end(epoch)
        states.append(values(training_state(model)))
    return states, checkpoint


def flip_a_byte(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("spoil", [lambda b: b[:-100], lambda b: b"", flip_a_byte])
def test_a_damaged_file_falls_back_to_the_one_before_and_says_so(tmp_path, spoil):
    (first, second), checkpoint = saved_twice(tmp_path)
    model, said = make_distiller(), []
    again = Checkpoint(checkpoint.path, say=said.append)
    assert again.restore(model) == 2 and said == []
    assert same(values(training_state(model)), second)

    checkpoint.path.write_bytes(spoil(checkpoint.path.read_bytes()))
    assert again.restore(model) == 1
    assert same(values(training_state(model)), first)
    assert len(said) == 1
    assert re.search(r"state\.npz is damaged .*; the one before it is taken", said[0])

    checkpoint.before.write_bytes(spoil(checkpoint.before.read_bytes()))
    with pytest.raises(UserError, match="state_before.npz is damaged .*delete it"):
        again.restore(model)


def test_content_that_was_changed_as_a_whole_is_noticed(tmp_path):
    """The zip's own checksums fit; ours does not."""
    _, checkpoint = saved_twice(tmp_path)
    with np.load(checkpoint.path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(checkpoint.path, **{**arrays, "epoch": 7})
    said = []
    assert Checkpoint(checkpoint.path, say=said.append).restore(make_distiller()) == 1
    assert "does not fit its checksum" in said[0]


def test_killed_between_the_two_renames(tmp_path):
    _, checkpoint = saved_twice(tmp_path)
    checkpoint.path.unlink()
    assert Checkpoint(checkpoint.path).restore(make_distiller()) == 1


def test_removing_leaves_nothing(tmp_path):
    _, checkpoint = saved_twice(tmp_path)
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_step_in_which_several_are_made_is_seen_too(tmp_path):
    checkpoint = Checkpoint(tmp_path / "state.npz", every_steps=3, steps_per_epoch=20)
    model = make_distiller(space=ONE_BLOCK)
    checkpoint.set_model(model)
    checkpoint.on_epoch_begin(0)

    saved = []
    for batch in (1, 3, 5, 7):  # the last of each two
        checkpoint.on_train_batch_end(batch)
        again = Checkpoint(checkpoint.path)
        again.restore(model)
        saved.append(again.step)

    assert saved == [0, 4, 6, 6]


@pytest.mark.parametrize("settings", [{"every_steps": 5}, {"every_steps": 0, "steps_per_epoch": 9}])
def test_steps_that_would_never_be_saved_are_refused(tmp_path, settings):
    with pytest.raises(UserError, match=r"every_steps is .*steps_per_epoch"):
        Checkpoint(tmp_path / "state.npz", **settings)


def test_what_was_saved_before_is_not_written_over_unasked(tmp_path):
    fit(make_distiller(space=ONE_BLOCK), Checkpoint(tmp_path / "state.npz"))
    before = (tmp_path / "state.npz").read_bytes()
    another = Checkpoint(tmp_path / "state.npz")

    with pytest.raises(UserError, match=r"restore\(model\).*remove\(\)"):
        fit(make_distiller(space=ONE_BLOCK), another)

    assert (tmp_path / "state.npz").read_bytes() == before
    another.remove()
    fit(make_distiller(space=ONE_BLOCK), another)
