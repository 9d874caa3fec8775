"""Whole searches: known answers, and every way in which `fit` may be called."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from tiny_models import (
    CLASSES,
    IMAGE,
    ONE_BLOCK,
    TINY,
    dtype_policy,
    make_search,
    sgd,
    tiny_batch,
    values,
)

from rnascl_keras.errors import UserError
from rnascl_keras.method import cost
from rnascl_keras.method.derive import derive
from rnascl_keras.method.search import CrossLayerSearch
from rnascl_keras.method.spaces import SearchSpace, Stage
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.teachers import build_teacher

IMAGES, LABELS = tiny_batch()


def planted_teacher(supernet, images):
    """A teacher whose layer `planted` has just the map that the student's stem has on `images`.

    The stem normalises by the batch's statistics, the teacher by its moving ones.
    """
    kernel = supernet.get_layer("stem").kernel
    convolved = np.asarray(tf.nn.conv2d(images, kernel.value, 1, "SAME"))
    inputs = x = keras.Input(IMAGE)
    for name in ("first", "planted", "last"):
        y = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name=name)(inputs)
        y = keras.layers.BatchNormalization(epsilon=1e-5, name=f"{name}_bn")(y)
        x = keras.layers.Concatenate()([x, keras.layers.ReLU(name=f"{name}_relu")(y)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    teacher = keras.Model(inputs, keras.layers.Dense(CLASSES)(x))
    teacher.get_layer("planted").kernel.assign(kernel)
    statistics = [convolved.mean((0, 1, 2)), convolved.var((0, 1, 2))]
    teacher.get_layer("planted_bn").set_weights([np.ones(4), np.zeros(4), *statistics])
    return teacher


def test_a_planted_tutor_is_found():
    keras.utils.set_random_seed(0)
    supernet = Supernet(TINY, IMAGE, CLASSES, seed=0)
    teacher = planted_teacher(supernet, IMAGES[16:])  # the images of the architecture step
    search = make_search(teacher=teacher, supernet=supernet, optimizer=sgd(0.0), weight_decay=0.0)
    search.fit(tf.data.Dataset.from_tensors((IMAGES, LABELS)).repeat(40), epochs=1, verbose=0)
    chosen = {t.student_layer: t.teacher_layer for t in derive(search).tutors}
    assert chosen["stem"] == "planted"
    probabilities = np.asarray(search.tutor_choice.probabilities())[0]
    assert probabilities[1] > 0.4 > max(probabilities[0], probabilities[2])


def digits(n=640):
    data = load_digits()
    return (data.images[:n, ..., None] / 16).astype("float32"), data.target[:n]


def search_widths(alpha):
    """Search for widths on digits; return the search. A stage of width 1 cannot tell ten apart."""
    keras.utils.set_random_seed(0)
    space = SearchSpace("wide or thin", (Stage(1, (12, 1)), Stage(1, (16, 1), stride=1)), 8)
    search = CrossLayerSearch(
        build_teacher("digits_cnn", input_shape=IMAGE, classes=10),
        Supernet(space, IMAGE, 10, seed=0),
        alpha=alpha,
        combine="add",
        gamma_s=0.0,
        seed=0,
    )
    search.compile(sgd(0.1), keras.optimizers.Adam(0.1))
    return search


def test_a_heavy_latency_term_makes_every_width_the_narrowest():
    search = search_widths(alpha=1e3)
    search.fit(*digits(320), batch_size=32, epochs=3, verbose=0)
    assert derive(search).widths == ((1,), (1,))


def test_without_it_a_task_that_needs_width_keeps_it():
    search = search_widths(alpha=0.0)
    search.fit(*digits(), batch_size=32, epochs=5, verbose=0)
    assert derive(search).widths == ((12,), (16,))


def check_trained(search, history, start):
    """Everything that should have moved has, and is finite."""
    for name in ("loss", "cross_entropy", "kl", "attention", "n_f", "expected_macs"):
        assert np.all(np.isfinite(history.history[name])), name
    for variable in [*search.variables, *search.architecture_optimizer.variables]:
        assert np.all(np.isfinite(variable.numpy())), variable.path
    for variables, before in zip(
        (search.weight_variables, search.architecture_variables), start, strict=True
    ):
        moved = [
            not np.array_equal(v, old) for v, old in zip(values(variables), before, strict=True)
        ]
        assert all(moved)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_under_mixed_precision(policy):
    with dtype_policy(policy):
        search = make_search(space=ONE_BLOCK)
        start = values(search.weight_variables), values(search.architecture_variables)
        history = search.fit(IMAGES, LABELS, batch_size=10, epochs=5, verbose=0)
    check_trained(search, history, start)
    assert {v.dtype for v in search.trainable_variables} == {"float32"}
    scaled = isinstance(search.architecture_optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def test_compiled_by_xla():
    search = make_search(space=ONE_BLOCK, compiling={"jit_compile": True})
    start = values(search.weight_variables), values(search.architecture_variables)
    history = search.fit(IMAGES, LABELS, batch_size=10, epochs=1, verbose=0)
    check_trained(search, history, start)


def test_eagerly_with_a_schedule_adamw_and_usual_callbacks(tmp_path):
    search = make_search(
        space=ONE_BLOCK,
        optimizer=keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.01, 8)),
        architecture_optimizer="adam",
        compiling={"run_eagerly": True},
    )
    start = values(search.weight_variables), values(search.architecture_variables)
    callbacks = [
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.weights.h5",
            monitor="val_accuracy",
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        ),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TerminateOnNaN(),
    ]
    history = search.fit(
        IMAGES,
        LABELS,
        batch_size=20,
        epochs=2,
        verbose=0,
        callbacks=callbacks,
        validation_data=(IMAGES, LABELS),
    )
    check_trained(search, history, start)
    assert set(history.history) >= {"val_loss", "val_accuracy", "gumbel_temperature"}
    assert (tmp_path / "log.csv").exists()
    again = make_search(space=ONE_BLOCK, optimizer=keras.optimizers.AdamW(0.01))
    again.load_weights(tmp_path / "best.weights.h5")


def test_batches_of_any_size_and_a_learning_rate_scheduler():
    sizes = [7, 20, 2, 13]

    def batches():
        for n in sizes:
            yield IMAGES[:n], LABELS[:n]

    spec = tf.TensorSpec((None, *IMAGE), tf.float32), tf.TensorSpec((None,), tf.int64)
    data = tf.data.Dataset.from_generator(batches, output_signature=spec)
    search = make_search(space=ONE_BLOCK)
    start = values(search.weight_variables), values(search.architecture_variables)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = search.fit(data, epochs=2, verbose=0, callbacks=halve)  # one callback, no list
    check_trained(search, history, start)
    assert float(search.optimizer.learning_rate) == pytest.approx(0.025)
    assert len(history.history["gumbel_temperature"]) == 2
    sizes[1:] = [1]  # and the graph has been made for any size
    refused = pytest.raises(UserError, match="a batch of 1 cannot be split")
    with refused, pytest.warns(UserWarning, match="the Gumbel temperature jumps"):
        search.fit(data, verbose=0)


def test_a_batch_of_one_is_told_at_once():
    with pytest.raises(UserError, match="at least 2 images") as caught:
        make_search().fit(IMAGES, LABELS, batch_size=1, verbose=0)
    assert "\n" not in str(caught.value)


def all_macs():
    for width in (4, 2):
        yield cost.count_macs(ONE_BLOCK, ((width,),), IMAGE, CLASSES)


def test_a_compiled_step_sees_the_temperature_change():
    macs = []

    class Spy(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.gumbel_temperature = (1e4, 1e-4)[epoch]

        def on_epoch_end(self, epoch, logs=None):
            macs.append(logs["expected_macs"])

    search = make_search(space=ONE_BLOCK, architecture_optimizer=keras.optimizers.SGD(0.0))
    search.fit(IMAGES, LABELS, batch_size=20, epochs=2, verbose=0, callbacks=[Spy()])
    # hot: equal weights, the mean of all students; cold: one of them
    assert macs[0] == pytest.approx(np.mean(list(all_macs())), rel=1e-3)
    assert min(abs(macs[0] - m) for m in all_macs()) > 10
    assert min(abs(macs[1] - m) for m in all_macs()) < 1


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda x, y: (x, y + 1), "labels must be 0 to 2"),
        (lambda x, y: (x, y - 1), "labels must be 0 to 2"),
        (lambda x, y: (x * 255, y), "pixels must lie between 0 and 1"),
        (lambda x, y: (x * np.nan, y), "some are NaN or infinite"),
    ],
)
def test_data_out_of_range_are_refused_in_one_line(spoil, fault, eagerly):
    search = make_search(space=ONE_BLOCK, compiling={"run_eagerly": eagerly})
    images, labels = spoil(*tiny_batch())
    assert {0, 2} <= set(LABELS)
    for use in (search.fit, search.evaluate):
        with pytest.raises(UserError, match=fault) as refusal:
            use(images, labels, batch_size=20, verbose=0)
        assert "\n" not in str(refusal.value)


def test_a_callback_list_of_keras_own_gets_the_temperatures_decay():
    search = make_search(optimizer=sgd(0.0))
    given = keras.callbacks.CallbackList([], add_history=True, model=search, epochs=2)
    search.fit(IMAGES, LABELS, batch_size=20, epochs=2, callbacks=given, verbose=0)
    assert search.gumbel_temperature < 0.1


def test_scaled_optimizers_are_taken_as_they_are_and_one_for_both_is_refused():
    scaled = keras.optimizers.LossScaleOptimizer
    search = make_search()
    search.compile(scaled(sgd()), architecture_optimizer=scaled(sgd(1.0)))
    assert not isinstance(search.architecture_optimizer.inner_optimizer, scaled)
    one = sgd()
    with pytest.raises(UserError, match="are one object"):
        search.compile(one, architecture_optimizer=one)
