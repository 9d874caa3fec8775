"""What several test files share: a tiny space, a tiny teacher, and models that train under it."""

import contextlib

import keras
import numpy as np

from rnascl_keras.method.architecture import Architecture, Tutor
from rnascl_keras.method.distill import CrossLayerDistiller
from rnascl_keras.method.search import CrossLayerSearch
from rnascl_keras.method.spaces import SearchSpace, Stage
from rnascl_keras.method.supernet import Supernet

IMAGE, CLASSES = (8, 8, 1), 3
TINY = SearchSpace("tiny", (Stage(2, (4, 2), stride=1), Stage(2, (6, 4, 2))), stem_width=4)
ONE_BLOCK = SearchSpace("one block", (Stage(1, (4, 2)),), stem_width=2)
"""For what does not depend on how deep a network is: its step is traced in a third of the time."""

TUTORS = (
    Tutor("stem", "conv3"),
    Tutor("stage1_block2_depthwise", "conv1"),
    Tutor("stage2_block1_project", "conv3"),
)
STUDENTS = {
    TINY: (((2, 4), (6, 2)), TUTORS),
    ONE_BLOCK: (((2,),), (Tutor("stem", "conv3"), Tutor("stage1_block1_depthwise", "conv1"))),
}
"""The widths and tutors of the student of each space."""


def tiny_batch(n=20, classes=CLASSES):
    """Images and labels; of twenty, 16 are for the weights, 4 for the Gumbel variables."""
    rng = np.random.default_rng(5)
    images = rng.uniform(size=(n, *IMAGE)).astype("float32")
    return images, rng.integers(0, classes, n)


def make_teacher(classes=CLASSES):
    """Three convolutions with batch normalisation whose statistics are not the fresh ones."""
    images = x = keras.Input(IMAGE)
    for k, width in enumerate((4, 6, 5), 1):
        x = keras.layers.Conv2D(width, 3, padding="same", name=f"conv{k}")(x)
        x = keras.layers.BatchNormalization(name=f"bn{k}")(x)
        x = keras.layers.ReLU(name=f"relu{k}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    logits = keras.layers.Dense(classes, dtype=keras.config.floatx(), name="logits")(x)
    model = keras.Model(images, logits, name="tiny_teacher")
    rng = np.random.default_rng(9)
    for k in (1, 2, 3):
        gamma, beta, mean, variance = model.get_layer(f"bn{k}").get_weights()
        statistics = [rng.normal(0, 0.1, mean.shape), rng.uniform(0.5, 1.5, variance.shape)]
        model.get_layer(f"bn{k}").set_weights([gamma, beta + 0.1, *statistics])
    return model


def least_squares(images, labels):
    """A linear model of digits, by least squares: right on nearly all that it is made from."""
    rows = np.c_[images.reshape(len(images), -1), np.ones(len(images))]
    weights = np.linalg.lstsq(rows, 10 * np.eye(10)[labels], rcond=None)[0].astype("float32")
    model = keras.Sequential(
        [keras.Input(images.shape[1:]), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.set_weights([weights[:-1], weights[-1]])
    return model


def sgd(learning_rate=0.1):
    return keras.optimizers.SGD(learning_rate, momentum=0.9)


def make_search(
    *,
    optimizer=None,
    architecture_optimizer=None,
    teacher=None,
    supernet=None,
    space=TINY,
    compiling=None,
    **settings,
):
    """Return a compiled search; equal settings give equal models."""
    keras.utils.set_random_seed(1)
    search = CrossLayerSearch(
        teacher or make_teacher(),
        supernet or Supernet(space, IMAGE, CLASSES, seed=4),
        **{"seed": 4, **settings},
    )
    search.compile(
        optimizer=optimizer or sgd(),
        architecture_optimizer=architecture_optimizer,
        **(compiling or {}),
    )
    return search


def make_distiller(
    *, optimizer=None, teacher=None, student=None, space=TINY, compiling=None, **settings
):
    """Return a compiled distiller; equal settings give equal models."""
    keras.utils.set_random_seed(2)
    widths, tutors = STUDENTS[space]
    architecture = Architecture(space, widths, tutors, "", IMAGE, CLASSES)
    distiller = CrossLayerDistiller(
        teacher or make_teacher(),
        student or architecture.build(),
        **{"tutors": tutors, "seed": 4, **settings},
    )
    distiller.compile(optimizer=optimizer or sgd(), **(compiling or {}))
    return distiller


def values(variables):
    """Return copies of variables as arrays."""
    return [v.numpy() for v in variables]


def same(first, second):
    """Return whether two lists of arrays are equal bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@contextlib.contextmanager
def dtype_policy(name):
    """Set the global dtype policy; put the former one back afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
