"""The students that come with the package: they load, their cards say what was measured, and it
holds."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

from benchmarks.cards import RESULTS, ROOT, card
from rnascl_keras.attacks import make_attack
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.data import load_test_data
from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.whole import read_json
from rnascl_keras.models.size import model_macs, model_parameters
from rnascl_keras.recipe import recipe_names
from rnascl_keras.students import FORMS, load_student, student_file, student_names
from rnascl_keras.units import percent

NAMES = student_names()
LARGEST = {".keras": 10**6, ".onnx": 10**6, "_int8.onnx": 10**6, ".md": 10**4}
"""Bytes: S7's weights alone are 0.95 MB, in half precision."""
TOLERANCES = {"float32": 1e-4, "float16": 1e-2}
"""Of a logit, by how weights are stored; halves are rounded before and after folding."""


def test_there_are_students_and_their_names_are_no_recipes():
    assert {"cifar10_s3", "cifar10_s3_natural", "cifar10_s7"} <= set(NAMES)
    assert not set(NAMES) & set(recipe_names())
    with pytest.raises(UserError, match="student 'cifar10_s4' is unknown.*Did you mean"):
        load_student("cifar10_s4")


@pytest.mark.parametrize("name", NAMES)
def test_a_student_is_whole(name):
    """All forms are there, none too large for a package, and say the same."""
    for form in FORMS:
        assert student_file(name, form).stat().st_size <= LARGEST[form]
    model = load_student(name)
    made = read_json(RESULTS / f"{name}_run.json")
    assert model_parameters(model) == made["student"]["parameters"]
    assert model_macs(model).total == made["student"]["macs"]
    images = np.random.default_rng(0).random((8, 32, 32, 3), np.float32)
    expected = model.predict(images, verbose=0)
    for form in (".onnx", "_int8.onnx"):
        found = OnnxClassifier(student_file(name, form)).logits(images)
        tolerance = TOLERANCES[made["stored"]] if form == ".onnx" else 1.0
        np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_was_measured_of_this_file(name):
    """To write it anew: python -m benchmarks.cards."""
    assert student_file(name, ".md").read_text() == card(name)
    for part in ("", "_sweep"):
        measured = read_json(RESULTS / f"{name}{part}.json")
        assert measured["sha256"] == content_hash(student_file(name))
    for file in RESULTS.glob(f"{name}*.json"):  # of no one machine
        assert str(ROOT) not in (told := file.read_text()) and '": "/' not in told, file.name
    metadata = re.match(r"---\n(.*?)\n---\n", card(name), re.DOTALL)
    assert metadata and "license: apache-2.0" in metadata[1]


@pytest.mark.parametrize("name", NAMES)
def test_pgd_20_is_within_a_point_of_what_was_measured(name):
    data_dir = os.environ.get("TFDS_DATA_DIR")
    if not data_dir:
        pytest.skip("TFDS_DATA_DIR does not say where CIFAR-10 is")
    images, labels = load_test_data("cifar10", data_dir=data_dir).first(500)
    classifier = KerasClassifier(load_student(name))
    attacked = make_attack("pgd", 8 / 255).perturb(classifier, images, labels)
    right = classifier.logits(attacked).argmax(axis=1) == labels
    measured = read_json(RESULTS / f"{name}_auto_attack.json")
    assert measured["n"] == 500
    measured = measured["accuracy"]["pgd20"]
    assert right.mean() == pytest.approx(measured, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_s_figures_are_those_of_the_files(name):
    (row,) = re.findall(rf"^\| `{name}`.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    cells = [cell.strip() for cell in row.split("|")]
    figures = read_json(RESULTS / f"{name}.json")
    assert cells[5:7] == [percent(figures["accuracy"][key]) for key in ("clean", "pgd20")]
    strong = read_json(RESULTS / f"{name}_auto_attack.json")
    left, weaker = (percent(strong["accuracy"][key]) for key in ("auto_attack", "pgd20"))
    assert cells[7] == f"{left} (n = {strong['n']}; PGD-20 {weaker})"
