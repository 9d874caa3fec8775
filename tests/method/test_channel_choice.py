"""Masks of widths: prefixes, one shared convolution, one sample a step wherever it is used."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import dtype_policy

from rnascl_keras.method.channel_choice import ChannelMask, prefix_masks
from rnascl_keras.method.spaces import SearchSpace, Stage
from rnascl_keras.method.supernet import Supernet


def test_masks_are_prefixes():
    np.testing.assert_array_equal(
        prefix_masks((4, 1, 2)), [[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]]
    )


@pytest.mark.parametrize("expansion", [1, 6])
def test_a_mask_is_the_weighted_sum_of_prefixes(expansion):
    rng = np.random.default_rng(0)
    widths, g = (4, 3, 1), np.float32([0.2, 0.5, 0.3])
    z = rng.normal(size=(2, 3, 3, 4 * expansion)).astype("float32")
    found = ChannelMask(widths, expansion)([z, g])
    expected = np.zeros(z.shape)
    for weight, width in zip(g, widths, strict=True):  # z_i of section 3.3, cut to each width
        expected[..., : width * expansion] += weight * np.float64(z[..., : width * expansion])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_config_of_a_mask_round_trips():
    mask = ChannelMask((8, 4), 6, name="m")
    again = ChannelMask.from_config(mask.get_config())
    assert again.get_config() == mask.get_config()
    z = np.ones((1, 2, 2, 48), "float32")
    g = np.float32([0.25, 0.75])
    np.testing.assert_array_equal(again([z, g]), mask([z, g]))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_under_mixed_precision_masks_are_reckoned_in_float32(policy):
    with dtype_policy(policy):
        mask = ChannelMask((4, 3, 2, 1))
    g = np.float32([0.101, 0.207, 0.303, 0.389])  # sums to 1, but not in bfloat16
    z = tf.ones((1, 1, 1, 4), policy.removeprefix("mixed_"))
    found = mask([z, tf.constant(g)])
    assert found.dtype == z.dtype
    exact = tf.cast(tf.constant(g @ prefix_masks((4, 3, 2, 1))), z.dtype)
    np.testing.assert_array_equal(found[0, 0, 0], exact)
    assert found[0, 0, 0, 0] == 1


def effective_masks(supernet, names, images):
    """Run one training step; return g and what each mask multiplied its channels by."""
    outputs = [supernet.get_layer("stage1_block1_choice").output]
    for name in names:
        mask = supernet.get_layer(f"{name}_mask")
        outputs += [mask.input[0], mask.output]
    g, *pairs = keras.Model(supernet.input, outputs)(images, training=True)
    ratios = []
    for before, after in zip(pairs[::2], pairs[1::2], strict=True):
        total = np.abs(before).max((0, 1, 2))
        assert np.all(total > 0)
        ratios.append(np.abs(after).max((0, 1, 2)) / total)
    return np.asarray(g), ratios


def test_one_sample_masks_the_output_and_the_next_blocks_hidden_channels():
    keras.utils.set_random_seed(0)
    space = SearchSpace("t", (Stage(3, (4, 3, 1), stride=1),), stem_width=4)
    supernet = Supernet(space, (8, 8, 1), 3, seed=0)
    images = np.random.default_rng(1).uniform(size=(16, 8, 8, 1)).astype("float32")
    names = [
        "stage1_block1_project",
        "stage1_block2_expand",
        "stage1_block2_depthwise",
    ]
    drawn = []
    for _ in range(2):
        g, (output, expand, depthwise) = effective_masks(supernet, names, images)
        np.testing.assert_allclose(output, g @ prefix_masks((4, 3, 1)), rtol=1e-5)
        for hidden in (expand, depthwise):
            np.testing.assert_allclose(hidden, g @ prefix_masks((24, 18, 6)), rtol=1e-5)
        drawn.append(g)
    assert np.abs(drawn[0] - drawn[1]).max() > 0.01  # a new step, a new sample


def test_choices_of_one_supernet_draw_independent_noise():
    supernet = Supernet("S3", (8, 8, 3), 2, seed=0)
    draws = np.array([np.asarray(c.sample())[:2] for c in supernet.choices])
    assert len({float(row[0]) for row in draws}) == len(supernet.choices)


def test_the_choices_share_one_convolution_of_the_largest_width():
    space = SearchSpace("t", (Stage(2, (8, 6, 4, 2)), Stage(1, (12, 10))), stem_width=5)
    supernet = Supernet(space, (8, 8, 3), 2)
    convolutions = [x for x in supernet.layers if isinstance(x, keras.layers.Conv2D)]
    assert [c.filters for c in convolutions] == [5, 30, 8, 48, 8, 48, 12]
    depthwise = [x for x in supernet.layers if isinstance(x, keras.layers.DepthwiseConv2D)]
    assert [x.kernel.shape[2] for x in depthwise] == [30, 48, 48]
