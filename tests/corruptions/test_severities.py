"""The parameters of corruptions: the published ones, and lengths that grow with the image."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from rnascl_keras.corruptions import CORRUPTIONS, SEVERITIES
from rnascl_keras.corruptions.severities import CIFAR_10_C, IMAGENET_C, published_for


def parameters_in(source):
    """The list that is indexed by the severity, by function, as a file of functions has it."""
    found = {}
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Subscript) and isinstance(node.value, ast.List):
                    code = compile(ast.Expression(node.value), function.name, "eval")
                    found[function.name] = eval(code, {"np": np})
    return found


def test_imagenet_s_are_those_of_tensorflow_datasets():
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None:
        pytest.skip("tensorflow-datasets is not installed")
    path = Path(spec.origin).parent / "image_classification" / "corruptions.py"
    if not path.exists():
        pytest.skip(f"tensorflow-datasets has no {path.name} any more")
    theirs = parameters_in(path.read_text())
    assert set(CORRUPTIONS) <= set(theirs)
    for name, values in IMAGENET_C.values.items():
        for own, other in zip(values, theirs[name], strict=True):
            np.testing.assert_array_equal(own, other, err_msg=name)


@pytest.mark.parametrize("published", [CIFAR_10_C, IMAGENET_C], ids=lambda own: own.name)
def test_every_corruption_has_five(published):
    assert list(published.values) == list(CORRUPTIONS)
    assert all(len(values) == len(SEVERITIES) for values in published.values.values())


@pytest.mark.parametrize(
    ("name", "place", "grows"),
    [
        ("gaussian_noise", None, True),
        ("shot_noise", None, False),
        ("impulse_noise", None, True),
        ("motion_blur", 1, True),
        ("snow", 6, False),
        ("frost", 0, False),
        ("brightness", None, True),
        ("contrast", None, False),
        ("pixelate", None, False),
        ("jpeg_compression", None, False),
    ],
)
@pytest.mark.parametrize("published", [CIFAR_10_C, IMAGENET_C], ids=lambda own: own.name)
def test_they_grow_stronger(published, name, place, grows):
    values = np.array([v if place is None else v[place] for v in published.values[name]], float)
    steps = np.diff(values) if grows else -np.diff(values)
    assert steps.min() >= 0 and steps.sum() > 0


@pytest.mark.parametrize(
    ("size", "published", "scale"),
    [
        ((32, 32), CIFAR_10_C, 1),
        ((8, 8), CIFAR_10_C, 0.25),
        ((64, 64), CIFAR_10_C, 2),
        ((96, 64), CIFAR_10_C, 2),
        ((85, 85), IMAGENET_C, 85 / 224),
        ((224, 224), IMAGENET_C, 1),
        ((224, 448), IMAGENET_C, 1),
    ],
)
def test_the_nearer_size_s_are_taken(size, published, scale):
    assert published_for(*size) == (published, pytest.approx(scale))
