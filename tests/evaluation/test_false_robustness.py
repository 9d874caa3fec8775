"""The check for false robustness: on models that are masked, and on ones that are not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from classifiers import images_of, two_layers
from published import cifar10, in_keras
from sklearn.datasets import load_digits

from rnascl_keras.attacks import PGD
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.evaluation.false_robustness import check_robustness
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

MODEL = two_layers()
IMAGES = images_of(60)
LABELS = MODEL.logits(IMAGES).argmax(1)
SIGNS = ["gradient", "random", "single_step", "black_box", "effort", "radius"]


class Masked:
    """The true logits, and a gradient that `spoil` makes of the true one."""

    def __init__(self, spoil):
        self.spoil = spoil
        self.logits = MODEL.logits

    def logits_and_gradient(self, images, loss, labels, targets):
        logits, gradient = MODEL.logits_and_gradient(images, loss, labels, targets)
        return logits, self.spoil(images, gradient)


def signs(model, **settings):
    """The signs found, and the check."""
    check = check_robustness(model, IMAGES, LABELS, **{"epsilon": 0.05, "queries": 100, **settings})
    found = {finding.name for finding in check.findings if not finding.passed}
    assert check.passed == (not found) == check.verdict.startswith("No sign")
    for finding in check.findings:
        assert (finding.words in check.verdict) == (not finding.passed)
    return found, check


def test_an_honest_model_shows_no_sign():
    robust = MODEL.logits(PGD(0.05).perturb(MODEL, IMAGES, LABELS)).argmax(1) == LABELS
    assert 0.2 < robust.mean() < 0.9  # else there would be nothing to find
    found, check = signs(MODEL, other=two_layers(seed=1))
    assert found == set() and check.n == 60
    names = [finding.name for finding in check.findings]
    assert names == [*SIGNS[:-1], "transfer", "radius"]
    assert check.as_dict()["findings"][0] == {
        "name": "gradient",
        "share": 0.0,
        "passed": True,
        "words": "the gradient is zero or undefined on 0 of 60 images",
    }


def test_at_radius_0_there_is_nothing_to_look_for():
    """The look at larger radii doubled 0 for ever."""
    with pytest.raises(UserError, match="epsilon is 0"):
        check_robustness(MODEL, IMAGES, LABELS, epsilon=0.0)
    found, _ = evaluate(MODEL, IMAGES, LABELS, attacks=("fgsm",), epsilon=0.0, progress=False)
    assert found.check is None and found.accuracy["fgsm"] == found.accuracy["clean"] == 1


def test_a_model_without_gradient_is_found_out():
    found, check = signs(Masked(lambda images, gradient: np.zeros_like(gradient)))
    assert {"gradient", "black_box", "radius"} <= found
    assert check.findings[0].share == 1


@pytest.mark.parametrize("count", [1, 2])
def test_a_sign_that_concerns_all_images_is_one_however_few_they_are(count):
    masked = Masked(lambda images, gradient: np.zeros_like(gradient))
    check = check_robustness(masked, IMAGES[:count], LABELS[:count], epsilon=0.05, queries=10)
    assert not check.passed and not check.findings[0].passed
    honest = check_robustness(MODEL, IMAGES[:count], LABELS[:count], epsilon=0.05, queries=10)
    assert honest.verdict.endswith(f"on {count} images, which are too few to tell.")


def test_a_zero_gradient_is_said_where_nothing_else_is_looked_at(capsys):
    masked = Masked(lambda images, gradient: np.zeros_like(gradient))
    for model, said in ((masked, True), (MODEL, False)):
        evaluate(model, IMAGES, LABELS, attacks=["pgd"], epsilon=0.05, check=0)
        assert ("The gradient is zero" in capsys.readouterr().err) == said


def test_undefined_gradients_are_counted():
    def spoil(images, gradient):
        gradient[images[:, 0, 0, 0] > 0.5, 0, 0, 0] = np.nan
        return gradient

    _, check = signs(Masked(spoil))
    assert check.findings[0].share == np.mean(IMAGES[:, 0, 0, 0] > 0.5)


def test_a_gradient_right_at_the_images_only_lets_one_step_win():
    own = {x.tobytes() for x in IMAGES}

    def spoil(images, gradient):
        right = np.array([x.tobytes() in own for x in images]).reshape(-1, 1, 1, 1)
        return np.where(right, gradient, -gradient)

    found, _ = signs(Masked(spoil), other=MODEL)
    assert {"single_step", "black_box", "transfer"} <= found


def test_a_gradient_drowned_in_noise_lets_effort_win():
    """Smaller steps average the noise out, and another start tries again."""
    noise = np.random.default_rng(0)

    def spoil(images, gradient):
        size = np.abs(gradient).mean(axis=(1, 2, 3), keepdims=True)
        return gradient + 6 * size * noise.normal(size=gradient.shape)

    found, _ = signs(Masked(spoil))
    assert "effort" in found


def test_a_model_that_is_random_is_found_out():
    class Random(Masked):
        noise = np.random.default_rng(0)

        def __init__(self):
            super().__init__(lambda images, gradient: gradient)
            self.logits = self.noisy

        def noisy(self, images):
            return MODEL.logits(images + self.noise.normal(0, 0.02, images.shape))

    found, check = signs(Random())
    assert "random" in found and "AutoAttack's version rand" in check.verdict
    assert found > {"random"} or "can be too good or too bad" in check.verdict


@pytest.fixture(scope="module")
def digits():
    """A digits classifier, adversarially trained; and images it has not seen."""
    data = load_digits()
    images = (data.images / 16).astype(np.float32)[..., None]
    keras.utils.set_random_seed(0)
    model = build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10)
    trainer = AdversarialTrainer(model, method="fast", epsilon=0.1)
    trainer.compile(keras.optimizers.SGD(0.1, momentum=0.9), jit_compile=False)
    trainer.fit(images[:1300], data.target[:1300], batch_size=64, epochs=6, verbose=0)
    return model, images[1300:1400], data.target[1300:1400]


def staged(model, stage):
    images = keras.Input((8, 8, 1))
    return keras.Model(images, model(keras.layers.Lambda(stage)(images)))


def stairs(x):
    """Steps at 0.25, 0.5 and 0.75, steep and flat between: x, but with no slope in float32."""
    return sum(keras.ops.sigmoid(3000 * (x - at)) for at in (0.125, 0.375, 0.625, 0.875)) / 4


STAGES = {
    "saturated": stairs,
    "not differentiable": lambda x: keras.ops.round(4 * x) / 4,
    "random": lambda x: x + 0.1 * tf.random.normal(tf.shape(x)),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_masked_network_is_found_out(digits, stage):
    model, images, labels = digits
    masked = staged(model, STAGES[stage])
    assert np.mean(np.asarray(masked(images)).argmax(1) == labels) > 0.85
    check = check_robustness(masked, images, labels, epsilon=0.15, queries=200)
    found = {finding.name for finding in check.findings if not finding.passed}
    assert not check.passed
    assert "random" in found if stage == "random" else {"black_box", "radius"} <= found


def test_an_adversarially_trained_network_is_not_accused(digits):
    model, images, labels = digits
    for epsilon in (0.1, 0.15):
        check = check_robustness(model, images, labels, epsilon=epsilon, queries=200)
        assert check.passed, check.verdict


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [2 / 255, 4 / 255, 8 / 255])
@pytest.mark.parametrize("name", ["resnet20", "resnet4b", "control"])
def test_published_weights_are_not_accused(name, epsilon):
    """200 images, 500 queries; robust ones and the control that is not."""
    check = check_robustness(in_keras(name), *cifar10(200), epsilon=epsilon)
    print(name, f"{epsilon:.3f}", check.verdict, *(finding.share for finding in check.findings))
    assert check.passed, check.verdict
