"""Every rival at a tiny width: built, trained a step, exported, and its file attacked."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from rnascl_keras import evaluate
from rnascl_keras.export import OnnxClassifier, export_student
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer
from rnascl_keras.teachers.networks.architectures import CELL_NETWORKS, SCALED

SHAPE, CLASSES = (8, 8, 3), 3
QUICK = ("racl", "amoebanet", "msrobnet_1560", "vgg11_r", "mobilenetv2")
OTHERS = [name for name in (*CELL_NETWORKS, *SCALED) if name not in QUICK]


@pytest.mark.parametrize(
    "architecture", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_a_rival_is_trained_exported_and_attacked(architecture, tmp_path):
    keras.utils.set_random_seed(0)
    short = {"cells": 8 if "msrobnet" in architecture else 3}
    size = {"width": 4} | (short if architecture in CELL_NETWORKS else {})
    model = build_teacher(architecture, input_shape=SHAPE, classes=CLASSES, **size)
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(6, *SHAPE)).astype(np.float32)
    labels = np.arange(6) % CLASSES
    before = np.asarray(model.get_layer("logits").kernel)
    trainer = AdversarialTrainer(model, method="n_fgsm", epsilon=0.05)
    trainer.compile("sgd")
    trainer.fit(images, labels, batch_size=6, epochs=1, verbose=0)
    assert np.abs(np.asarray(model.get_layer("logits").kernel) - before).max() > 0
    made = export_student(model, tmp_path, architecture, images)
    # what is wrong already is not attacked
    labels = np.argmax(model(images, training=False), axis=-1)
    settings = {"attacks": ("fgsm",), "epsilon": 0.05, "check": 0, "progress": False}
    file, attacked = evaluate(OnnxClassifier(made.onnx_path), images, labels, **settings)
    own, _ = evaluate(model, images, labels, **settings)
    assert file.accuracy == own.accuracy
    change = np.abs(attacked["fgsm"] - images)
    assert change.max() <= 0.05 + 1e-6 and change.mean() > 0.02
