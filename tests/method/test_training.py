"""What the models that train another take of Keras, and what they refuse at once."""

import warnings

import keras
import numpy as np
import pytest
from tiny_models import (
    CLASSES,
    IMAGE,
    ONE_BLOCK,
    TINY,
    make_distiller,
    make_search,
    make_teacher,
    tiny_batch,
)

from rnascl_keras.errors import UserError
from rnascl_keras.method.callbacks import GumbelTemperatureDecay
from rnascl_keras.method.distill import CrossLayerDistiller
from rnascl_keras.method.distiller import Distiller
from rnascl_keras.method.search import CrossLayerSearch
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.method.terms import CrossEntropy
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

layers = keras.layers
IMAGES, LABELS = tiny_batch()


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(CLASSES)

    def call(self, images):
        return self.dense(keras.ops.mean(images, (1, 2)))


def subclassed_and_built():
    model = Subclassed()
    model(IMAGES)
    return model


def unbuilt():
    return keras.Sequential([layers.Flatten(), layers.Dense(CLASSES)])


def two_outputs():
    teacher = make_teacher()
    return keras.Model(teacher.input, [teacher.output, teacher.output])


def named_output():
    teacher = make_teacher()
    return keras.Model(teacher.input, {"logits": teacher.output})


def two_inputs():
    images = [keras.Input(IMAGE), keras.Input(IMAGE)]
    return keras.Model(images, make_teacher()(layers.Add()(images)))


def maps():
    images = keras.Input(IMAGE)
    return keras.Model(images, layers.Conv2D(CLASSES, 3)(images))


UNFIT = {
    "Subclassed": (Subclassed, "not built or is a subclassed model"),
    "built": (subclassed_and_built, "not built or is a subclassed model"),
    "unbuilt": (unbuilt, "not built or is a subclassed model"),
    "two outputs": (two_outputs, r"has 1 input\(s\) and 2 output\(s\)"),
    "dict": (named_output, "gives its output in a dict"),
    "two inputs": (two_inputs, r"has 2 input\(s\) and 1 output\(s\)"),
    "maps": (maps, r"\(None, 6, 6, 3\); expected a classifier of images"),
}
PLACES = {
    "student": lambda model: CrossLayerDistiller(make_teacher(), model),
    "teacher": lambda model: CrossLayerDistiller(model, make_teacher()),
    "search's teacher": lambda model: CrossLayerSearch(model, Supernet(TINY, IMAGE, CLASSES)),
    "adversarial": lambda model: AdversarialTrainer(model, epsilon=0.1),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_no_classifier_is_told_at_once(kind, place):
    make, message = UNFIT[kind]
    with pytest.raises(UserError, match=message):
        PLACES[place](make())


@pytest.mark.parametrize("place", ["student", "adversarial"])
def test_what_is_no_model_is_told_at_once(place):
    with pytest.raises(UserError, match="trains is a str; expected a classifier: a built"):
        PLACES[place]("student.keras")


@pytest.mark.parametrize(
    "given", [{"metrics": ["accuracy"]}, {"loss": "mse"}, {"weighted_metrics": ["accuracy"]}]
)
@pytest.mark.parametrize("make_model", [make_distiller, make_search])
def test_losses_and_metrics_are_the_models_own(make_model, given):
    with pytest.raises(UserError, match=rf"{next(iter(given))}= is given.*reports loss, cross_e"):
        make_model(compiling=given)


@pytest.mark.parametrize("role", ["optimizer", "architecture_optimizer"])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_search_takes_no_averaged_weights(role, scaled):
    optimizer = keras.optimizers.SGD(0.1, use_ema=True)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    with pytest.raises(UserError, match="use_ema=True is set on an optimizer of a search"):
        make_search(**{role: optimizer})


def test_a_student_ends_with_the_average_of_its_weights():
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.75)
    student = make_teacher()
    distiller = Distiller(make_teacher(), student, [CrossEntropy()], weight_decay=0.0)
    distiller.compile(optimizer)
    steps = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append([v.numpy() for v in student.trainable_variables])

    distiller.fit(IMAGES, LABELS, batch_size=10, epochs=2, verbose=0, callbacks=[Record()])
    average = steps[0]
    for weights in steps[1:]:
        average = [0.75 * a + 0.25 * w for a, w in zip(average, weights, strict=True)]
    assert len(steps) == 4
    for found, expected in zip(student.trainable_variables, average, strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert any(
        np.abs(v.numpy() - w).max() > 1e-3
        for v, w in zip(student.trainable_variables, steps[-1], strict=True)
    )


def test_a_checkpoint_of_the_whole_model_is_refused_before_anything_is_learned(tmp_path):
    search = make_search()
    whole = keras.callbacks.ModelCheckpoint(tmp_path / "whole.keras")
    listed = keras.callbacks.CallbackList([whole], model=search, epochs=1, steps=1)
    for callbacks in (whole, [whole], listed):
        with pytest.raises(UserError, match="is not saved whole"):
            search.fit(IMAGES, LABELS, batch_size=20, callbacks=callbacks, verbose=0)
    assert int(search.optimizer.iterations) == 0


@pytest.mark.parametrize("method", ["compute_loss", "compute_metrics"])
@pytest.mark.parametrize(
    ("base", "settings", "instead"),
    [
        (CrossLayerDistiller, {"teacher": None, "student": None}, "loss_parts"),
        (CrossLayerSearch, {"teacher": None, "supernet": None}, "loss_parts"),
        (AdversarialTrainer, {"model": None, "epsilon": 0.1}, "train_step"),
    ],
)
def test_an_override_that_would_never_be_called_is_told(base, settings, instead, method):
    mine = type("Mine", (base,), {method: lambda self, **kwargs: 0.0})
    models = {"supernet": lambda: Supernet(TINY, IMAGE, CLASSES)}
    given = {
        name: models.get(name, make_teacher)() if value is None else value
        for name, value in settings.items()
    }
    with pytest.raises(UserError, match=f"Mine.{method} would never be called.*`{instead}`"):
        mine(**given)


def test_a_search_in_several_calls_is_told_that_it_begins_anew():
    search = make_search(space=ONE_BLOCK)

    def fit(**epochs):
        return search.fit(IMAGES, LABELS, batch_size=20, verbose=0, **epochs)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(epochs=1)
    assert search.gumbel_temperature == pytest.approx(0.0555, abs=1e-4)
    with pytest.warns(UserWarning, match="jumps from 0.0555 up to 5, .*initial_epoch=10") as told:
        fit(epochs=2)
    assert len(told) == 1


def test_a_search_in_parts_of_one_has_the_temperatures_of_the_whole():
    search = make_search(space=ONE_BLOCK)
    seen = []
    settings = {"callbacks": [GumbelTemperatureDecay(epochs=3)], "verbose": 0}
    for k in range(3):
        history = search.fit(
            IMAGES, LABELS, batch_size=20, initial_epoch=k, epochs=k + 1, **settings
        )
        seen += history.history["gumbel_temperature"]
    assert seen == pytest.approx([5 * np.exp(-4.5 * k / 3) for k in range(3)], rel=1e-5)
