"""The average of weights and the best epoch: which weights are validated, kept and given back."""

import keras
import numpy as np
import pytest
from tiny_models import ONE_BLOCK, make_distiller, tiny_batch

from rnascl_keras.attacks import PGD
from rnascl_keras.errors import UserError
from rnascl_keras.method.early_stopping import RobustEarlyStopping
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.checkpoint import Checkpoint
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

IMAGES = np.random.default_rng(0).uniform(size=(32, 8, 8, 1)).astype(np.float32)
LABELS = np.arange(32) % 10


def make_trainer(**settings):
    keras.utils.set_random_seed(0)
    model = build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10)
    trainer = AdversarialTrainer(model, method="fast", epsilon=0.1, **settings)
    trainer.compile(keras.optimizers.SGD(0.05), jit_compile=False)
    return trainer


def make_student_trainer(**settings):
    compiling = {"jit_compile": False}
    optimizer = keras.optimizers.SGD(0.05)
    return make_distiller(space=ONE_BLOCK, optimizer=optimizer, compiling=compiling, **settings)


@pytest.mark.parametrize("make", [make_trainer, make_student_trainer])
def test_the_average_equals_numpy_moving_statistics_included(make):
    trainer = make(average=0.2)
    images, labels = (IMAGES, LABELS) if make is make_trainer else tiny_batch()
    expected = [value.astype(float) for value in trainer.classifier.get_weights()]
    for step in range(1, 4):
        trainer.train_on_batch(images, labels)
        keep = min(0.2, (1 + step) / (10 + step))
        expected = [
            keep * old + (1 - keep) * new
            for old, new in zip(expected, trainer.classifier.get_weights(), strict=True)
        ]
    for copy, value in zip(trainer.averaged.copies, expected, strict=True):
        np.testing.assert_allclose(copy, value, atol=1e-6)


def test_evaluation_sees_the_average_and_training_goes_on_from_its_own_weights():
    trainer = make_trainer(average=0.999)
    trainer.averaged.copies[-1].assign(np.full(10, 50.0) * (np.arange(10) == 3))  # says "3"
    before = trainer.model.get_weights()
    logs = trainer.evaluate(IMAGES, LABELS, return_dict=True, verbose=0)
    assert logs["accuracy"] == pytest.approx(np.mean(LABELS == 3))
    for one, other in zip(trainer.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    trainer.finish()  # no validation: the average
    np.testing.assert_array_equal(trainer.model.get_weights()[-1], trainer.averaged.copies[-1])


class Scripted(RobustEarlyStopping):
    """Is told a scripted robust accuracy, and marks each epoch's weights in the last bias."""

    def __init__(self, script, **settings):
        super().__init__(**settings)
        self.script = script

    def on_epoch_end(self, epoch, logs=None):
        mark = self.model.averaged.copies if self.model.averaged else self.model.model.weights
        mark[-1].assign(np.full(10, float(epoch)))
        super().on_epoch_end(epoch, {**logs, "val_robust_accuracy": self.script[epoch]})


def fit(trainer, callbacks, epochs, first=0):
    return trainer.fit(
        IMAGES,
        LABELS,
        epochs=epochs,
        initial_epoch=first,
        verbose=0,
        shuffle=False,
        validation_data=(IMAGES, LABELS),
        callbacks=callbacks,
    )


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_best_epoch_is_kept_and_a_collapse_is_said(average):
    news = []
    stopping = Scripted([0.2, 0.4, 0.1, 0.39, 0.3, 0.9], patience=3, say=news.append)
    trainer = make_trainer(average=average)
    history = fit(trainer, [stopping], epochs=6)
    assert history.epoch == [0, 1, 2, 3, 4]
    assert "epoch 3 the validation PGD accuracy is 10.0%, after 40.0%" in news[0]
    assert "none as good since epoch 2" in news[1]
    trainer.finish()
    np.testing.assert_array_equal(trainer.model.get_weights()[-1], 1.0)


def test_a_training_cut_short_keeps_the_best_epoch_and_its_patience(tmp_path):
    script = [0.2, 0.4, 0.1, 0.3, 0.9]
    whole = make_trainer(average=0.5)
    fit(whole, [Scripted(script, patience=2, say=str)], epochs=5)
    whole.finish()

    saved = Checkpoint(tmp_path / "checkpoint.npz")
    fit(make_trainer(average=0.5), [Scripted(script, say=str), saved], epochs=3)
    resumed = make_trainer(average=0.5)
    stopping = Scripted(script, patience=2, say=str)
    first = saved.restore(resumed)
    assert first == 3
    assert not stopping.is_over(resumed, first)
    fit(resumed, [stopping, saved], epochs=5, first=first)
    assert stopping.is_over(make_trainer_from(saved), 4)
    resumed.finish()
    for one, other in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_of_equally_good_epochs_the_last_is_kept_also_by_a_training_cut_short(tmp_path):
    script = [0.5, 0.25, 0.5, 0.25, 0.25, 0.5]  # the last comes when patience has gone
    whole = make_trainer()
    assert fit(whole, [Scripted(script, patience=2, say=str)], epochs=6).epoch == [0, 1, 2, 3, 4]

    saved = Checkpoint(tmp_path / "checkpoint.npz")
    fit(make_trainer(), [Scripted(script, patience=2, say=str), saved], epochs=2)
    resumed = make_trainer()
    first = saved.restore(resumed)
    stopping = Scripted(script, patience=2, say=str)
    assert fit(resumed, [stopping, saved], epochs=6, first=first).epoch == [2, 3, 4]

    for trainer in (whole, resumed):
        trainer.finish()
        np.testing.assert_array_equal(trainer.model.get_weights()[-1], 2.0)


def test_a_second_fit_looks_for_its_own_best_epoch():
    trainer = make_trainer()
    stopping = Scripted([0.8, 0.1, 0.1, 0.1], patience=2, say=str)
    assert fit(trainer, [stopping], epochs=4).epoch == [0, 1, 2]

    stopping.script = [0.2, 0.3, 0.1, 0.1, 0.1]
    assert fit(trainer, [stopping], epochs=5).epoch == [0, 1, 2, 3]

    assert (int(trainer.best.epoch), float(trainer.best.score)) == (1, pytest.approx(0.3))


def make_trainer_from(saved):
    trainer = make_trainer(average=0.5)
    saved.restore(trainer)
    return trainer


def test_without_validation_images_it_says_so():
    with pytest.raises(UserError, match="needs validation_data"):
        make_trainer().fit(IMAGES, LABELS, verbose=0, callbacks=[RobustEarlyStopping()])


def test_without_a_radius_it_says_so():
    images, labels = tiny_batch()
    trainer = make_student_trainer()
    with pytest.raises(UserError, match="give it robust_at"):
        trainer.fit(
            images,
            labels,
            validation_data=(images, labels),
            verbose=0,
            callbacks=[RobustEarlyStopping()],
        )


def test_what_is_evaluated_after_the_end_are_the_weights_that_were_kept():
    """Not the average over the last steps, which had gone on from the best epoch."""
    images, labels = tiny_batch()
    trainer = make_student_trainer(robust_at=0.05, average=0.5)
    trainer.keep_best(0.9, 0)
    expected = trainer.evaluate(images, labels, return_dict=True, verbose=0)
    trainer.fit(images, labels, verbose=0)
    trainer.finish()
    kept = trainer.student(images)
    assert trainer.evaluate(images, labels, return_dict=True, verbose=0) == pytest.approx(expected)
    np.testing.assert_array_equal(trainer.student(images), kept)


def test_a_student_without_a_best_epoch_is_validated_on_clean_images():
    images, labels = tiny_batch()
    plain, kept = make_student_trainer(), make_student_trainer(robust_at=0.05)
    assert "robust_accuracy" not in plain.evaluate(images, labels, return_dict=True, verbose=0)
    logs = kept.evaluate(images, labels, return_dict=True, verbose=0)
    right = PGD(0.05, steps=10, step_size=0.0125, random_start=False)
    attacked = right.perturb(kept.student, images, labels)
    found = np.mean(np.argmax(kept.student(attacked), -1) == labels)
    assert logs["robust_accuracy"] == pytest.approx(found, abs=1.5 / len(labels))
    assert plain.best is None and kept.keep_best(logs["robust_accuracy"], 0)


def test_without_images_held_out_a_recipe_keeps_no_best_epoch():
    with pytest.raises(UserError, match="train.keep.*e.g. data.validation=1000"):
        load_recipe("digits", ["train.keep=best", "data.validation=0"])
