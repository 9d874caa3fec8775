"""architecture.json and the student built from it, which needs nothing of ours to be loaded."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from tiny_models import TINY

from rnascl_keras.errors import UserError
from rnascl_keras.method.architecture import (
    Architecture,
    Tutor,
    check_same_weights,
)
from rnascl_keras.method.spaces import SPACES
from rnascl_keras.models.size import model_parameters

WIDTHS = ((2, 4), (6, 2))  # widths that grow and shrink: inputs are padded, and cut


def architecture(**changes):
    settings = {
        "space": TINY,
        "widths": WIDTHS,
        "tutors": (Tutor("stem", "conv1"), Tutor("stage1_block1_expand", "conv2")),
        "teacher": "0123456789abcdef",
        "input_shape": (8, 8, 1),
        "classes": 3,
    }
    return Architecture(**{**settings, **changes})


def test_it_is_saved_and_loaded(tmp_path):
    path = architecture().save(tmp_path / "architecture.json")
    assert Architecture.load(path) == architecture()
    assert Architecture.load(str(path)) == architecture()


def test_the_file_holds_what_was_promised(tmp_path):
    content = json.loads(architecture().save(tmp_path / "a.json").read_text())
    assert content["space"] == "tiny"
    assert content["widths"] == [[2, 4], [6, 2]]
    assert content["tutors"][1] == {
        "student_layer": "stage1_block1_expand",
        "teacher_layer": "conv2",
    }
    assert content["teacher"] == "0123456789abcdef"
    model = architecture().build()
    assert (
        content["parameters"]
        == model_parameters(model)
        == model.count_params() - sum(int(np.prod(v.shape)) for v in model.non_trainable_variables)
    )
    assert content["macs"] == architecture().macs


def test_a_named_space_is_loaded_as_itself(tmp_path):
    named = Architecture(SPACES["S3"], SPACES["S3"].widths_everywhere(min))
    assert Architecture.load(named.save(tmp_path / "a.json")).space == SPACES["S3"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[: len(text) // 2], "not complete JSON"),
        (lambda text: "[]", "expected a JSON object"),
        (lambda text: "{}", "does not describe an architecture"),
        (lambda text: text.replace('"geometry"', '"geometri"'), "does not describe"),
        (lambda text: text.replace('"student_layer"', '"layer"', 1), "does not describe"),
        (lambda text: text.replace('"depth": 2', '"depth": 3', 1), "one number per block"),
        (lambda text: text.replace('"depth": 2', '"depth": "x"', 1), "a.json|depth"),
        (lambda text: text.replace('"input_shape": [', '"input_shape": 8, "x": ['), "a.json"),
        (lambda text: text.replace('"geometry": {', '"geometry": [], "x": {'), "a.json"),
    ],
)
def test_a_spoilt_file_is_told(tmp_path, spoil, message):
    path = architecture().save(tmp_path / "a.json")
    spoilt = spoil(path.read_text())
    assert spoilt != path.read_text()
    path.write_text(spoilt)
    with pytest.raises(UserError, match=message):
        Architecture.load(path)
    with pytest.raises(UserError, match="none.json"):
        Architecture.load(tmp_path / "none.json")


@pytest.mark.parametrize("widths", [((2, 4),), ((2,), (6, 2)), ((2, 4), (6, 2), (2,))])
def test_widths_must_fit_the_blocks(widths):
    with pytest.raises(UserError, match="one number per block of space 'tiny'"):
        architecture(widths=widths)


def test_widths_must_be_choices():
    with pytest.raises(UserError, match=r"\(6, 5\) are not among the choices \(6, 4, 2\)"):
        architecture(widths=((2, 4), (6, 5)))


def test_students_are_built_afresh():
    images = np.ones((1, 8, 8, 1), "float32")
    keras.utils.set_random_seed(0)
    first, second = architecture().build(), architecture().build("other")
    assert second.name == "other"
    assert not np.allclose(first(images), second(images))


def test_weights_of_another_architecture_are_told(tmp_path):
    check_same_weights(architecture().build(), architecture(), tmp_path / "student.keras")
    with pytest.raises(UserError, match="student.keras is of another architecture"):
        check_same_weights(
            architecture(widths=((4, 4), (6, 2))).build(),
            architecture(),
            tmp_path / "student.keras",
        )


LOAD = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "rnascl_keras":
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
try:
    import rnascl_keras
except ImportError:
    pass
else:
    raise SystemExit("rnascl_keras could be imported")
import keras
import numpy as np

model = keras.models.load_model("student.keras")
np.save("loaded.npy", model.predict(np.load("images.npy"), verbose=0))
assert not any(name.startswith("rnascl_keras") for name in sys.modules)
"""


def test_the_student_loads_where_the_package_is_not_installed(tmp_path):
    model = architecture().build()
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    images = rng.uniform(size=(7, 8, 8, 1)).astype("float32")
    model.save(tmp_path / "student.keras")
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOAD], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        np.load(tmp_path / "loaded.npy"), model.predict(images, verbose=0), rtol=1e-6
    )


def test_the_student_is_made_of_stock_layers():
    modules = {type(operation).__module__ for operation in architecture().build().operations}
    assert all(module.startswith("keras.") for module in modules)
