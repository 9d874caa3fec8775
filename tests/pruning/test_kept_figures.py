"""The figures of a pruned model: counted rightly, or not at all; and of another version's files."""

import contextlib
import io

import keras
import numpy as np
import pytest
from keras import layers
from other_versions import taken

from rnascl_keras.files.whole import read_json
from rnascl_keras.models.size import model_macs
from rnascl_keras.pruning.figures import PRUNED, macs_kept, print_figures
from rnascl_keras.run.origin import Origin

SPEED = {"one_thread": 0.1, "all_threads": 0.2}
FILE = {"bytes": 5000, "sha256": "d", "agreement": 1.0, "zeros": 0.5, "latency_ms": SPEED}
FIGURES = {
    "model": "student[v1]",
    **Origin("a1", {"prune": {"keep": 0.5}}, {"student.keras": "b2"}).as_dict(),
    "parameters": 900,
    "weights": 800,
    "kept": 400,
    "macs": 80_000,
    "macs_kept": 40_000,
    "files": {"student_hydra.onnx": FILE, "student_hydra_int8.onnx": FILE},
    "n": 4,
    "epsilon": 0.1,
    "accuracy": {"clean": 0.75, "pgd20": 0.25},
    "intervals": {"clean": [0.1, 0.9], "pgd20": [0.1, 0.9]},
    "near_chance": None,
    "measured_by": "e5",
}


def shown(figures):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        print_figures(figures)
    return said.getvalue()


def test_the_figures_of_a_pruned_model(tmp_path):
    expected = shown(FIGURES)
    assert "student[v1], pruned" in expected
    changes = taken(tmp_path / "student.json", FIGURES, lambda path: read_json(path, PRUNED))
    for place, found in changes:
        # what is by name, files and attacks, is shown as far as it is there
        assert len(place) == 2 or shown(found) == expected, place
        assert shown(found)


def network(*inside, size=8, trainable=True):
    """Layers one after the other on maps of three channels, and a dense one on their means."""
    x = inputs = keras.Input((size, size, 3))
    for layer in inside:
        layer.trainable = trainable
        x = layer(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def test_multiply_adds_without_zeros():
    """Of a 3 x 3 convolution a third of the weights, at 6 x 6 places; of its twin in depth all."""
    convolution = layers.Conv2D(3, 3)
    model = network(convolution, layers.DepthwiseConv2D(3, padding="same"), trainable=False)
    assert macs_kept(model) == model_macs(model).total == 36 * (81 + 27) + 9
    kernel = np.array(convolution.kernel)
    kernel[..., 1:] = 0
    convolution.kernel.assign(kernel)
    assert macs_kept(model) == 36 * (27 + 27) + 9


TWICE = layers.Conv2D(3, 3, padding="same")


@pytest.mark.parametrize(
    ("inside", "size"),
    [
        ([layers.SeparableConv2D(4, 3)], 8),
        ([layers.Conv2DTranspose(4, 3, strides=2)], 8),
        ([TWICE, TWICE], 8),
        ([layers.Conv2D(4, 3)], None),
        ([keras.Sequential([layers.Conv2D(4, 3)])], 8),
    ],
)
def test_what_cannot_be_counted_without_zeros_is_not_said(inside, size):
    assert macs_kept(network(*inside, size=size)) is None
