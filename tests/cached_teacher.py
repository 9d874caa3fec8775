"""What the tests of the cache share: a tiny teacher's cache of sixty digits."""

from __future__ import annotations

import functools

import keras
from tiny_models import make_teacher

from rnascl_keras.data import load_data
from rnascl_keras.teachers.cache import build_cache, open_cache

SETTINGS = {"views": 2, "augmentation": "shift", "seed": 3}
ROW = 10 + 1 + 3 * 16  # ten logits and the largest; three layers' maps of 4 x 4
IMAGES_PER_SHARD = 25


@functools.cache
def digits(n=60):
    return load_data("digits", limit_train=n).train


def ten_class_teacher(seed=0, dead=()):
    """Return a teacher; the maps of its `dead` layers, of conv1 to conv3, are zeros."""
    keras.utils.set_random_seed(seed)
    teacher = make_teacher(classes=10)
    for layer in dead:
        layer = teacher.get_layer(layer.replace("conv", "bn"))
        gamma, beta, *statistics = layer.get_weights()
        layer.set_weights([0 * gamma, 0 * beta - 1, *statistics])
    return teacher


def build(folder, teacher=None, data=None, **settings):
    """Build; return what was said."""
    said = []
    teacher = teacher or ten_class_teacher()
    changes = {**SETTINGS, **settings}
    build_cache(folder, teacher, data or digits(), batch_size=16, say=said.append, **changes)
    return said


def opened(folder, teacher=None, data=None, **settings):
    return open_cache(
        folder, teacher or ten_class_teacher(), data or digits(), **{**SETTINGS, **settings}
    )


def shard_files(folder):
    return sorted(folder.glob("*.shard"))


def live_batches(batch_size, **options):
    """The same views of the same images in the same order, without what the teacher says."""
    options = {**options, "augmentation": SETTINGS["augmentation"], "seed": SETTINGS["seed"]}
    return digits().training_batches(batch_size, views=SETTINGS["views"], **options)
