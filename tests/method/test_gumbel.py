"""The noise, the temperature, and what argmax of noisy parameters is distributed as."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax
from scipy.stats import gumbel_r, kstest, norm
from tiny_models import dtype_policy

from rnascl_keras.errors import UserError
from rnascl_keras.method.channel_choice import ChannelChoice
from rnascl_keras.method.gumbel import (
    GumbelChoice,
    decayed_temperature,
    gumbel_softmax,
    tutor_seed,
)
from rnascl_keras.method.spaces import SPACES, SearchSpace, Stage
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.method.tutor_choice import TutorChoice

EULER = 0.5772156649


def noise_of(kind):
    return np.asarray(TutorChoice(1000, 1000, noise=kind, seed=1)._draw_noise()).ravel()


@pytest.mark.parametrize(
    ("kind", "mean", "variance", "law"),
    [("gumbel", EULER, math.pi**2 / 6, gumbel_r), ("normal", 0, 1, norm)],
)
def test_statistics_of_the_noise(kind, mean, variance, law):
    noise = noise_of(kind)
    assert np.all(np.isfinite(noise))
    assert noise.mean() == pytest.approx(mean, abs=0.005)
    assert noise.var() == pytest.approx(variance, abs=0.015)
    assert kstest(noise, law.cdf).statistic < 0.002


def test_argmax_is_distributed_as_the_softmax_of_the_parameters():
    logits = np.array([0.0, 1.0, -0.5, 2.0], "float32")
    rows = 100_000
    choice = TutorChoice(rows, 4, seed=2)
    choice.logits.assign(np.tile(logits, (rows, 1)))
    sample = np.asarray(choice(training=True))
    found = np.bincount(sample.argmax(-1), minlength=4) / rows
    np.testing.assert_allclose(found, softmax(logits), atol=0.006)
    np.testing.assert_allclose(choice.probabilities()[0], softmax(logits), rtol=1e-6)


def test_gumbel_softmax_equals_numpy():
    rng = np.random.default_rng(0)
    logits, noise = rng.normal(size=(3, 4)), rng.gumbel(size=(3, 4))
    found = gumbel_softmax(np.float32(logits), np.float32(noise), 0.7)
    np.testing.assert_allclose(found, softmax((logits + noise) / 0.7, -1), rtol=1e-5)


def test_the_schedule_of_the_temperature():
    assert decayed_temperature(0, 100) == 5.0
    for epoch in range(100):
        ratio = decayed_temperature(epoch + 1, 100) / decayed_temperature(epoch, 100)
        assert ratio == pytest.approx(math.exp(-0.045))
    assert decayed_temperature(100, 100) == pytest.approx(0.0555, abs=5e-5)
    for epochs in (1, 7, 200):  # any search ends where that of 100 epochs does
        assert decayed_temperature(0, epochs) == 5.0
        assert decayed_temperature(epochs, epochs) == pytest.approx(5 * math.exp(-4.5))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_compiled_function_sees_the_temperature_change(jit_compile):
    choice = TutorChoice(200, 5, seed=0)
    traces = []

    @tf.function(jit_compile=jit_compile)
    def largest():
        traces.append(1)
        return tf.reduce_mean(tf.reduce_max(choice(training=True), axis=-1))

    assert choice.gumbel_temperature.value == 5.0
    soft = float(largest())
    choice.gumbel_temperature.assign(0.0555)
    sharp = float(largest())
    assert len(traces) == 1
    assert soft < 0.4 and sharp > 0.95


def test_every_call_draws_anew_and_equal_seeds_draw_alike():
    first, second = (TutorChoice(3, 4, seed=5) for _ in range(2))
    samples = [np.asarray(first(training=True)) for _ in range(3)]
    assert not np.allclose(samples[0], samples[1]) and not np.allclose(samples[1], samples[2])
    for sample in samples:
        np.testing.assert_array_equal(second(training=True), sample)
        np.testing.assert_allclose(sample.sum(-1), 1, atol=1e-6)


def test_inference_gives_the_argmax_without_noise():
    choice = ChannelChoice((8, 6, 4), seed=0)
    choice.logits.assign([0.1, 0.2, 0.15])
    for _ in range(5):
        np.testing.assert_array_equal(choice(tf.zeros((1, 1))), [0, 1, 0])


def test_the_smallest_temperature_and_far_parameters_give_no_nan():
    choice = TutorChoice(50, 3, seed=0)
    choice.logits.assign(np.tile(np.float32([-300, 0, 300]), (50, 1)))
    choice.gumbel_temperature.assign(decayed_temperature(1, 1))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(choice(training=True) * [1.0, 2.0, 3.0])
    assert float(total) == pytest.approx(150.0, rel=1e-6)
    assert np.all(np.isfinite(tape.gradient(total, choice.logits.value)))


def test_parameters_stay_float32_under_mixed_precision():
    with dtype_policy("mixed_bfloat16"):
        choices = TutorChoice(2, 3), ChannelChoice((8, 4))
    for choice in choices:
        assert choice.logits.dtype == choice.gumbel_temperature.dtype == "float32"
        assert choice.sample().dtype == "float32"


@pytest.mark.parametrize(
    "choice",
    [
        TutorChoice(3, 4, noise="normal", seed=7, name="tutors"),
        ChannelChoice((16, 12, 8), seed=8, name="widths"),
    ],
)
def test_the_config_round_trips(choice):
    again = type(choice).from_config(choice.get_config())
    assert again.get_config() == choice.get_config()
    assert again.name == choice.name
    # not only the words: the same noise comes out
    fresh = type(choice).from_config(choice.get_config())
    np.testing.assert_array_equal(again.sample(), fresh.sample())
    registered = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(choice))
    assert registered.get_config() == choice.get_config()


def test_unknown_noise_is_told():
    complaint = "'gumble' is unknown; expected one of gumbel, normal. Did you mean 'gumbel'"
    with pytest.raises(UserError, match=complaint):
        TutorChoice(2, 2, noise="gumble")


def test_no_two_choices_of_any_two_runs_draw_the_same_noise():
    """Also where Keras folds a seed into 31 bits; run seed 0 keeps the seeds it always had."""
    shape = (8, 8, 1)
    space = SearchSpace("deep", (Stage(3, (4, 2), stride=1), Stage(4, (4, 2))), stem_width=2)

    def seeds_of(run):
        supernet = Supernet(space, shape, 3, seed=tutor_seed(run))
        return [tutor_seed(run), *(choice.seed for choice in supernet.choices)]

    assert seeds_of(0) == list(range(99, 99 + 8))
    seeds = [seed for run in (*range(4), 50, 10**6) for seed in seeds_of(run)]
    assert len({seed % (2**31 - 2) for seed in seeds}) == 6 * 8
    blocks = max(sum(space.depths) for space in SPACES.values())
    assert blocks < tutor_seed(1) - tutor_seed(0)
    assert tutor_seed(10**6) + blocks < 2**31 - 2


def test_runs_of_neighbouring_seeds_do_not_share_noise():
    def drawn(run):
        seeds = range(tutor_seed(run), tutor_seed(run) + 4)
        choices = [TutorChoice(5, 4, seed=seed) for seed in seeds]
        return np.concatenate([np.ravel(choice.sample()) for choice in choices])

    assert not np.isin(drawn(0), drawn(1)).any()


def test_one_choice_is_taken_whole_and_nobody_is_warned(recwarn):
    choice = GumbelChoice((1,), seed=0)
    with tf.GradientTape() as tape:
        g = choice.sample()
    assert float(g[0]) == float(choice.probabilities()[0]) == 1.0
    assert float(tape.gradient(g, choice.logits.value)[0]) == 0.0
    assert not recwarn.list
