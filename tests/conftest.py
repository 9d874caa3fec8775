"""What several test files share: a tiny space, a tiny teacher, and models that train under it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest

from rnascl_keras.distill import CrossLayerDistiller
from rnascl_keras.search import CrossLayerSearch
from rnascl_keras.spaces import SearchSpace, Stage
from rnascl_keras.supernet import Supernet

IMAGE, CLASSES = (8, 8, 1), 3
TINY = SearchSpace("tiny", (Stage(2, (4, 2), stride=1), Stage(2, (6, 4, 2))), stem_width=4)


@pytest.fixture
def tiny_space():
    """Four blocks, 36 students."""
    return TINY


@pytest.fixture
def tiny_batch():
    """Twenty images (16 for the weights, 4 for the Gumbel variables) and their labels."""
    rng = np.random.default_rng(5)
    images = rng.uniform(size=(20, *IMAGE)).astype("float32")
    return images, rng.integers(0, CLASSES, 20)


def _teacher(classes=CLASSES, image=IMAGE):
    """Three convolutions with batch normalisation whose statistics are not the fresh ones."""
    images = x = keras.Input(image)
    for k, width in enumerate((4, 6, 5), 1):
        x = keras.layers.Conv2D(width, 3, padding="same", name=f"conv{k}")(x)
        x = keras.layers.BatchNormalization(name=f"bn{k}")(x)
        x = keras.layers.ReLU(name=f"relu{k}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, dtype="float32", name="logits")(x)
    model = keras.Model(images, outputs, name="tiny_teacher")
    rng = np.random.default_rng(9)
    for k in (1, 2, 3):
        gamma, beta, _, _ = model.get_layer(f"bn{k}").get_weights()
        model.get_layer(f"bn{k}").set_weights(
            [
                gamma,
                beta + 0.1,
                rng.normal(0, 0.1, gamma.shape),
                rng.uniform(0.5, 1.5, gamma.shape),
            ]
        )
    return model


@pytest.fixture
def make_teacher():
    return _teacher


@pytest.fixture
def make_search():
    """Return (settings) -> compiled CrossLayerSearch; equal settings give equal models."""

    def make(
        *, optimizer=None, architecture_optimizer=None, compiling=None, space=TINY, **settings
    ):
        keras.utils.set_random_seed(1)
        teacher = settings.pop("teacher", None) or _teacher()
        supernet = settings.pop("supernet", None) or Supernet(space, IMAGE, CLASSES, seed=3)
        search = CrossLayerSearch(teacher, supernet, **{"seed": 4, **settings})
        search.compile(
            optimizer=optimizer or keras.optimizers.SGD(0.1, momentum=0.9),
            architecture_optimizer=architecture_optimizer,
            **(compiling or {}),
        )
        return search

    return make


@pytest.fixture
def make_distiller():
    """Return (settings) -> compiled CrossLayerDistiller; equal settings give equal models."""

    def make(*, optimizer=None, compiling=None, **settings):
        from rnascl_keras.architecture import Architecture, Tutor

        keras.utils.set_random_seed(2)
        teacher = settings.pop("teacher", None) or _teacher()
        tutors = (
            Tutor("stem", "conv3"),
            Tutor("stage1_block2_depthwise", "conv1"),
            Tutor("stage2_block1_project", "conv3"),
        )
        architecture = Architecture(TINY, ((2, 4), (6, 2)), tutors, "", IMAGE, CLASSES)
        distiller = CrossLayerDistiller(
            teacher, architecture.build(), **{"tutors": tutors, "seed": 4, **settings}
        )
        distiller.compile(
            optimizer=optimizer or keras.optimizers.SGD(0.1, momentum=0.9), **(compiling or {})
        )
        return distiller

    return make


@pytest.fixture
def dtype_policy():
    """Return keras.config.set_dtype_policy; the policy is put back afterwards."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)
