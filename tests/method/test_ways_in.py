"""Whatever trains a model or asks one takes it by its logits: every way in, with every ending."""

import keras
import numpy as np
import pytest
from cached_teacher import build, digits, opened, ten_class_teacher
from keras import layers, ops
from tiny_models import (
    CLASSES,
    IMAGE,
    make_distiller,
    make_search,
    make_teacher,
    same,
    sgd,
    tiny_batch,
    values,
)

from rnascl_keras.errors import UserError
from rnascl_keras.method.teacher import LiveTeacher
from rnascl_keras.teachers import load_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

IMAGES, LABELS = tiny_batch()
EAGER = {"compiling": {"run_eagerly": True}}


def classifier():
    """The same one each time."""
    keras.utils.set_random_seed(3)
    return make_teacher()


class Probabilities(layers.Layer):
    """A softmax that no part of a Keras graph shows."""

    def build(self, _):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return ops.softmax(self.scale * x)


def in_dense(model):
    """The same model, whose last layer ends in a softmax itself."""
    last = model.layers[-1]
    end = layers.Dense(last.units, activation="softmax")
    ended = keras.Model(model.input, end(last.input))
    end.set_weights(last.get_weights())
    return ended


def nested(*following):
    return lambda model: keras.Sequential(
        [keras.Input(IMAGE), model, keras.Sequential([x() for x in following])]
    )


ENDED = {
    "dense": in_dense,
    "nested": nested(layers.Softmax, lambda: layers.Dropout(0.5), layers.Identity),
    "sigmoid": nested(lambda: layers.Activation("sigmoid")),
}


@pytest.fixture(params=ENDED)
def ended(request):
    """A function: model of logits -> the same with probabilities."""
    return ENDED[request.param]


def fitted(trainer):
    trainer.compile(sgd(), run_eagerly=True)
    return trainer.train_on_batch(IMAGES, LABELS, return_dict=True)


@pytest.mark.parametrize("method", ["fast", "trades"])
def test_adversarial_training(ended, method):
    models = classifier(), ended(classifier())
    settings = {"method": method, "epsilon": 0.1, "steps": 2, "seed": 1}
    trainers = [AdversarialTrainer(model, **settings) for model in models]
    first, second = (fitted(trainer) for trainer in trainers)
    # what is nested is not folded for the attack, which rounds otherwise
    assert first == pytest.approx(second, rel=1e-4)
    assert trainers[1].model is models[1]
    for own, other in zip(values(models[0].weights), values(models[1].weights), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-4)
    assert not same(values(models[0].weights), values(classifier().weights))


def test_a_student(ended):
    models = classifier(), ended(classifier())
    made = [make_distiller(student=model, tutors=(), **EAGER) for model in models]
    first, second = (d.train_on_batch(IMAGES, LABELS, return_dict=True) for d in made)
    assert first == second
    assert made[1].student is models[1]
    assert same(values(models[0].weights), values(models[1].weights))
    expected = [d.test_on_batch(IMAGES, LABELS, return_dict=True) for d in made]
    assert expected[0] == expected[1]


def test_a_live_teacher(ended):
    plain, teacher = classifier(), ended(classifier())
    made = [make_distiller(teacher=model, **EAGER) for model in (plain, teacher)]
    first, second = (d.train_on_batch(IMAGES, LABELS, return_dict=True) for d in made)
    assert first == second


def test_a_cached_teacher(ended, tmp_path):
    rows = []
    for name, teacher in ("plain", ten_class_teacher()), ("ended", ended(ten_class_teacher())):
        build(tmp_path / name, teacher, digits(20), views=1)
        cache = opened(tmp_path / name, teacher, digits(20), views=1)
        batch, _ = next(iter(cache.training_batches(20)))
        rows.append(np.asarray(batch["teacher_logits"]))
    np.testing.assert_array_equal(*rows)


def test_a_teacher_from_a_file(ended, tmp_path):
    ended(classifier()).save(tmp_path / "teacher.keras")
    found = load_teacher(tmp_path / "teacher.keras", input_shape=IMAGE, classes=CLASSES)
    np.testing.assert_allclose(found(IMAGES), classifier()(IMAGES), atol=1e-6)


WAYS = {
    "adversarial training": lambda model, _: AdversarialTrainer(model, epsilon=0.1),
    "student": lambda model, _: make_distiller(student=model, tutors=()),
    "teacher": lambda model, _: make_distiller(teacher=model),
    "search": lambda model, _: make_search(teacher=model),
    "cache": lambda model, folder: build(folder, model, digits(20)),
}


@pytest.mark.parametrize("way", WAYS)
def test_probabilities_that_cannot_be_left_out_are_refused(way, tmp_path):
    model = nested(Probabilities)(classifier())
    with pytest.raises(UserError, match="gives probabilities, by a softmax at its end"):
        WAYS[way](model, tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_a_model_of_whole_pixels_is_refused(way, tmp_path):
    images = keras.Input(IMAGE, dtype="uint8")
    model = keras.Model(images, classifier()(layers.Rescaling(1 / 255)(images)))
    with pytest.raises(UserError, match="takes pixels as uint8"):
        WAYS[way](model, tmp_path)


@pytest.mark.parametrize("way", ["adversarial training", "student"])
def test_a_subclassed_model_cannot_be_trained(way, tmp_path):
    class Own(keras.Model):
        def call(self, x):
            return ops.sum(x, axis=(1, 2))

    with pytest.raises(UserError, match="is a subclassed model; expected a classifier"):
        WAYS[way](Own(), tmp_path)


def test_a_student_of_one_output_is_trained_on_two_classes():
    images = keras.Input(IMAGE)
    z = layers.Dense(1, activation="sigmoid")(layers.Flatten()(images))
    model, labels = keras.Model(images, z), LABELS % 2
    trainer = AdversarialTrainer(model, epsilon=1e-6, method="fast", weight_decay=0.0)
    trainer.compile(keras.optimizers.SGD(0.1))
    kernel, bias = model.get_weights()
    flat = IMAGES.reshape(len(IMAGES), -1)
    wrong = 1 / (1 + np.exp(-(flat @ kernel + bias)[:, 0])) - labels
    trainer.train_on_batch(IMAGES, labels)
    expected = kernel[:, 0] - 0.1 * np.mean(flat * wrong[:, None], axis=0)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], expected, atol=1e-5)


def test_a_teachers_augmentation_is_off_in_all_that_it_answers():
    """Its layers act by default where nothing is said about the mode."""
    keras.utils.set_random_seed(3)
    inside = [layers.RandomTranslation(0.5, 0.5), layers.RandomFlip(), layers.GaussianNoise(1.0)]
    plain = classifier()
    augmented = keras.Sequential([keras.Input(IMAGE), *inside, plain, layers.Dropout(0.5)])
    answers = [LiveTeacher(model, "conv", (4, 4)) for model in (plain, augmented)]
    gradients = [
        np.asarray(teacher.input_gradients(ops.convert_to_tensor(IMAGES), LABELS))
        for teacher in answers
    ]
    np.testing.assert_allclose(*gradients, atol=1e-6)
    for first, second in zip(*(teacher.answers(IMAGES) for teacher in answers), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)
