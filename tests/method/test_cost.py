"""Multiply-adds and parameters: against built layers, enumeration, and the published tables."""

import itertools
import json
import math
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.method import cost
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.spaces import SPACES, SearchSpace, Stage
from rnascl_keras.models.size import model_macs

# name: parameters (M), MACs (M), smallest and largest student; image side, classes
RANGES = {
    "S3": ("0.1099", "0.1794", "6.25", "9.39", 32, 10),
    "S5": ("0.2013", "0.3263", "9.35", "14.88", 32, 10),
    "S7": ("0.2927", "0.4733", "12.45", "20.37", 32, 10),
    "M": ("2.6177", "3.0090", "282.10", "318.58", 32, 10),
    "L": ("10.9268", "11.7132", "1165.20", "1238.50", 32, 10),
    "IS": ("0.4181", "0.7532", "117.91", "254.39", 224, 100),
    "IM": ("0.6778", "1.5740", "167.53", "412.81", 224, 100),
    "I": ("1.2803", "3.7547", "180.79", "495.79", 224, 100),
}


@pytest.mark.parametrize("name", RANGES)
def test_smallest_and_largest_students_cost_what_the_design_prints(name):
    *printed, side, classes = RANGES[name]
    space = SPACES[name]
    students = [space.widths_everywhere(pick) for pick in (min, max)]
    parameters = [f"{cost.count_parameters(space, w, 3, classes) / 1e6:.4f}" for w in students]
    macs = [f"{cost.count_macs(space, w, (side, side, 3), classes) / 1e6:.2f}" for w in students]
    assert [*parameters, *macs] == printed


def test_a_student_of_s3_is_the_published_one():
    space = SPACES["S3"]
    rows = [stage.widths for stage in space.stages for _ in range(stage.depth)]
    found = []
    for flat in itertools.product(*rows):
        widths = flat[:3], flat[3:6], flat[6:]
        macs = cost.count_macs(space, widths, (32, 32, 3), 10) / 6.64e6
        parameters = cost.count_parameters(space, widths, 3, 10) / 0.11e6
        found.append(max(abs(macs - 1), abs(parameters - 1)))
    assert min(found) < 0.03


def counted_over_layers(model):
    """Count multiply-adds layer by layer from what was built, without the package's formulas."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            _, h, w, c = layer.output.shape
            total += h * w * c * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, keras.layers.Conv2D):
            _, h, w, c = layer.output.shape
            fan_in = layer.kernel_size[0] * layer.kernel_size[1] * layer.input.shape[-1]
            total += h * w * c * fan_in // layer.groups
        elif isinstance(layer, keras.layers.Dense):
            total += layer.input.shape[-1] * layer.units
    return total


@pytest.mark.parametrize(
    ("name", "image", "classes"),
    [
        ("S3", (32, 32, 3), 10),
        ("S5", (17, 23, 1), 7),
        ("M", (9, 9, 3), 10),
        ("IS", (64, 64, 3), 100),
        ("I", (33, 50, 3), 5),
        ("digits", (8, 8, 1), 10),
    ],
)
def test_counts_equal_those_over_the_built_layers(name, image, classes):
    rng = np.random.default_rng(0)
    space = SPACES[name]
    widths = [[int(rng.choice(s.widths)) for _ in range(s.depth)] for s in space.stages]
    architecture = Architecture(space, widths, (), "", image, classes)
    model = architecture.build()
    assert architecture.macs == counted_over_layers(model) == model_macs(model).total
    assert architecture.parameters == sum(math.prod(v.shape) for v in model.trainable_variables)
    assert type(architecture.macs) is int and type(architecture.parameters) is int


def test_squeeze_and_excitation_is_counted():
    """Its two dense layers and their biases, in every block, of the block's input width."""
    space = replace(SPACES["S3"], activation="silu", squeeze_excite=0.25)
    widths = [[12, 16, 12], [20, 28, 24], [64, 52, 60]]
    architecture = Architecture(space, widths, (), "", (32, 32, 3), 10)
    model = architecture.build()
    assert architecture.macs == counted_over_layers(model) == model_macs(model).total
    assert architecture.parameters == sum(math.prod(v.shape) for v in model.trainable_variables)
    plain = replace(architecture, space=SPACES["S3"])
    pairs = [(a, max(1, round(a / 4))) for a in (16, 12, 16, 12, 20, 28, 24, 64, 52)]
    assert architecture.macs - plain.macs == sum(2 * 6 * a * s for a, s in pairs)
    assert architecture.parameters - plain.parameters == sum(
        2 * 6 * a * s + s + 6 * a for a, s in pairs
    )


@pytest.mark.parametrize(("head_width", "squeeze"), [(None, None), (10, None), (None, 0.3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_expected_macs_equal_enumeration(head_width, squeeze, seed):
    stages = Stage(2, (6, 3), stride=1), Stage(2, (8, 5, 2))
    space = SearchSpace("t", stages, 4, 1, head_width=head_width, squeeze_excite=squeeze)
    rng = np.random.default_rng(seed)
    probabilities = [rng.dirichlet(np.ones(n)) for n in (2, 2, 3, 3)]
    image, classes = (9, 7, 3), 5
    exact = 0.0
    for picks in itertools.product(range(2), range(2), range(3), range(3)):
        p = math.prod(row[k] for row, k in zip(probabilities, picks, strict=True))
        flat = [(6, 3)[k] for k in picks[:2]], [(8, 5, 2)[k] for k in picks[2:]]
        exact += p * cost.count_macs(space, flat, image, classes)
    found = cost.expected_macs(space, [np.float32(p) for p in probabilities], image, classes)
    assert float(found) == pytest.approx(exact, rel=3e-7)


@pytest.mark.parametrize("name", SPACES)
def test_expected_macs_of_one_hot_choices_are_exact(name):
    rng = np.random.default_rng(3)
    space = SPACES[name]
    widths = [[int(rng.choice(s.widths)) for _ in range(s.depth)] for s in space.stages]
    one_hot = [
        np.float32([w == width for w in stage.widths])
        for stage, row in zip(space.stages, widths, strict=True)
        for width in row
    ]
    exact = cost.count_macs(space, widths, (32, 32, 3), 10)
    found = cost.expected_macs(space, one_hot, (32, 32, 3), 10)
    assert float(found) == pytest.approx(exact, rel=1e-6)


def test_expected_macs_fall_towards_the_narrow_choice():
    space = SPACES["S3"]
    logits = [tf.Variable(tf.zeros(len(s.widths))) for s in space.stages for _ in range(s.depth)]
    with tf.GradientTape() as tape:
        macs = cost.expected_macs(space, [tf.nn.softmax(v) for v in logits], (32, 32, 3), 10)
    for gradient in tape.gradient(macs, logits):
        assert gradient[0] > 0 > gradient[-1]  # widths are listed from wide to narrow


@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.6), (1.5, 2.0)])
def test_n_f_is_the_power_of_the_logarithm(alpha, beta):
    found = cost.latency_term(
        tf.constant(6.64e6), alpha=alpha, beta=beta, combine="multiply", largest=1.0
    )
    assert float(found) == pytest.approx(alpha * math.log(6.64e6) ** beta, rel=1e-6)
    assert float(found) != pytest.approx(alpha * math.log(6.64e6**beta), rel=0.05)


def test_n_f_added_is_a_part_of_the_largest_student():
    largest = cost.largest_macs(SPACES["S3"], (32, 32, 3), 10)
    assert f"{largest / 1e6:.2f}" == "9.39"
    found = cost.latency_term(
        tf.constant(largest / 4.0), alpha=0.2, beta=9.0, combine="add", largest=largest
    )
    assert float(found) == pytest.approx(0.05, rel=1e-6)


def test_an_unknown_combination_is_told():
    complaint = "'multipy' is unknown; expected one of multiply, add. Did you mean 'multiply'"
    with pytest.raises(UserError, match=complaint):
        cost.check_combine("multipy")


def test_counts_can_be_written_as_json():
    space = SPACES["IS"]
    widths = space.widths_everywhere(max)
    json.dumps([cost.count_macs(space, widths, (64, 64, 3), 9)])
