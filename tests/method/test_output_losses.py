"""Our losses in Keras' own distiller, and Keras' losses in ours, by NumPy in float64."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from tiny_models import make_teacher, sgd, tiny_batch

from rnascl_keras.errors import UserError
from rnascl_keras.method.distiller import Distiller
from rnascl_keras.method.output_losses import AttentionDistillation, KLDistillation
from rnascl_keras.method.terms import OutputTerm

IMAGES, LABELS = tiny_batch()


def models():
    """A teacher and a student of other weights, always the same."""
    keras.utils.set_random_seed(3)
    return make_teacher(), make_teacher()


def logits():
    teacher, student = models()
    return np.float64(teacher(IMAGES)), np.float64(student(IMAGES, training=True))


def kl(p, q, softening):
    p, q = (log_softmax(x / softening, -1) for x in (p, q))
    return softening**2 * np.mean(np.sum(np.exp(p) * (p - q), -1))


def in_keras(loss, weight=1.0):
    """The distillation loss of the first step of Keras' Distiller."""
    teacher, student = models()
    trainer = keras.distillation.Distiller(teacher, student, [loss], [weight], 0.25)
    trainer.compile(sgd(), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return trainer.train_on_batch(IMAGES, LABELS, return_dict=True)


@pytest.mark.parametrize("direction", ["student_teacher", "teacher_student"])
def test_our_kl_in_keras_distiller(direction):
    teacher, student = logits()
    pair = (student, teacher) if direction == "student_teacher" else (teacher, student)
    found = in_keras(KLDistillation(direction, 2.0), 3.0)
    expected = 3 * kl(*pair, 2.0)
    assert float(found["distillation_loss"]) == pytest.approx(expected, rel=1e-4)
    cross_entropy = -log_softmax(student, -1)[np.arange(20), LABELS].mean()
    total = 0.25 * cross_entropy + 0.75 * expected
    assert float(found["total_loss"]) == pytest.approx(total, rel=1e-4)
    assert expected > 0.01


def test_our_attention_in_keras_distiller():
    teacher, student = models()
    maps = []
    for model, layer, training in ((teacher, "relu3", False), (student, "relu1", True)):
        features = keras.Model(model.input, model.get_layer(layer).output)
        activation = np.float64(features(IMAGES, training=training))
        squares = np.sum(activation**2, -1).reshape(20, 4, 2, 4, 2)
        squares = squares.mean((2, 4)).reshape(20, 16)  # 8 x 8 to 4 x 4 is by averages
        maps.append(squares / np.linalg.norm(squares, axis=-1, keepdims=True))
    expected = np.linalg.norm(maps[0] - maps[1], axis=-1).mean()
    found = in_keras(AttentionDistillation("relu3", "relu1", (4, 4)))
    assert float(found["distillation_loss"]) == pytest.approx(expected, rel=1e-4)
    assert expected > 0.01
    by_default = in_keras(AttentionDistillation("relu3", "relu1"))["distillation_loss"]
    assert float(by_default) == pytest.approx(expected, rel=1e-4)  # 4 x 4 for these images


@pytest.mark.parametrize("adversarial", [False, True])
def test_keras_loss_in_our_distiller(adversarial):
    class Same:
        """An attack that changes nothing, so that the adversarial images are known."""

        needs = ()

        def perturb(self, step):
            return step.images

    loss = keras.distillation.LogitsDistillation(3.0, keras.losses.KLDivergence())
    term = OutputTerm(loss, 0.5, adversarial=True) if adversarial else loss
    distiller = Distiller(*models(), [term], Same())
    distiller.compile(sgd(), run_eagerly=True)
    found = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
    teacher, student = (softmax(x / 3, -1) for x in logits())
    expected = 9 * np.mean(np.sum(teacher * np.log(teacher / student), -1))
    assert float(found["logits_distillation"]) == pytest.approx(expected, rel=1e-4)
    weight = 0.5 if adversarial else 1.0
    assert float(found["loss"]) == pytest.approx(weight * expected, rel=1e-4)
    assert expected > 0.01


@pytest.mark.parametrize(
    "loss", [KLDistillation("teacher_student", 4.0), AttentionDistillation("a", "b", (7, 7))]
)
def test_they_come_back_from_their_configuration(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


def test_a_loss_of_an_unknown_direction_is_told():
    told = "kl 'student_teachr' is unknown.*Did you mean 'student_teacher'"
    with pytest.raises(UserError, match=told):
        KLDistillation("student_teachr")
