"""Masks, learned scores and ADMM's copies against NumPy; zeros that stay."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import numpy_helper

from rnascl_keras.errors import UserError
from rnascl_keras.export import export_student, quantise
from rnascl_keras.pruning.admm import GROWTH, RHO, AdmmTrainer, Updates, project
from rnascl_keras.pruning.hydra import HydraTrainer, first_scores
from rnascl_keras.pruning.masks import (
    held_at_zero,
    kept_weights,
    kernels,
    largest,
    magnitude_masks,
    zero,
)
from rnascl_keras.pruning.settings import Pruning
from rnascl_keras.run.checkpoint import Checkpoint
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(24, 8, 8, 1)).astype(np.float32)
LABELS = RNG.integers(0, 10, 24)


def network():
    keras.utils.set_random_seed(0)
    return build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10)


def in_numpy(values, keep):
    """The mask of the n - int((1 - keep) n) largest magnitudes."""
    count = values.size - int((1 - keep) * values.size)
    mask = np.zeros(values.size)
    mask[np.argsort(-np.abs(values).ravel(), kind="stable")[:count]] = 1
    return mask.reshape(values.shape)


@pytest.mark.parametrize("keep", [0.01, 0.25, 0.999, 1.0])
def test_the_largest_of_a_layer_stay(keep):
    values = RNG.normal(size=(3, 3, 5, 7)).astype(np.float32)
    np.testing.assert_array_equal(largest(values, keep), in_numpy(values, keep))


def test_equal_weights_still_leave_the_share():
    assert float(tf.reduce_sum(largest(np.ones((10, 10), np.float32), 0.3))) == 30


def test_a_layer_is_never_left_without_a_weight():
    assert float(tf.reduce_sum(largest(np.ones((2, 2), np.float32), 0.01))) == 1


def test_first_scores():
    kernel = RNG.normal(size=(3, 3, 4, 8)).astype(np.float32)
    expected = np.sqrt(6 / 36) * kernel / np.abs(kernel).max()
    np.testing.assert_allclose(first_scores(kernel), expected, rtol=1e-6)
    depthwise = kernel[..., :1]
    np.testing.assert_allclose(
        first_scores(depthwise), np.sqrt(6 / 9) * depthwise / np.abs(depthwise).max(), rtol=1e-6
    )


def test_a_step_of_hydra_moves_scores_by_the_gradient_straight_through():
    """A linear model, whose gradient NumPy has: dL/d(w mask) = x^T (p - y) / batch."""
    inputs = keras.Input((2, 2, 1))
    logits = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, logits)
    w, b = RNG.normal(size=(4, 3)).astype("f4"), RNG.normal(size=3).astype("f4")
    model.set_weights([w, b])
    trainer = HydraTrainer(model, keep=0.5, weight_decay=0.1, epsilon=1e-6, method="fast")
    scores = first_scores(w)
    pruned = w * in_numpy(scores, 0.5)
    np.testing.assert_allclose(model.layers[-1].kernel, pruned, rtol=1e-6)
    trainer.compile(keras.optimizers.SGD(0.5))
    x, y = RNG.uniform(0.1, 0.9, size=(8, 2, 2, 1)).astype("f4"), RNG.integers(0, 3, 8)
    trainer.fit(x, y, batch_size=8, epochs=1, verbose=0, shuffle=False)
    z = x.reshape(8, 4) @ pruned + b
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    by_pruned = x.reshape(8, 4).T @ (p - np.eye(3)[y]) / 8
    moved = scores - 0.5 * (np.sign(scores) * w * by_pruned + 0.1 * scores)
    np.testing.assert_allclose(trainer.scores.scores[0], moved, atol=1e-4)
    kernel, offset = model.layers[-1].get_weights()
    np.testing.assert_allclose(kernel, w * in_numpy(moved, 0.5), rtol=1e-6)
    np.testing.assert_array_equal(offset, b)


def test_the_decay_of_scores_is_one_whatever_the_number_of_replicas(monkeypatch):
    trainer = HydraTrainer(network(), keep=0.5, weight_decay=0.1, epsilon=1e-6, method="fast")
    monkeypatch.setattr("rnascl_keras.pruning.hydra.replica_count", lambda: 4)
    nothing = [keras.ops.zeros_like(kernel) for kernel in trainer.pruned]
    for part, scores in zip(trainer.score_gradients(nothing), trainer.scores.scores, strict=True):
        np.testing.assert_allclose(4 * part, 0.1 * scores.numpy(), rtol=1e-5)


def test_admm_projects_and_sums_up_what_differs():
    model = network()
    trainer = AdmmTrainer(model, keep=0.2, epsilon=0.1, method="n_fgsm", weight_decay=0.0)
    w = [np.asarray(kernel) for kernel in kernels(model)]
    z = [value * in_numpy(value, 0.2) for value in w]
    penalty = RHO / 2 * sum(np.sum((a - b) ** 2) for a, b in zip(w, z, strict=True))
    assert float(trainer.penalties(0.0)) == pytest.approx(penalty, rel=1e-4)
    moved = [value + 0.05 * RNG.normal(size=value.shape) for value in w]
    for kernel, value in zip(kernels(model), moved, strict=True):
        kernel.assign(value)
    trainer.update()
    u = [value - value * in_numpy(value, 0.2) for value in moved]
    for found, expected in zip(trainer.copies.u, u, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    trainer.update()
    z = [(a + b) * in_numpy(a + b, 0.2) for a, b in zip(moved, u, strict=True)]
    for found, expected in zip(trainer.copies.z, z, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert float(trainer.copies.rho) == pytest.approx(RHO * GROWTH**2)


@pytest.mark.parametrize("inside", [False, True])
def test_admm_updates_once_an_epoch_wherever_it_is_cut_short(inside, tmp_path):
    """Saved at the end of an epoch, and inside of the next, which begins with an update."""

    def trainer():
        made = AdmmTrainer(network(), keep=0.2, epsilon=0.1, method="n_fgsm")
        made.compile(keras.optimizers.SGD(0.1))
        made.optimizer.build(made.weight_variables)
        return made

    def begun(made, *epochs):
        """Begin the epochs, of 30 of which every third begins with an update."""
        updates = Updates(30)
        updates.set_model(made)
        for epoch in epochs:
            updates.on_epoch_begin(epoch)
        return [np.asarray(v) for v in (made.copies.rho, *made.copies.z, *made.copies.u)]

    whole = trainer()
    expected = begun(whole, *range(28))
    assert float(expected[0]) == pytest.approx(RHO * GROWTH**9)
    cut = trainer()
    begun(cut, *range(27))
    saved = Checkpoint(tmp_path / "state.npz", every_steps=1, steps_per_epoch=3)
    saved.set_model(cut)
    if inside:
        begun(cut, 27)
        saved.on_epoch_begin(27)
        saved.on_train_batch_end(0)
    else:
        saved.on_epoch_end(26)
    resumed = trainer()
    assert Checkpoint(saved.path).restore(resumed) == 27
    for value, found in zip(expected, begun(resumed, 27), strict=True):
        np.testing.assert_array_equal(found, value)


def test_the_projection_is_the_nearest_with_so_many_zeros():
    values = RNG.normal(size=6).astype(np.float32)
    found = np.asarray(project(values, 0.5))
    others = [values * np.array(bits) for bits in np.ndindex(*[2] * 6) if sum(bits) <= 3]
    nearest = min(np.sum((values - other) ** 2) for other in others)
    assert np.sum((values - found) ** 2) == pytest.approx(nearest)


@pytest.fixture(scope="module")
def pruned():
    """A network pruned to a fifth and fine-tuned, and where its zeros were put."""
    model = network()
    masks = [np.asarray(mask) for mask in magnitude_masks(model, 0.2)]
    zero(kernels(model), masks)
    trainer = AdversarialTrainer(model, epsilon=0.1, method="n_fgsm", average=0.9)
    trainer.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    before = [np.asarray(kernel) for kernel in kernels(model)]
    with held_at_zero(kernels(model), masks):
        trainer.fit(IMAGES, LABELS, batch_size=8, epochs=2, verbose=0)
    trainer.finish()
    return model, masks, before


def test_zeros_stay_through_fine_tuning_and_nothing_else_does(pruned):
    model, masks, before = pruned
    for kernel, mask, old in zip(kernels(model), masks, before, strict=True):
        value = np.asarray(kernel)
        assert (value[mask == 0] == 0).all()
        assert (value[mask == 1] != old[mask == 1]).mean() > 0.9
        assert kernel.constraint is None
    assert kept_weights(model)[0] == sum(int(mask.sum()) for mask in masks)


def test_zeros_stay_in_every_file(pruned, tmp_path):
    model, masks, _ = pruned
    model.save(tmp_path / "pruned.keras")
    loaded = keras.models.load_model(tmp_path / "pruned.keras")
    made = export_student(model, tmp_path, "pruned", IMAGES)
    int8 = quantise(made.onnx_path, tmp_path / "int8.onnx", IMAGES, least_agreement=0)
    for kernel, mask in zip(kernels(loaded), masks, strict=True):
        assert (np.asarray(kernel)[mask == 0] == 0).all()
    for path, kind in ((made.onnx_path, np.float32), (int8.path, np.int8)):
        arrays = map(numpy_helper.to_array, onnx.load(path).graph.initializer)
        found = {a.size: a for a in arrays if a.ndim >= 2 and a.dtype == kind}
        for mask in masks:
            assert np.count_nonzero(found[mask.size]) <= mask.sum()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"keep": 0.0}, "--keep"),
        ({"way": "random"}, "--way"),
        ({"way": "hydra", "structured": True}, "chosen by magnitude"),
    ],
)
def test_wrong_settings_are_told(given, message):
    with pytest.raises(UserError, match=message):
        Pruning.checked(**given)
