"""CONTRIBUTING's example of a new term runs as printed and computes what it says."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import example
from scipy.special import log_softmax
from tiny_models import make_teacher, tiny_batch

from rnascl_keras import Trades


def block() -> str:
    return example("A new distillation term")


def test_the_example_of_a_term_is_twenty_lines_of_public_names():
    lines = [line for line in block().splitlines() if line.strip()]
    assert len(lines) <= 20
    assert all("_" not in name[:1] for name in re.findall(r"\.(\w+)", block()))
    assert set(re.findall(r"^from (\S+)", block(), re.MULTILINE)) == {"keras", "rnascl_keras"}


def test_the_example_of_a_term_computes_what_it_says():
    images, labels = tiny_batch()

    def given():
        keras.utils.set_random_seed(1)
        student = keras.models.clone_model(make_teacher())
        return {"teacher": make_teacher(), "student": student}

    names, again = given(), given()
    noise = keras.random.SeedGenerator(0)  # equal seeds give an equal start
    adversarial = Trades().adversarial(again["student"], tf.constant(images), noise)
    student = again["student"]
    clean, attacked = (np.float64(student(x, training=True)) for x in (images, adversarial))
    distance = attacked - np.float64(again["teacher"](images))
    expected = np.mean(np.sum(distance**2, axis=-1))
    cross_entropy = -log_softmax(clean, -1)[np.arange(20), labels].mean()

    names["dataset"] = tf.data.Dataset.from_tensors((images, labels))  # one batch, in its order
    printed = block().replace("epochs=100", "epochs=1, verbose=0")
    exec(compile(printed.replace("distiller.fit", "fitted = distiller.fit"), "x", "exec"), names)
    history = names["fitted"].history
    assert history["logit_matching"] == [pytest.approx(expected, rel=1e-4)]
    assert history["loss"] == [pytest.approx(cross_entropy + 0.5 * expected, rel=1e-4)]
    assert expected > 0.01
