"""What we save is read by every Keras that pyproject allows, and is the same model."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny_models import CLASSES, IMAGE, TINY, TUTORS

from rnascl_keras.method.architecture import Architecture
from rnascl_keras.models.older_keras import without_newer
from rnascl_keras.models.saving import save_model
from rnascl_keras.teachers.included import teacher_file

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
OLDEST = os.environ.get("RNASCL_OLDEST_KERAS")
LOAD = """
import keras
import numpy as np

given = np.load("images.npz")
answers = {"version": keras.__version__}
for name in given:
    model = keras.models.load_model(f"{name}.keras", compile=False)
    answers[name] = model(given[name], training=False)
np.savez("answers.npz", **answers)
"""


def make_student():
    student = Architecture(TINY, ((2, 4), (6, 2)), TUTORS, "", IMAGE, CLASSES).build()
    rng = np.random.default_rng(0)
    student.set_weights([rng.uniform(0.1, 1, w.shape) for w in student.get_weights()])
    return student


def settings_of(model):
    """All settings, but for the numbers of operations, which Keras counts through a process."""
    told = json.dumps(keras.saving.serialize_keras_object(model))
    return re.sub(r'"(pad|get_item)_\d+"', r'"\1"', told)


def test_a_saved_model_is_the_one_that_was_given(tmp_path):
    student = make_student()
    save_model(student, tmp_path / "student.keras")
    student.save(tmp_path / "as_keras_does.keras")
    found = keras.models.load_model(tmp_path / "student.keras", compile=False)
    kerass = keras.models.load_model(tmp_path / "as_keras_does.keras", compile=False)
    assert settings_of(found) == settings_of(kerass)
    for a, b in zip(found.get_weights(), student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["as_keras_does.keras", "student.keras"]


def test_no_setting_is_written_that_the_oldest_keras_does_not_know(tmp_path):
    save_model(make_student(), tmp_path / "student.keras")
    for path in (tmp_path / "student.keras", teacher_file("cifar10")):
        text = zipfile.ZipFile(path).read("config.json").decode()
        assert not re.findall("renorm|input_axes|output_axes", text), path


def test_a_newer_setting_that_is_used_stays():
    layer = keras.layers.BatchNormalization(renorm=True)
    saved = without_newer(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    assert keras.saving.deserialize_keras_object(saved).get_config() == layer.get_config()
    assert saved["config"]["renorm"] is True
    assert "renorm_momentum" not in saved["config"]  # at its default


def test_settings_of_others_stay():
    theirs = {"module": "somebodys", "class_name": "Layer", "config": {"renorm": False}}
    assert without_newer([theirs]) == [theirs]
    assert without_newer({"renorm": False}) == {"renorm": False}


@pytest.mark.skipif(OLDEST is None, reason="RNASCL_OLDEST_KERAS names no folder with that Keras")
def test_the_oldest_keras_that_we_take_reads_them(tmp_path):
    student, teacher = make_student(), keras.models.load_model(teacher_file("cifar10"))
    save_model(student, tmp_path / "student.keras")
    (tmp_path / "teacher.keras").write_bytes(teacher_file("cifar10").read_bytes())
    rng = np.random.default_rng(1)
    images = {
        "student": rng.uniform(size=(5, *IMAGE)).astype("float32"),
        "teacher": rng.uniform(size=(5, 32, 32, 3)).astype("float32"),
    }
    np.savez(tmp_path / "images.npz", **images)
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": OLDEST},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers = np.load(tmp_path / "answers.npz")
    oldest = re.search(r'"keras>=([\d.]+)', PYPROJECT.read_text())[1]
    assert str(answers["version"]).startswith(f"{oldest}.")
    for name, model in {"student": student, "teacher": teacher}.items():
        expected = model(images[name], training=False)
        np.testing.assert_allclose(answers[name], expected, rtol=1e-5, atol=1e-5)
