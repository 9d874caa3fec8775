"""The teacher stage: what is trained, kept and read, as a run does it."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.hardware import hardware
from rnascl_keras.models.size import model_parameters
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer
from rnascl_keras.teachers.included import teacher_file
from rnascl_keras.units import count


@pytest.fixture
def recipe_file(tmp_path):
    """A function: settings of Teacher(...) as text -> the path of a recipe on few digits."""

    def write(settings):
        path = tmp_path / "small.py"
        path.write_text(
            "from rnascl_keras.recipe import Data, Recipe, Teacher\n"
            "recipe = Recipe(space='digits',\n"
            "    data=Data(source='digits', augmentation='shift', limit_train=240,"
            " validation=60),\n"
            "    teacher=Teacher(architecture='digits_cnn', batch_size=60, epsilon=0.1,"
            f" learning_rate=0.05, {settings}))\n"
        )
        return path

    return write


def test_a_teacher_starts_from_one_of_other_classes(recipe_file, rnascl, tmp_path):
    """Trained at a rate of nearly 0, it is still the one that it started from."""
    source = build_teacher("digits_cnn", input_shape=(16, 16, 3), classes=4)
    generator = np.random.default_rng(0)
    for v in source.trainable_variables:
        v.assign(generator.normal(size=v.shape) / 9)
    start = tmp_path / "start.keras"
    source.save(start)
    recipe = recipe_file("epochs=1, precision='mixed_bfloat16'")
    changes = ["teacher.architecture=null", f"teacher.start={start}", "teacher.learning_rate=1e-9"]
    asked = [part for change in changes for part in ("--set", change)]
    folder = tmp_path / "run"
    result = rnascl("teacher", recipe, "--workdir", folder, *asked)
    assert result.code == 0, result.err
    assert f"starts from {start}: 20 of 22 tensors are taken; new are those of logits" in result.err
    model = keras.models.load_model(folder / "teacher.keras")
    assert (model.input_shape, model.output_shape) == ((None, 8, 8, 1), (None, 10))
    theirs = source.get_layer("conv1").get_weights()[0].sum(axis=2, keepdims=True)
    np.testing.assert_allclose(model.get_layer("conv1").get_weights()[0], theirs, atol=1e-4)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    again = rnascl("teacher", recipe, "--workdir", folder, *asked)
    assert "already done from the same settings" in again.err
    source.get_layer("logits").bias.assign(np.ones(4))
    source.save(start)
    other = rnascl("teacher", recipe, "--workdir", folder, *asked)
    assert other.code == 2 and "what is given as start is another one" in other.err


def test_a_start_that_is_not_there_is_told_before_anything_is_done(refused, tmp_path, tiny):
    folder = ["--workdir", tmp_path / "run"]
    line = refused("run", tiny, *folder, "--set", "train.start=no/such.keras")
    assert "train.start: there is no file no/such.keras" in line
    line = refused("run", tiny, *folder, "--set", "teacher.start=no.keras")
    assert "teacher.start: there is no file no.keras" in line
    line = refused("run", tiny, *folder, "--set", "train.start=supernets")
    assert "Did you mean 'supernet'?" in line


def test_a_student_starts_from_a_file(rnascl, work, tiny):
    """Trained at a rate of nearly 0, its blocks are still those of the file."""
    before = keras.models.load_model(work / "student.keras")
    start = work.parent / "start.keras"
    before.save(start)
    changes = [f"train.start={start}", "train.learning_rate=1e-9", "train.epochs=1"]
    asked = [part for change in changes for part in ("--set", change)]
    result = rnascl("train", tiny, "--workdir", work, "--overwrite", *asked)
    assert result.code == 0, result.err
    total = len(before.weights)
    assert f"train: starts from {start}: {total} of {total} tensors are taken" in result.err
    after = keras.models.load_model(work / "student.keras")
    for old, new in zip(before.trainable_variables, after.trainable_variables, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-5)


@pytest.mark.parametrize("method", ["pgd", "trades", "fast", "n_fgsm"])
def test_every_method_leaves_a_float32_teacher(method, recipe_file, rnascl, tmp_path):
    recipe = recipe_file(
        f"method='{method}', steps=2, epochs=2, average=0.5, precision='mixed_bfloat16'"
    )
    result = rnascl("teacher", recipe, "--workdir", tmp_path / "run")
    assert result.code == 0, result.err
    assert "is kept, validation PGD accuracy" in result.err
    model = keras.models.load_model(tmp_path / "run/teacher.keras")
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert getattr(model, "optimizer", None) is None
    assert keras.config.dtype_policy().name == "float32"


def test_the_epoch_of_the_best_validation_figure_is_what_is_saved(recipe_file, rnascl, tmp_path):
    recipe = recipe_file("method='fast', epochs=3, schedule='cosine'")
    result = rnascl("teacher", recipe, "--workdir", tmp_path / "run")
    lines = [line for line in result.out.replace("\b", "").splitlines() if "val_robust" in line]
    robust = [float(line.rsplit("val_robust_accuracy: ", 1)[1]) for line in lines]
    assert len(robust) == 3
    said = next(line for line in result.err.splitlines() if "is kept" in line)
    last_of_the_best = 3 - int(np.argmax(robust[::-1]))
    assert f"epoch {last_of_the_best} is kept" in said
    assert f"{max(robust):.1%}" in said


def test_a_recipe_without_a_space_ends_in_the_teachers_files(recipe_file, rnascl, tmp_path):
    recipe = recipe_file("method='natural', epochs=2")
    changes = ["--set", "space=null", "--set", "evaluation.n=40", "--set", "evaluation.check=0"]
    changes += ["--set", "export.agreement=0.1"]
    result = rnascl("run", recipe, "--workdir", tmp_path / "run", *changes)
    assert result.code == 0, result.err
    report = json.loads((tmp_path / "run/report.json").read_text())
    forms = ("", "_int8")
    files = {f"teacher{form}.{kind}" for form in forms for kind in ("onnx", "tflite")}
    assert set(report["export"]) == files
    assert all((tmp_path / "run" / path).exists() for path in report["files"].values())
    assert "student" not in report and report["teacher"]["parameters"] == 23_738
    assert (tmp_path / "run/report.html").stat().st_size > 1000
    again = rnascl("run", recipe, "--workdir", tmp_path / "run", *changes)
    assert again.err.count("already done") == 4
    refused = rnascl("compare", recipe, "--workdir", tmp_path / "run", *changes)
    assert refused.code == 2 and "no space to search" in refused.err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("method='pgd', auxiliary=0.4", "are for method='natural'"),
        ("method='natural', patience=3", "are for adversarial training"),
    ],
)
def test_settings_of_another_method_are_refused(settings, message, recipe_file, rnascl):
    result = rnascl("teacher", recipe_file(settings))
    assert result.code == 2 and message in result.err


def test_an_unknown_teacher_is_told_with_those_there_are(rnascl, tmp_path):
    with pytest.raises(UserError, match="Did you mean 'cifar10'"):
        teacher_file("cifar01")
    code = rnascl("teacher", "digits", "--set", "teacher.weights=no/such.keras").code
    assert code == 2


def test_a_step_that_memory_does_not_hold_is_told(recipe_file, rnascl, tmp_path, monkeypatch):
    def fit(*given, **settings):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(AdversarialTrainer, "fit", fit)
    result = rnascl("teacher", recipe_file("epochs=1"), "--workdir", tmp_path / "run")
    assert result.code == 2
    assert f"{hardware()} has no memory left for a step of 60 images" in result.err
    assert "lower teacher.batch_size" in result.err


def test_the_included_teacher_is_read_by_name(rnascl, tmp_path):
    path = teacher_file("cifar10")
    model = keras.models.load_model(path)
    assert model.input_shape == (None, 32, 32, 3)
    assert getattr(model, "optimizer", None) is None
    card = path.with_suffix(".md").read_text()
    assert f"{count(model_parameters(model))} parameters" in card
