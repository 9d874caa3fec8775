"""Adversarial training: one step against NumPy, and robustness that is really gained."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits

from rnascl_keras.attacks import PGD
from rnascl_keras.errors import UserError
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

PIXELS, CLASSES, EPSILON = 9, 4, 0.2


def linear_model(seed=0):
    keras.utils.set_random_seed(seed)
    images = keras.Input((3, 3, 1))
    return keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(images)))


def batch(seed=0):
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=(6, 3, 3, 1)).astype(np.float32)
    return images, rng.integers(0, CLASSES, 6)


def gradient_of_logits(x, labels, weight, bias):
    return softmax(x.reshape(len(x), -1) @ weight + bias, axis=1) - np.eye(CLASSES)[labels]


@pytest.mark.parametrize(
    ("method", "steps", "step_size"), [("fast", 1, 1.25 * EPSILON), ("pgd", 7, EPSILON / 4)]
)
def test_the_attack_of_a_training_step(method, steps, step_size):
    images, labels = batch()
    model = linear_model()
    weight, bias = (value.astype(float) for value in model.get_weights())
    # the start is what an equal trainer draws when its steps do not move anything
    resting = AdversarialTrainer(model, method=method, epsilon=EPSILON, step_size=1e-12, seed=3)
    start = np.asarray(resting.attack(images, labels), float)
    assert np.abs(start - images).max() > 0.8 * EPSILON

    x = start
    for _ in range(steps):
        gradient = gradient_of_logits(x, labels, weight, bias) @ weight.T
        x = x + step_size * np.sign(gradient).reshape(x.shape)
        x = np.clip(np.clip(x, images - EPSILON, images + EPSILON), 0, 1)
    trainer = AdversarialTrainer(model, method=method, epsilon=EPSILON, seed=3)
    np.testing.assert_allclose(trainer.attack(images, labels), x, atol=2e-6)
    # fresh noise for the next batch
    assert not np.allclose(resting.attack(images, labels), start, atol=1e-3)


@pytest.mark.parametrize("longer", [1, 2])
def test_n_fgsm_starts_twice_as_wide_and_is_not_projected(longer):
    images, labels = batch()
    images = 0.5 + 0.01 * images  # far from 0 and 1, so that nothing is clipped
    epsilon = 0.1
    model = linear_model()
    weight, bias = (value.astype(float) for value in model.get_weights())
    resting = AdversarialTrainer(model, method="n_fgsm", epsilon=epsilon, step_size=1e-12, seed=3)
    start = np.asarray(resting.attack(images, labels), float)
    assert 1.8 * epsilon < np.abs(start - images).max() <= 2 * epsilon + 1e-6

    gradient = gradient_of_logits(start, labels, weight, bias) @ weight.T
    step_size = longer * epsilon
    expected = start + step_size * np.sign(gradient).reshape(start.shape)
    assert np.abs(expected - images).max() > 1.5 * epsilon + step_size
    given = {"step_size": step_size} if longer > 1 else {}
    trainer = AdversarialTrainer(model, method="n_fgsm", epsilon=epsilon, seed=3, **given)
    np.testing.assert_allclose(trainer.attack(images, labels), expected, atol=2e-6)


def test_one_step_of_trades_equals_numpy():
    """d KL(p || q) / dz_p = p (log p - log q - KL), d / dz_q = q - p, by hand."""
    images, labels = batch()
    settings = {"method": "trades", "epsilon": EPSILON, "steps": 3, "trades_beta": 2.0, "seed": 5}
    model = linear_model()
    weight, bias = (value.astype(float) for value in model.get_weights())
    adversarial = AdversarialTrainer(model, **settings).attack(images, labels).numpy()
    clean, moved = images.reshape(6, PIXELS), adversarial.reshape(6, PIXELS)
    log_p, log_q = (log_softmax(x @ weight + bias, axis=1) for x in (clean, moved))
    p, q = np.exp(log_p), np.exp(log_q)
    kl = np.sum(p * (log_p - log_q), axis=1, keepdims=True)
    assert kl.min() > 0
    on_clean = p - np.eye(CLASSES)[labels] + 2.0 * p * (log_p - log_q - kl)
    gradient = (clean.T @ on_clean + moved.T @ (2.0 * (q - p))) / 6

    trainer = AdversarialTrainer(model, weight_decay=0.3, **settings)
    trainer.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    logs = trainer.train_on_batch(images, labels, return_dict=True)
    new_weight, _ = model.get_weights()
    np.testing.assert_allclose(new_weight, weight - 0.1 * (gradient + 0.3 * weight), atol=1e-5)
    cross_entropy = -log_p[np.arange(6), labels].mean()
    assert logs["loss"] == pytest.approx(cross_entropy + 2.0 * kl.mean(), rel=1e-4)


def test_validation_attacks_by_ten_steps_from_the_image():
    images, labels = batch()
    model = linear_model(seed=4)
    weight, bias = (value.astype(float) for value in model.get_weights())
    x = images.astype(float)
    for _ in range(10):
        gradient = gradient_of_logits(x, labels, weight, bias) @ weight.T
        x = x + EPSILON / 4 * np.sign(gradient).reshape(x.shape)
        x = np.clip(np.clip(x, images - EPSILON, images + EPSILON), 0, 1)
    predictions = (x.reshape(6, PIXELS) @ weight + bias).argmax(1)
    labels[:3] = predictions[:3]  # so that some survive, whatever the weights
    trainer = AdversarialTrainer(model, method="fast", epsilon=EPSILON)
    trainer.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    logs = trainer.evaluate(images, labels, batch_size=4, return_dict=True, verbose=0)
    x = images.astype(float)
    for _ in range(10):
        gradient = gradient_of_logits(x, labels, weight, bias) @ weight.T
        x = x + EPSILON / 4 * np.sign(gradient).reshape(x.shape)
        x = np.clip(np.clip(x, images - EPSILON, images + EPSILON), 0, 1)
    expected = np.mean((x.reshape(6, PIXELS) @ weight + bias).argmax(1) == labels)
    assert logs["robust_accuracy"] == pytest.approx(expected)
    clean = (images.reshape(6, PIXELS) @ weight + bias).argmax(1)
    assert logs["accuracy"] == pytest.approx(np.mean(clean == labels))


@pytest.mark.parametrize("loss_scaling", [False, True])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_one_step_equals_numpy(jit_compile, loss_scaling):
    images, labels = batch()
    settings = {"epsilon": EPSILON, "weight_decay": 0.3, "seed": 5}
    model = linear_model()
    weight, bias = (value.astype(float) for value in model.get_weights())
    # an equal trainer's images; compiled alike, since XLA draws other random numbers
    attack = tf.function(AdversarialTrainer(model, **settings).attack, jit_compile=jit_compile)
    x = attack(tf.constant(images), tf.constant(labels)).numpy().reshape(6, PIXELS)

    trainer = AdversarialTrainer(model, **settings)
    optimizer = keras.optimizers.SGD(0.1)
    if loss_scaling:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    trainer.compile(optimizer, jit_compile=jit_compile)
    logs = trainer.train_on_batch(images, labels, return_dict=True)

    residual = gradient_of_logits(x, labels, weight, bias) / len(x)
    new_weight, new_bias = model.get_weights()
    np.testing.assert_allclose(
        new_weight, weight - 0.1 * (x.T @ residual + 0.3 * weight), atol=1e-5
    )
    np.testing.assert_allclose(new_bias, bias - 0.1 * residual.sum(0), atol=1e-5)
    log_p = log_softmax(x @ weight + bias, axis=1)
    assert logs["loss"] == pytest.approx(-log_p[np.arange(6), labels].mean(), rel=1e-5)
    assert logs["accuracy"] == pytest.approx(np.mean(log_p.argmax(1) == labels))


def test_attacking_moves_no_statistics_and_training_does():
    images = np.random.default_rng(0).uniform(size=(8, 8, 8, 1)).astype(np.float32)
    labels = np.arange(8)
    trainer = AdversarialTrainer(
        build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10), epsilon=0.1, steps=2
    )
    moving = trainer.model.get_layer("bn1").moving_mean
    trainer.attack(images, labels)
    np.testing.assert_array_equal(moving, 0)
    trainer.compile(keras.optimizers.SGD(0.01), jit_compile=False)
    trainer.evaluate(images, labels, verbose=0)
    np.testing.assert_array_equal(moving, 0)
    trainer.train_on_batch(images, labels)
    assert np.all(moving.numpy() != 0)


def digits():
    data = load_digits()
    images = (data.images / 16).astype(np.float32)[..., None]
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], data.target[order]
    return (images[:-450], labels[:-450]), (images[-450:], labels[-450:])


def accuracy(model, images, labels):
    return np.mean(model.predict(images, verbose=0).argmax(1) == labels)


def test_adversarially_trained_digits_gain_robustness():
    train, (images, labels) = digits()
    robust, attack = {}, PGD(0.1)
    for method in ("standard", "fast", "pgd"):
        keras.utils.set_random_seed(0)
        model = build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10)
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        if method == "standard":
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimizer, loss, jit_compile=False)
            model.fit(*train, batch_size=64, epochs=6, verbose=0)
        else:
            trainer = AdversarialTrainer(model, method=method, epsilon=0.1)
            trainer.compile(optimizer, jit_compile=False)
            history = trainer.fit(
                *train,
                batch_size=64,
                epochs=6,
                verbose=0,
                validation_data=(images, labels),
                validation_batch_size=450,
            ).history
            figures = {"loss", "accuracy", "val_loss", "val_accuracy", "val_robust_accuracy"}
            assert set(history) == figures
            assert history["loss"][-1] < history["loss"][0] / 2
            # validation is clean
            assert history["val_accuracy"][-1] == pytest.approx(accuracy(model, images, labels))
        assert accuracy(model, images, labels) > 0.9, method
        robust[method] = accuracy(model, attack.perturb(model, images, labels), labels)
    # measured: 0.32 for standard training, 0.80 for "fast", 0.84 for "pgd"
    assert robust["fast"] > robust["standard"] + 0.2, robust
    assert robust["pgd"] > robust["standard"] + 0.2, robust


def test_training_repeats_from_its_seed():
    train, _ = digits()
    weights = {}
    for run, seed in (("first", 0), ("again", 0), ("other", 1)):
        keras.utils.set_random_seed(0)
        model = build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10)
        trainer = AdversarialTrainer(model, method="fast", epsilon=0.1, seed=seed)
        trainer.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        trainer.fit(train[0][:192], train[1][:192], batch_size=64, shuffle=False, verbose=0)
        weights[run] = np.concatenate([value.ravel() for value in model.get_weights()])
    np.testing.assert_allclose(weights["again"], weights["first"], atol=1e-5)
    assert np.abs(weights["other"] - weights["first"]).max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "pdg", "epsilon": 0.1}, "Did you mean 'pgd'"),
        ({"epsilon": 8}, r"epsilon is 8; expected for Linf a radius in \(0, 1\]"),
        ({"epsilon": 0.1, "steps": 0}, "0 steps"),
        ({"epsilon": 0.1, "average": 1}, "average must be at least 0 and below 1; got 1"),
    ],
)
def test_wrong_settings_are_told(settings, message):
    with pytest.raises(UserError, match=message):
        AdversarialTrainer(linear_model(), **settings)
