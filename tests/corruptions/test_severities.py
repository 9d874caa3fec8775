"""The parameters of corruptions: the published ones, and lengths that grow with the image."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from rnascl_keras.corruptions import CORRUPTIONS, SEVERITIES
from rnascl_keras.corruptions.severities import (
    CIFAR_10_C,
    IMAGENET_C,
    TINY_IMAGENET_C,
    published_for,
)

SETS = (CIFAR_10_C, TINY_IMAGENET_C, IMAGENET_C)

# hendrycks/robustness, ImageNet-C/create_c: make_cifar_c.py at ca360085 and
# make_tinyimagenet_c.py at 7a64e6a1, in the order in which they list the corruptions.
OF_CIFAR_10_C = """
0.04 | 0.06 | .08 | .09 | .10
500 | 250 | 100 | 75 | 50
.01 | .02 | .03 | .05 | .07
0.3,0.4 | 0.4,0.5 | 0.5,0.6 | 1,0.2 | 1.5,0.1
0.05,1,1 | 0.25,1,1 | 0.4,1,1 | 0.25,1,2 | 0.4,1,2
6,1 | 6,1.5 | 6,2 | 8,2 | 9,2.5
1,1.06,.01 | 1,1.11,.01 | 1,1.16,.01 | 1,1.21,.01 | 1,1.26,.01
0.1,0.2,1,0.6,8,3,0.95 | 0.1,0.2,1,0.5,10,4,0.9 | 0.15,0.3,1.75,0.55,10,4,0.9 \
    | 0.25,0.3,2.25,0.6,12,6,0.85 | 0.3,0.3,1.25,0.65,14,12,0.8
1,0.2 | 1,0.3 | 0.9,0.4 | 0.85,0.4 | 0.75,0.45
.2,3 | .5,3 | 0.75,2.5 | 1,2 | 1.5,1.75
.05 | .1 | .15 | .2 | .3
.75 | .5 | .4 | .3 | 0.15
0,0,0.08 | 0.05,0.2,0.07 | 0.08,0.06,0.06 | 0.1,0.04,0.05 | 0.1,0.03,0.03
0.95 | 0.9 | 0.85 | 0.75 | 0.65
80 | 65 | 58 | 50 | 40
"""
OF_TINY_IMAGENET_C = """
0.04 | 0.08 | .12 | .15 | .18
250 | 100 | 50 | 30 | 15
.01 | .02 | .05 | .08 | .14
0.5,0.6 | 1,0.1 | 1.5,0.1 | 2.5,0.01 | 3,0.1
0.1,1,1 | 0.5,1,1 | 0.6,1,2 | 0.7,2,1 | 0.9,2,2
10,1 | 10,1.5 | 10,2 | 10,2.5 | 12,3
1,1.06,.01 | 1,1.11,.01 | 1,1.16,.01 | 1,1.21,.01 | 1,1.26,.01
0.1,0.2,1,0.6,8,3,0.8 | 0.1,0.2,1,0.5,10,4,0.8 | 0.15,0.3,1.75,0.55,10,4,0.7 \
    | 0.25,0.3,2.25,0.6,12,6,0.65 | 0.3,0.3,1.25,0.65,14,12,0.6
1,0.3 | 0.9,0.4 | 0.8,0.45 | 0.75,0.5 | 0.7,0.55
.4,3 | .7,3 | 1,2.5 | 1.5,2 | 2,1.75
.1 | .2 | .3 | .4 | .5
.4 | .3 | .2 | .1 | 0.05
0,0,0.08 | 0.05,0.3,0.06 | 0.1,0.08,0.06 | 0.1,0.03,0.03 | 0.16,0.03,0.02
0.9 | 0.8 | 0.7 | 0.6 | 0.5
65 | 58 | 50 | 40 | 25
"""


@pytest.mark.parametrize(
    ("own", "table"), [(CIFAR_10_C, OF_CIFAR_10_C), (TINY_IMAGENET_C, OF_TINY_IMAGENET_C)]
)
def test_those_of_the_small_sets_are_as_their_scripts_have_them(own, table):
    rows = table.replace("\\\n", "").strip().splitlines()
    for name, row in zip(CORRUPTIONS, rows, strict=True):
        for value, cell in zip(own.values[name], row.split("|"), strict=True):
            expected = [float(number) for number in cell.split(",")]
            if name == "zoom_blur":
                expected = np.arange(*expected)
            elif name == "elastic_transform":  # theirs are of the side
                expected = [own.side * share for share in expected]
            np.testing.assert_array_equal(np.ravel(value), expected, err_msg=name)


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


@pytest.mark.parametrize("published", SETS, ids=lambda own: own.name)
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
@pytest.mark.parametrize("published", SETS, ids=lambda own: own.name)
def test_they_grow_stronger(published, name, place, grows):
    values = np.array([v if place is None else v[place] for v in published.values[name]], float)
    steps = np.diff(values) if grows else -np.diff(values)
    assert steps.min() >= 0 and steps.sum() > 0


@pytest.mark.parametrize(
    ("size", "published", "scale"),
    [
        ((32, 32), CIFAR_10_C, 1),
        ((8, 8), CIFAR_10_C, 0.25),
        ((45, 45), CIFAR_10_C, 45 / 32),
        ((46, 46), TINY_IMAGENET_C, 46 / 64),
        ((64, 64), TINY_IMAGENET_C, 1),
        ((96, 64), TINY_IMAGENET_C, 1),
        ((119, 200), TINY_IMAGENET_C, 119 / 64),
        ((120, 120), IMAGENET_C, 120 / 224),
        ((224, 224), IMAGENET_C, 1),
        ((224, 448), IMAGENET_C, 1),
    ],
)
def test_the_nearest_size_s_are_taken(size, published, scale):
    assert published_for(*size) == (published, pytest.approx(scale))
