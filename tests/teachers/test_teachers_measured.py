"""Published weights on CIFAR-10 give the accuracies that others measured on them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rnascl_keras.attacks.classifier import Batched
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.evaluation.evaluate import accuracy_of, evaluate
from rnascl_keras.teachers import load_published, load_teacher

# From the README beside the weights: clean on 10,000 images; PGD-20 at 2, 4 and 8/255 on the first
# 500 in CIFAR-10's own order, one restart, about 2 points uncertain. Of the control it says 89.9
# clean; PyTorch gives 90.01 with the same weights and images, so that is expected here.
ROBUST, CONTROL, PLAIN = (
    "ehanw_resnet20_pgd_cifar10.npz",
    "ehanw_resnet20_standard_cifar10_control.npz",
    "abcrown_resnet4b_adv2of255_cifar10.npz",
)
MEASURED = {
    ROBUST: ("resnet20", 84.2, (66.4, 43.6, 15.2)),
    CONTROL: ("resnet20", 90.01, (0.2, 0.0, 0.0)),
    PLAIN: ("abcrown_resnet4b", 77.2, (61.4, 41.8, 15.6)),
}
RADII = (2 / 255, 4 / 255, 8 / 255)


@pytest.fixture(scope="module")
def folder():
    if "RNASCL_TEACHERS_DIR" not in os.environ:
        pytest.skip("RNASCL_TEACHERS_DIR does not say where the weights are")
    return Path(os.environ["RNASCL_TEACHERS_DIR"])


@pytest.fixture(scope="module")
def cifar10():
    """The test images, (10000, 32, 32, 3) in [0, 1], and labels in the order of CIFAR-10's files,
    which the names of tfds' examples tell."""
    if "TFDS_DATA_DIR" not in os.environ:
        pytest.skip("TFDS_DATA_DIR does not say where CIFAR-10 is")
    import tensorflow_datasets as tfds

    place = os.environ["TFDS_DATA_DIR"]
    data = tfds.as_numpy(tfds.load("cifar10", split="test", batch_size=-1, data_dir=place))
    order = np.argsort(data["id"])
    assert data["id"][order[1]] == b"test_00001" and len(order) == 10_000
    return data["image"][order] / np.float32(255), data["label"][order]


def clean_accuracy(model, cifar10):
    images, labels = cifar10
    return accuracy_of(Batched(KerasClassifier(model), 500).logits, images, labels)


def test_clean_accuracy_without_batch_normalisation(folder, cifar10):
    """A flatten of 4 x 4 pixels lies before the dense layers: their order of inputs shows."""
    model = load_published(folder / PLAIN, "abcrown_resnet4b").model
    assert clean_accuracy(model, cifar10) == pytest.approx(0.772, abs=1e-3)


def test_clean_accuracy_of_the_architecture_that_follows_from_the_names(folder, cifar10):
    model = load_teacher(folder / ROBUST, input_shape=(32, 32, 3), classes=10)
    assert clean_accuracy(model, cifar10) == pytest.approx(0.842, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("file", MEASURED)
def test_clean_and_robust_accuracy(folder, cifar10, file, record_property):
    architecture, clean, robust = MEASURED[file]
    model = load_published(folder / file, architecture).model
    found = 100 * clean_accuracy(model, cifar10)
    record_property("clean", found)
    images, labels = (array[:500] for array in cifar10)
    for radius, expected in zip(RADII, robust, strict=True):
        evaluation, _ = evaluate(
            model, images, labels, attacks=("pgd",), epsilon=radius, progress=False
        )
        attacked = 100 * evaluation.accuracy["pgd20"]
        record_property(f"pgd20 at {radius * 255:.0f}/255", attacked)
        assert attacked == pytest.approx(expected, abs=2)
    assert found == pytest.approx(clean, abs=0.1)
