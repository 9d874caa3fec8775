"""A cache that is changed under its reader is told of in one line, also through tf.data."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import pytest
from cached_teacher import build, opened, shard_files, ten_class_teacher

from rnascl_keras.errors import UserError

pytestmark = pytest.mark.usefixtures("small_shards")

CHANGES = {
    "another teacher's": lambda folder: build(folder, ten_class_teacher(seed=1)),
    "cut short": lambda folder: os.truncate(shard_files(folder)[1], 1500),
    "gone": lambda folder: Path.unlink(shard_files(folder)[1]),
}


def iterate(batches):
    for _ in batches.take(6):
        pass


def fit(batches):
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(batches.map(lambda x, y: (x["images"], y)), steps_per_epoch=6, verbose=0)


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("read", [iterate, fit])
def test_a_shard_that_has_changed_is_named(folder, what, read):
    cache = opened(folder, mend="`rnascl cache`")
    with cache.told():
        read(cache.training_batches(20))
    CHANGES[what](folder)
    words = r"shard .*\.shard has changed .*mend the cache with `rnascl cache`, then open it again"
    with pytest.raises(UserError, match=words) as caught, cache.told():
        read(cache.training_batches(20))
    assert "\n" not in str(caught.value)


def test_another_error_stays_what_it_is(folder):
    with pytest.raises(KeyError, match="x"), opened(folder).told():
        raise KeyError("x")


def test_the_same_cache_made_again_is_read_on(folder):
    cache = opened(folder)
    for path in shard_files(folder):
        path.unlink()
    build(folder)
    with cache.told():
        iterate(cache.training_batches(20))
