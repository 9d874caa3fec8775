from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.small_onnx import write_small_onnx


@pytest.fixture
def save(tmp_path):
    """A function: (text of the nodes, input, output, ...) -> the path of an ONNX file."""

    def write(nodes, **settings):
        count = len(list(tmp_path.iterdir()))
        return write_small_onnx(tmp_path / f"{count}.onnx", nodes, **settings)

    return write


@pytest.fixture(scope="session")
def deployed(shared, made_once):
    """A student for digits, trained for seconds, in all the files that it can be deployed in: by
    name of the file, its path; the model as `model`, and 300 test images as `x` and `y`."""
    import keras

    from rnascl_keras.data import load_data
    from rnascl_keras.export import export_litert, export_student, quantise
    from rnascl_keras.method.architecture import Architecture
    from rnascl_keras.method.spaces import SPACES

    data, folder = load_data("digits"), shared / "deployed"
    pixels, labels = data.train.first(1000)
    (x, y), calibration = data.test.first(300), pixels[:100]

    def make(saved):
        keras.utils.set_random_seed(0)
        shape = {"input_shape": (8, 8, 1), "classes": 10}
        model = Architecture(SPACES["digits"], ((8, 8), (16, 16)), **shape).build()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss)
        model.fit(pixels, labels, batch_size=50, epochs=8, verbose=0)
        made = export_student(model, folder, "student", x)
        quantise(made.path, folder / "student_int8.onnx", calibration, check_images=x)
        given = {"saved_model": made.saved_model_path}
        export_litert(model, folder, "student", x, calibration, **given)
        export_litert(model, folder, "integer", x, calibration, **given, integer_ends=True)
        model.save(saved)

    model = keras.models.load_model(made_once("deployed.keras", make), compile=False)
    files = {path.name: path for path in folder.iterdir()}
    return SimpleNamespace(model=model, x=x, y=y, calibration=calibration, files=files)
