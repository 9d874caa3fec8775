"""Evaluation on models whose robust accuracy is known exactly, and on real robust weights."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from brightness import LABELS, VALUES, brightness_model, uniform_images
from classifiers import images_of, linear_classifier

from rnascl_keras.attacks import ATTACKS, Attack
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.attacks.norms import NORMS
from rnascl_keras.attacks.state import Found
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import accuracy_of, evaluate
from rnascl_keras.evaluation.intervals import wilson_interval
from rnascl_keras.evaluation.sweep import sweep_radii

KEYS = ["clean", "fgsm", "pgd20", "mi_fgsm", "worst"]


@pytest.mark.parametrize(("epsilon", "robust"), [(0.02, 5), (0.1, 3), (0.18, 2), (0.25, 1)])
def test_robust_accuracy_of_a_known_model(epsilon, robust):
    result, adversarial = evaluate(
        brightness_model(), uniform_images(VALUES), LABELS, epsilon=epsilon, progress=False, check=0
    )
    assert list(result.accuracy) == list(result.intervals) == KEYS
    assert result.accuracy["clean"] == pytest.approx(5 / 6)
    for key in KEYS[1:]:
        assert result.accuracy[key] == pytest.approx(robust / 6), key
    assert (result.n, result.epsilon, result.seed) == (6, epsilon, 0)
    assert list(adversarial) == ["fgsm", "pgd20", "mi_fgsm"]


@pytest.mark.parametrize("epsilon", [0.1, 0.18])
def test_worst_counts_images_right_under_everything(monkeypatch, epsilon):
    """One attack only brightens, the other only darkens: each breaks the other class's images."""

    class Shift(Attack):
        def __init__(self, epsilon, key, sign):
            super().__init__(epsilon)
            self.key, self.sign = key, sign

        def run(self, classifier, images, labels, logits, **settings):
            return Found.nothing(
                images, labels, classifier.logits(images + self.sign * self.epsilon)
            )

    def shift(key, sign):
        return lambda epsilon, norm: Shift(epsilon, key, sign)

    monkeypatch.setitem(ATTACKS, "brighter", shift("brighter", 1))
    monkeypatch.setitem(ATTACKS, "darker", shift("darker", -1))
    result, _ = evaluate(
        brightness_model(),
        uniform_images(VALUES),
        LABELS,
        attacks=("brighter", "darker"),
        epsilon=epsilon,
        progress=False,
        check=0,
    )
    # epsilon 0.1 turns 0.45 and 0.55, epsilon 0.18 also 0.65; the last image stays wrong throughout
    dark, bright = (4, 4) if epsilon == 0.1 else (3, 4)
    assert result.accuracy["darker"] == pytest.approx(dark / 6)
    assert result.accuracy["brighter"] == pytest.approx(bright / 6)
    assert result.accuracy["worst"] == pytest.approx((3 if epsilon == 0.1 else 2) / 6)


def test_adversarial_images_replay_to_the_same_accuracy():
    model, images = brightness_model(), uniform_images(VALUES)
    result, adversarial = evaluate(
        model, images, LABELS, epsilon=0.1, batch_size=4, progress=False, seed=7
    )
    for key, x in adversarial.items():
        assert np.abs(x - images).max() <= 0.1 + 1e-6
        assert accuracy_of(KerasClassifier(model).logits, x, LABELS) == result.accuracy[key]


def test_the_result_does_not_depend_on_the_batch_size():
    model, images = brightness_model(), uniform_images(VALUES)
    runs = [
        evaluate(model, images, LABELS, epsilon=0.1, batch_size=size, progress=False)[0].as_dict()
        for size in (1, 128)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("right", "n"), [(0, 10), (5, 10), (842, 1000), (3, 3)])
def test_wilson_interval_by_its_formula(right, n):
    z, p = 1.959963984540054, right / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    found = wilson_interval(np.arange(n) < right)
    np.testing.assert_allclose(found, [centre - half, centre + half], atol=1e-12)


def test_accuracies_by_class_are_those_of_the_classes_alone():
    model, images = brightness_model(), uniform_images(VALUES)
    result, _ = evaluate(model, images, LABELS, epsilon=0.1, progress=False, check=0)
    # of 0.1, 0.3, 0.45 and 0.8, which is wrong; and of 0.55 and 0.65
    assert result.class_counts == [4, 2]
    assert result.per_class["clean"] == [0.75, 1.0]
    assert result.per_class["pgd20"] == result.per_class["worst"] == [0.5, 0.5]
    for key, accuracy in result.accuracy.items():
        weighted = np.dot(result.per_class[key], result.class_counts) / 6
        assert weighted == pytest.approx(accuracy)


def test_a_class_without_images_has_no_accuracy():
    result, _ = evaluate(
        brightness_model(), uniform_images(VALUES[:3]), LABELS[:3], attacks=(), progress=False
    )
    assert result.per_class == {"clean": [1.0, None], "worst": [1.0, None]}
    assert result.check is None  # no robustness is claimed


def test_uint8_images_are_the_same_images():
    given = np.round(255 * uniform_images(VALUES)).astype("u1")
    results = [
        evaluate(brightness_model(), x, LABELS, epsilon=0.1, progress=False, check=0)[0].as_dict()
        for x in (given, given / np.float32(255))
    ]
    assert results[0] == results[1]


def test_every_attack_can_be_evaluated_in_all_norms_of_gradients():
    classifier, images = linear_classifier(), images_of(8)
    labels = classifier.logits(images).argmax(1)
    for norm, epsilon in (("Linf", 0.02), ("L2", 0.1), ("L1", 0.4)):
        result, adversarial = evaluate(
            classifier,
            images,
            labels,
            attacks=("fgsm", "pgd", "mi_fgsm", "cw", "auto_attack"),
            epsilon=epsilon,
            norm=norm,
            progress=False,
        )
        assert list(result.accuracy) == [*KEYS[:-1], "cw", "auto_attack", "worst"]
        assert 0 < result.accuracy["worst"] <= result.accuracy["auto_attack"] < 1
        lengths = [NORMS[norm].length(x - images).max() for x in adversarial.values()]
        assert max(lengths) <= epsilon + 1e-6 and result.norm == norm
        assert result.check.passed
        json.dumps(result.as_dict())


def test_pixels_are_counted_in_l0_and_nothing_is_checked_there(capsys):
    images = images_of(8)
    logits_only = type("LogitsOnly", (), {"logits": staticmethod(linear_classifier().logits)})
    labels = logits_only.logits(images).argmax(1)
    settings = {"attacks": ["sparse_rs"], "norm": "L0", "epsilon": 2}
    for model in (linear_classifier(), logits_only()):
        result, made = evaluate(model, images, labels, **settings)
        assert NORMS["L0"].length(made["sparse_rs"] - images).max() <= 2
        assert result.check is None and result.accuracy["sparse_rs"] < 1
        assert "No check for false robustness" in capsys.readouterr().err
    with pytest.raises(UserError, match="FGSM attacks within .*; got L0"):
        evaluate(model, images, labels, **{**settings, "attacks": ["fgsm"]})
    with pytest.raises(UserError, match="SparseRS attacks within L0; got Linf"):
        evaluate(model, images, labels, attacks=["sparse_rs"], epsilon=0.1)


def test_a_model_without_gradient_is_not_checked():
    class LogitsOnly:
        logits = linear_classifier().logits

    images = images_of(5)
    labels = LogitsOnly.logits(images).argmax(1)
    result, _ = evaluate(LogitsOnly(), images, labels, attacks=["square"], progress=False)
    assert result.check is None and set(result.accuracy) == {"clean", "square", "worst"}


def test_a_sweep_is_an_evaluation_at_each_radius():
    model, images = brightness_model(), uniform_images(VALUES)
    found = sweep_radii(
        model, images, LABELS, radii=(0.18, 0.02, 0.1, 0.1), attacks=("fgsm", "pgd"), progress=False
    )
    assert found.epsilon == [0.02, 0.1, 0.18] and found.n == 6
    expected = pytest.approx([5 / 6, 3 / 6, 2 / 6])
    assert found.accuracy == {"fgsm": expected, "pgd20": expected, "worst": expected}
    assert found.intervals["fgsm"][1] == wilson_interval(np.arange(6) < 3)
    with pytest.raises(UserError, match="at least one radius"):
        sweep_radii(model, images, LABELS, radii=())


def test_progress_shows_the_running_accuracy_on_a_terminal(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    evaluate(brightness_model(), uniform_images(VALUES), LABELS, attacks=("pgd",), epsilon=0.1)
    shown = terminal.getvalue()
    assert "pgd20" in shown and "accuracy=0.500" in shown and "6/6" in shown


@pytest.mark.slow
def test_pgd_agrees_with_what_others_measured_on_robust_weights():
    """PGD-20 at 4/255, first 500 images in CIFAR-10's own order: 43.6 %, about +- 2 points."""
    teachers, data_dir = os.environ.get("RNASCL_TEACHERS_DIR"), os.environ.get("TFDS_DATA_DIR")
    if not teachers or not data_dir:
        pytest.skip("RNASCL_TEACHERS_DIR and TFDS_DATA_DIR do not both say where files are")
    import tensorflow_datasets as tfds

    from rnascl_keras.teachers import load_teacher

    data = tfds.as_numpy(tfds.load("cifar10", split="test", batch_size=-1, data_dir=data_dir))
    first = np.argsort(data["id"])[:500]
    model = load_teacher(
        Path(teachers) / "ehanw_resnet20_pgd_cifar10.npz", input_shape=(32, 32, 3), classes=10
    )
    result, _ = evaluate(
        model,
        data["image"][first] / np.float32(255),
        data["label"][first],
        attacks=("pgd",),
        epsilon=4 / 255,
        progress=False,
        check=0,
    )
    assert result.accuracy["pgd20"] == pytest.approx(0.436, abs=0.02)


@pytest.mark.parametrize("subclassed", [False, True])
def test_a_model_that_mixes_the_images_of_a_batch_is_asked_about_each_alone(subclassed, capsys):
    """Then the figures are those of its own answers to the images made, in whatever batches."""
    import keras

    keras.utils.set_random_seed(3)
    images, labels = images_of(24).astype(np.float32), np.arange(24) % 3
    given = keras.Input(images.shape[1:])
    x = keras.layers.Dense(3)(keras.layers.Flatten()(given))
    whole = keras.Model(given, x - 0.5 * keras.ops.mean(x, axis=0, keepdims=True))

    class Wrapped(keras.Model):
        def call(self, images, training=None):
            return whole(images)

    model = Wrapped() if subclassed else whole
    found, made = evaluate(model, images, labels, attacks=("pgd",), epsilon=0.1, check=0)
    assert "each image alone" in capsys.readouterr().err
    for key, own in (("clean", images), ("pgd20", made["pgd20"])):
        said = [int(np.argmax(model(image[None]))) for image in own]
        assert found.accuracy[key] == np.mean(said == labels)
