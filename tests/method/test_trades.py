"""TRADES in place of the cross-entropy: its value, and where its images lie."""

import numpy as np
import pytest
import tensorflow as tf
from test_distill import EAGER, IMAGES, LABELS, TRADES, cross_entropy, kl
from tiny_models import dtype_policy, make_distiller, same, values


def test_trades_replaces_the_cross_entropy():
    distiller = make_distiller(trades=TRADES, compiling=EAGER)
    again = make_distiller(trades=TRADES)  # draws the same random start
    adversarial = again.trades.adversarial(again.inference, tf.constant(IMAGES), again.noise)
    clean_logits = again.student(IMAGES, training=True)
    adversarial_logits = again.student(adversarial, training=True)
    expected = cross_entropy(clean_logits) + 6 * kl(clean_logits, adversarial_logits)
    found = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["trades"]) == pytest.approx(expected, rel=1e-4)
    assert expected > 1.001 * cross_entropy(clean_logits)
    total = float(found["trades"] + found["kl"] + found["attention"])
    assert float(found["loss"]) == pytest.approx(total, rel=1e-5)


def test_what_is_attacked_is_folded_and_no_part_of_what_is_trained_and_saved():
    distiller = make_distiller(trades=TRADES)
    within = [type(layer).__name__ for layer in distiller.inference.func.layers]
    assert within.count("_FoldedConvolution") > 1
    found = {id(variable) for variable in distiller.variables}
    assert {id(variable) for variable in distiller.student.variables} < found
    assert not any("Folded" in type(layer).__name__ for layer in distiller._flatten_layers())


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_weight_of_the_labels_leaves_the_robust_term_of_trades(weight):
    settings = {"trades": TRADES, "classification_weight": weight, "gamma_t": 0.0}
    distiller, again = make_distiller(compiling=EAGER, **settings), make_distiller(**settings)
    adversarial = again.trades.adversarial(again.inference, tf.constant(IMAGES), again.noise)
    logits = [again.student(x, training=True) for x in (IMAGES, adversarial)]
    found = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
    expected = weight * cross_entropy(logits[0]) + 6 * kl(*logits)
    assert float(found["trades"]) == pytest.approx(expected, rel=1e-4)
    assert float(found["loss"]) == pytest.approx(expected + float(found["kl"]), rel=1e-4)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_trades_images_stay_in_the_ball_and_raise_the_kl(policy):
    with dtype_policy(policy):
        distiller = make_distiller(trades=TRADES)
    student = distiller.student
    for _ in range(20):  # moving statistics that fit the images
        student(IMAGES, training=True)
    statistics = values(student.non_trainable_variables)
    images = np.clip(1.4 * IMAGES - 0.2, 0, 1).astype("float32")  # some pixels at the border
    adversarial = np.asarray(
        distiller.trades.adversarial(distiller.inference, tf.constant(images), distiller.noise)
    )
    assert adversarial.dtype == "float32"
    assert np.abs(adversarial - images).max() <= TRADES.epsilon + 1e-6
    assert adversarial.min() >= 0 and adversarial.max() <= 1
    noise = np.random.default_rng(0).choice([-TRADES.epsilon, TRADES.epsilon], images.shape)
    random = np.clip(images + noise, 0, 1).astype("float32")
    clean = student(images)
    assert kl(clean, student(adversarial)) > 4 * kl(clean, student(random))
    # the inner loop runs in inference mode
    assert same(values(student.non_trainable_variables), statistics)
    second = distiller.trades.adversarial(distiller.inference, tf.constant(images), distiller.noise)
    assert not np.array_equal(adversarial, second)  # another random start
