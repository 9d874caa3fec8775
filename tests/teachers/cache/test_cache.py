"""A cached teacher says what the live one says, and leads to the same student."""

from __future__ import annotations

import hashlib
import json
import weakref

import keras
import numpy as np
import pytest
from cached_teacher import ROW, build, live_batches, opened, shard_files, ten_class_teacher
from keras.distillation import LogitsDistillation
from scipy.special import log_softmax
from tiny_models import IMAGE, TINY, TUTORS, make_distiller, make_search, values

from rnascl_keras.errors import UserError
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.derive import derive
from rnascl_keras.method.output_losses import KLDistillation
from rnascl_keras.method.spaces import SearchSpace, Stage
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.method.teacher import LiveTeacher
from rnascl_keras.method.terms import OutputTerm
from rnascl_keras.method.trades import Trades
from rnascl_keras.teachers.cache import shards
from rnascl_keras.teachers.cache.index import write_index

FLOAT16 = 2e-3
"""Relative difference that float16 is allowed to make."""
EAGER = {"run_eagerly": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def cache(folder):
    return opened(folder)


def test_it_says_what_the_live_teacher_says(cache):
    """For three epochs of two views: bit-equal images, and the teacher's answers in float16."""
    live = LiveTeacher(ten_class_teacher(), "conv", cache.map_size)
    assert (cache.layers, cache.fingerprint) == (live.layers, live.fingerprint)
    batches = zip(cache.training_batches(20).take(9), live_batches(20), strict=False)
    for (inputs, labels), (images, same_labels) in batches:
        np.testing.assert_array_equal(inputs["images"], images)
        np.testing.assert_array_equal(labels, same_labels)
        dtypes = inputs["teacher_logits"].dtype, inputs["teacher_maps"].dtype
        assert dtypes == ("float32", "float16")
        (logits, maps), (right_logits, right_maps) = cache.answers(inputs), live.answers(images)
        np.testing.assert_allclose(logits, right_logits, rtol=1e-3, atol=1e-3)
        found, right = (log_softmax(np.float64(x), -1) for x in (logits, right_logits))
        np.testing.assert_allclose(found, right, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(maps, right_maps, atol=3e-4)
        np.testing.assert_allclose(np.linalg.norm(np.float64(maps), axis=-1), 1, atol=1e-6)
        _, chosen = cache.answers(inputs, [2, 0])
        np.testing.assert_allclose(chosen, maps.numpy()[:, [2, 0]], rtol=1e-6)


def test_a_cache_of_before_is_read_with_its_logits_up_to_a_constant(folder, cache, tmp_path):
    """Its rows lack the largest logit, which no softmax sees."""
    index = json.loads((folder / "cache.json").read_text())
    for path in shard_files(folder):
        content = path.read_bytes()
        header, rows = json.loads(content[:1024]), np.frombuffer(content[1024:], "<f2")
        older = np.delete(rows.reshape(-1, ROW), 10, axis=1).tobytes()
        told = {"format": shards.WITHOUT_LARGEST, "row": ROW - 1}
        header |= told | {"sha256": hashlib.sha256(older).hexdigest()}
        index["shards"][path.name] = header["sha256"]
        start = json.dumps(header).ljust(1023).encode() + b"\n"
        (tmp_path / path.name).write_bytes(start + older)
    del index["checksum"]
    write_index(tmp_path, index | {"format": shards.WITHOUT_LARGEST})
    before = opened(tmp_path)
    assert before.shifted and not cache.shifted
    _check_shifted(before, cache)
    for (theirs, _), (ours, _) in zip(
        before.training_batches(20).take(3), cache.training_batches(20), strict=False
    ):
        np.testing.assert_array_equal(theirs["teacher_maps"], ours["teacher_maps"])
        assert np.all(np.max(theirs["teacher_logits"], -1) == 0)
        both = (log_softmax(np.float64(x["teacher_logits"]), -1) for x in (theirs, ours))
        np.testing.assert_allclose(*both, atol=1e-5)


def _check_shifted(before, cache):
    """Losses that see the largest logit are refused of a cache without it, and only those."""
    student = ten_class_teacher()
    of_probabilities = (KLDistillation(), LogitsDistillation(3.0, keras.losses.KLDivergence()))
    raw = OutputTerm(LogitsDistillation(1.0, "mse"))
    for loss in of_probabilities:
        OutputTerm(loss).check(before, student)
    raw.check(cache, student)
    with pytest.raises(UserError, match="older format.*make the cache anew"):
        raw.check(before, student)


def test_maps_of_zeros_stay_zeros(tmp_path):
    teacher = ten_class_teacher(dead=["conv2"])
    build(tmp_path, teacher)
    cache = opened(tmp_path, teacher)
    for inputs, _ in cache.training_batches(20).take(6):
        norms = np.linalg.norm(cache.answers(inputs)[1], axis=-1)
        np.testing.assert_allclose(norms, np.tile([1, 0, 1], (20, 1)), atol=1e-6)


def test_starting_at_an_epoch_continues_the_uninterrupted_batches(cache):
    whole = list(cache.training_batches(20).take(12).as_numpy_iterator())
    resumed = list(cache.training_batches(20, first_epoch=3).take(3).as_numpy_iterator())
    for (inputs, labels), (right, right_labels) in zip(resumed, whole[9:], strict=True):
        np.testing.assert_array_equal(labels, right_labels)
        for name in ("images", "teacher_logits", "teacher_maps"):
            np.testing.assert_array_equal(inputs[name], right[name])


def ten_class_student():
    return Architecture(TINY, ((2, 4), (6, 2)), TUTORS, "", IMAGE, 10).build()


def search_under(teacher, space=TINY, **settings):
    keras.utils.set_random_seed(1)
    return make_search(teacher=teacher, supernet=Supernet(space, IMAGE, 10, seed=4), **settings)


def distiller_under(teacher, **settings):
    keras.utils.set_random_seed(2)
    return make_distiller(teacher=teacher, student=ten_class_student(), **settings)


TRADES = Trades(epsilon=0.2, step_size=0.1, steps=2, start_deviation=0.01)


@pytest.mark.parametrize(
    "make",
    [
        search_under,
        distiller_under,
        lambda teacher, **settings: distiller_under(teacher, trades=TRADES, **settings),
        lambda teacher, **settings: distiller_under(teacher, tutors=(), **settings),
    ],
    ids=["search", "training", "trades", "plain distillation"],
)
def test_a_step_has_the_same_losses_and_nearly_the_same_gradients(cache, make):
    (inputs, labels), (images, _) = (
        next(iter(b)) for b in (cache.training_batches(20), live_batches(20))
    )
    live = make(ten_class_teacher(), optimizer=keras.optimizers.SGD(1.0), compiling=EAGER)
    cached = make(cache, optimizer=keras.optimizers.SGD(1.0), compiling=EAGER)
    start = values(live.weight_variables)
    logs = [
        model.train_on_batch(x, labels, return_dict=True)
        for model, x in ((live, images), (cached, inputs))
    ]
    assert {k: float(v) for k, v in logs[1].items()} == pytest.approx(
        {k: float(v) for k, v in logs[0].items()}, rel=FLOAT16
    )
    assert logs[0]["kl"] > 0.01
    for before, ours, theirs in zip(
        start, values(live.weight_variables), values(cached.weight_variables), strict=True
    ):
        step = np.linalg.norm(ours - before)
        assert np.linalg.norm(theirs - ours) <= 5e-3 * step + 1e-6


def test_a_cache_of_input_gradients_holds_the_live_teacher_s(tmp_path):
    """A step of KDIGA alone, live and cached; without gradients a cache does not do for it."""
    build(tmp_path, gradients=True)
    cache = opened(tmp_path, gradients=True)
    alone = {"classification_weight": 0.0, "kl_weight": 0.0, "gamma_t": 0.0, "tutors": ()}
    live, cached = (
        distiller_under(
            teacher,
            gradient_weight=1.0,
            optimizer=keras.optimizers.SGD(1.0),
            compiling=EAGER,
            **alone,
        )
        for teacher in (ten_class_teacher(), cache)
    )
    (inputs, labels), (images, _) = (
        next(iter(b)) for b in (cache.training_batches(20), live_batches(20))
    )
    right = LiveTeacher(ten_class_teacher(), "conv", cache.map_size).input_gradients(images, labels)
    found = cache.input_gradients(inputs, labels)
    np.testing.assert_allclose(found, right, rtol=FLOAT16, atol=1e-7)
    assert np.abs(right).max() > 1e-3
    losses = [
        float(model.train_on_batch(x, labels, return_dict=True)["gradient_alignment"])
        for model, x in ((live, images), (cached, inputs))
    ]
    assert losses[1] == pytest.approx(losses[0], rel=FLOAT16)
    for ours, theirs in zip(
        values(live.weight_variables), values(cached.weight_variables), strict=True
    ):
        np.testing.assert_allclose(theirs, ours, rtol=1e-2, atol=1e-4)
    with pytest.raises(UserError, match="input gradients: True, now None"):
        opened(tmp_path)


def test_a_cached_search_selects_the_same_architecture(cache):
    """A whole compiled search, six epochs of it: widths, tutors and the teacher's fingerprint."""
    space, found = SearchSpace("two blocks", (Stage(2, (4, 2)),), stem_width=4), []
    for teacher, batches in (
        (cache, cache.training_batches(20)),
        (ten_class_teacher(), live_batches(20)),
    ):
        search = search_under(
            teacher,
            space,
            optimizer=keras.optimizers.SGD(0.003, momentum=0.9),
            architecture_optimizer=keras.optimizers.Adam(0.1),
        )
        search.fit(batches, epochs=6, steps_per_epoch=3, verbose=0)
        found.append((derive(search), np.asarray(search.tutor_choice.logits)))
        assert search.teacher is teacher
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1], atol=0.01)
    assert len({tutor.teacher_layer for tutor in found[0][0].tutors}) > 1


def test_a_look_up_maps_the_shards_it_needs_and_keeps_none(tmp_path, monkeypatch):
    """Four shards a view; in the order asked for, against a look-up of each image alone."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 16 * ROW * 2)
    build(tmp_path)
    cache, opened_shards = opened(tmp_path), []
    open_shard = shards.Shard.open

    def note(shard, *given):
        rows = open_shard(shard, *given)
        assert isinstance(rows, np.memmap) and rows.mode == "r"
        opened_shards.append((weakref.ref(rows), shard.view, shard.first))
        return rows

    monkeypatch.setattr(shards.Shard, "open", note)
    images, views = np.array([59, 3, 48, 17, 2]), np.array([1, 1, 1, 0, 1])
    look_up = cache._rows.look_up
    found = look_up(images, views)
    assert [x[1:] for x in opened_shards] == [(0, 16), (1, 0), (1, 48)]
    assert not any(reference() for reference, *_ in opened_shards)
    for i, row in enumerate(found):
        np.testing.assert_array_equal(look_up(images[i : i + 1], views[i : i + 1])[0], row)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: make_search(teacher=c), "classes is 3, but the cache of what teacher"),
        (lambda c: search_under(c, map_size=(8, 8)), r"map_size is \(8, 8\), but .* \(4, 4\)"),
        (lambda c: search_under(c, teacher_taps="block"), "teacher_taps is block, but .* conv"),
        (lambda c: distiller_under(c, map_size=(3, 3)), "map_size is"),
        (
            lambda c: search_under(c).fit(live_batches(20), steps_per_epoch=1, verbose=0),
            "take those of its training_batches",
        ),
        (
            lambda c: search_under(c).train_on_batch(
                {"pixels": np.zeros((4, *IMAGE))}, np.zeros(4, int)
            ),
            "must hold 'images'; got pixels",
        ),
    ],
)
def test_what_does_not_fit_the_cache_is_told(cache, make, message):
    with pytest.raises(UserError, match=message) as caught:
        make(cache)
    assert "\n" not in str(caught.value)


def test_settings_that_agree_may_be_given(cache):
    assert search_under(cache, map_size=(4, 4), teacher_taps="conv").teacher_layers == cache.layers
