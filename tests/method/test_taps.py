"""Where attention maps are taken: on ours, keras.applications' and others' networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnascl_keras.errors import UserError
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.spaces import SPACES
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.method.taps import tap


def images_for(model, n=2):
    shape = (n, *model.input_shape[1:])
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


def check_taps(model, places, taps="conv", inner=None, before=lambda x: x):
    """Each tap equals the output of the layer named for it; the logits are the model's own.

    Args:
        places: name of the tapped layer -> name of the layer whose output is the tap.
        inner: the nested model that holds the layers, where `before` gives its input.
    """
    tapped = tap(model, taps)
    images = images_for(model)
    logits, activations, _ = tapped(images)
    np.testing.assert_array_equal(logits, model(images))
    holder = inner or model
    found = dict(zip(tapped.names, activations, strict=True))
    for name, place in places.items():
        expected = keras.Model(holder.input, holder.get_layer(place).output)(before(images))
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
        assert np.any(expected)
    return tapped


def randomize(model):
    """Make offsets and scales that tell a tap before a normalisation from one after it."""
    rng = np.random.default_rng(1)
    model.set_weights([w + np.float32(rng.uniform(0, 0.1, w.shape)) for w in model.get_weights()])
    return model


def test_ours():
    space = SPACES["S3"]
    student = randomize(Architecture(space, space.widths_everywhere(max)).build())
    places = {"stem": "stem_relu"}
    for stage in (1, 2, 3):
        for block in (1, 2, 3):
            name = f"stage{stage}_block{block}"
            places |= {
                f"{name}_expand": f"{name}_expand_relu",
                f"{name}_depthwise": f"{name}_depthwise_relu",
                f"{name}_project": f"{name}_project_bn",  # before the addition
            }
    tapped = check_taps(student, places)
    assert tapped.names == list(places)
    assert tap(Supernet("S3")).names == list(places)  # a supernet has the same ones


def test_in_a_supernet_the_mask_comes_before_the_tap():
    supernet = randomize(Supernet(SPACES["digits"], (8, 8, 1), 10))
    name = "stage1_block2"
    places = {
        "stage1_block1_expand": "stage1_block1_expand_relu",  # the stem has no mask
        f"{name}_expand": f"{name}_expand_mask",
        f"{name}_depthwise": f"{name}_depthwise_mask",
        f"{name}_project": f"{name}_project_mask",
    }
    check_taps(supernet, places)


def test_resnet50_without_its_shortcuts():
    model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=7)
    randomize(model)
    places = {
        "conv1_conv": "conv1_relu",
        "conv2_block1_1_conv": "conv2_block1_1_relu",
        "conv2_block1_3_conv": "conv2_block1_3_bn",
        "conv5_block3_3_conv": "conv5_block3_3_bn",
    }
    tapped = check_taps(model, places)
    assert len(tapped.names) == 49  # 53 convolutions, 4 of them shortcuts
    assert not any(name.endswith("_0_conv") for name in tapped.names)
    blocks = tap(model, "block").names
    assert len(blocks) == 16 and blocks[0] == "conv2_block1_3_conv"


def test_mobilenet_v2():
    model = keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), classes=7)
    randomize(model)
    places = {
        "Conv1": "Conv1_relu",
        "expanded_conv_project": "expanded_conv_project_BN",
        "block_2_depthwise": "block_2_depthwise_relu",
        "block_2_project": "block_2_project_BN",
        "Conv_1": "out_relu",
    }
    tapped = check_taps(model, places)
    kinds = layers.Conv2D, layers.DepthwiseConv2D
    assert tapped.names == [x.name for x in model.layers if isinstance(x, kinds)]
    assert "block_16_project" in tap(model, "block").names


@pytest.mark.parametrize(
    ("network", "blocks", "first", "last"),
    [
        # as the networks' papers count them
        ("MobileNet", 13, "conv_pw_1", "conv_pw_13"),
        ("MobileNetV2", 17, "expanded_conv_project", "block_16_project"),
        ("MobileNetV3Small", 11, "expanded_conv_project", "expanded_conv_10_project"),
        ("MobileNetV3Large", 15, "expanded_conv_project", "expanded_conv_14_project"),
        ("EfficientNetB0", 16, "block1a_project_conv", "block7a_project_conv"),
        ("EfficientNetV2B0", 21, "block1a_project_conv", "block6h_project_conv"),
        ("InceptionV3", 11, "mixed0", "mixed10"),
        ("DenseNet121", 58, "conv2_block1_2_conv", "conv5_block16_2_conv"),
        ("Xception", 14, "block1_conv2", "block14_sepconv2"),
        ("ResNet50V2", 16, "conv2_block1_3_conv", "conv5_block3_3_conv"),
        ("VGG16", 5, "block1_conv2", "block5_conv3"),
        ("ConvNeXtTiny", 18, "convnext_tiny_stage_0_block_0_depthwise_conv", "_depthwise_conv"),
        pytest.param("InceptionResNetV2", 43, "mixed_5b", "block8_10_conv", marks=pytest.mark.slow),
        pytest.param(
            "NASNetMobile",
            16,
            "reduction_concat_stem_1",
            "normal_concat_12",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_blocks_of_keras_applications(network, blocks, first, last):
    side = 75 if network.startswith(("Inception", "Xception")) else 32
    make = getattr(keras.applications, network)
    names = tap(make(weights=None, input_shape=(side, side, 3), classes=7), "block").names
    assert len(names) == blocks == len(set(names))
    assert names[0] == first and names[-1].endswith(last)


def test_maps_of_one_pixel_are_left_out(capsys):
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(64, 64, 3), classes=7)
    names = tap(model).names
    assert len(names) == 49  # 81 convolutions, two of squeeze and excitation in each of 16 blocks
    assert not any("_se_" in name for name in names)
    told = "32 of 81 convolutions are left out of the taps, since attention maps of 1 x 1"
    assert capsys.readouterr().err.count(told) == 1
    tap(model)
    assert not capsys.readouterr().err  # it is said once
    assert tap(model, ["block1a_se_reduce"]).names == ["block1a_se_reduce"]  # where asked for


def two_stages():
    """Two models whose layers have the same names, in a third one."""

    def stage(name, channels):
        inner = [keras.Input((8, 8, channels)), layers.Conv2D(3, 3, padding="same", name="conv")]
        return keras.Sequential([*inner, layers.ReLU(name="relu")], name=name)

    first, second = stage("first", 1), stage("second", 3)
    end = [layers.GlobalAveragePooling2D(), layers.Dense(2)]
    return first, second, keras.Sequential([keras.Input((8, 8, 1)), first, second, *end])


def test_nested_models_whose_layers_share_names():
    first, second, model = two_stages()
    tapped, images = tap(model), images_for(model)
    assert tapped.names == ["first/conv", "second/conv"]
    logits, (one, two), _ = tapped(images)
    np.testing.assert_allclose(logits, model(images), atol=1e-6)
    np.testing.assert_allclose(one, first(images), atol=1e-6)
    np.testing.assert_allclose(two, second(first(images)), atol=1e-6)
    assert tap(model, "second/conv").names == ["second/conv"]
    with pytest.raises(UserError, match="no layer 'conv' to tap"):
        tap(model, ["conv"])


def test_layers_and_models_that_are_called_twice():
    images = keras.Input((8, 8, 1))
    conv = layers.Conv2D(2, 3, padding="same", name="conv")
    inner = keras.Sequential(
        [keras.Input((8, 8, 2)), layers.Conv2D(2, 3, name="a"), layers.ReLU()], name="inner"
    )
    flipped = keras.ops.flip(images, axis=2)
    x = layers.Add()([inner(conv(images)), inner(conv(flipped))])
    model = keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    tapped, x = tap(model), images_for(model)
    expected = {
        "conv": conv(x),
        "inner/a": inner(conv(x)),
        "conv#2": conv(x[:, :, ::-1]),
        "inner/a#2": inner(conv(x[:, :, ::-1])),
    }
    logits, activations, _ = tapped(x)
    assert set(tapped.names) == set(expected)
    order = {name: k for k, name in enumerate(tapped.names)}
    assert order["conv"] < order["conv#2"] and order["inner/a"] < order["inner/a#2"]
    np.testing.assert_allclose(logits, model(x), atol=1e-6)
    for name, activation in zip(tapped.names, activations, strict=True):
        np.testing.assert_allclose(activation, expected[name], atol=1e-6, err_msg=name)


def test_a_loaded_model_whose_names_keras_gives_anew(tmp_path):
    """In a fresh process Keras counts from the start again."""
    keras.backend.clear_session()
    ends = [layers.Identity(), layers.Permute((1, 2, 3)), layers.Identity()]
    inner = keras.Sequential([keras.Input((8, 8, 1)), *ends, layers.Conv2D(2, 3)])
    model = keras.Sequential([keras.Input((8, 8, 1)), inner, layers.Flatten(), layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    keras.backend.clear_session()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    keras.backend.clear_session()
    np.testing.assert_allclose(tap(loaded)(images_for(model))[0], model(images_for(model)))


def convolves_channels_first():
    try:
        tf.nn.conv2d(tf.zeros((1, 1, 3, 3)), tf.zeros((1, 1, 1, 1)), 1, "SAME", data_format="NCHW")
    except tf.errors.UnimplementedError:
        return False
    return True


@pytest.mark.skipif(
    not convolves_channels_first(),
    reason="on this processor TensorFlow leaves oneDNN out, and so convolves channels last only",
)
def test_taps_of_channels_first_are_channels_last():
    """Else an attention map would be summed over the width."""
    images = keras.Input((6, 9, 3))
    x = layers.Permute((3, 1, 2))(images)
    ours = {"data_format": "channels_first"}
    x = layers.Conv2D(4, 3, padding="same", name="a", **ours)(x)
    x = layers.ReLU(name="a_relu")(layers.BatchNormalization(axis=1)(x))
    x = layers.Conv2D(5, 3, 2, padding="same", name="b", **ours)(x)
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, **ours)(x)
    x = layers.Multiply()([x, layers.Conv2D(5, 1, name="squeezed", **ours)(squeezed)])
    x = layers.Permute((2, 3, 1))(x)
    x = layers.Conv2D(2, 1, name="c")(x)
    model = randomize(keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    tapped, values = tap(model), images_for(model)
    assert tapped.names == ["a", "b", "c"]
    _, activations, _ = tapped(values)
    assert [tuple(x.shape[1:]) for x in activations] == [(6, 9, 4), (3, 5, 5), (3, 5, 2)]
    expected = keras.Model(images, model.get_layer("a_relu").output)(values)
    np.testing.assert_allclose(activations[0], np.moveaxis(expected, 1, -1))
    (named,) = tap(model, ["a_relu"])(values)[1]
    np.testing.assert_allclose(named, activations[0])


def pre_activation_network():
    """WideResNet's order: normalisation and ReLU come before the convolution."""
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(images)
    for k, (width, stride) in enumerate(((4, 1), (8, 2)), 1):
        y = layers.ReLU(name=f"relu{k}a")(layers.BatchNormalization(name=f"bn{k}a")(x))
        z = layers.Conv2D(width, 3, stride, padding="same", name=f"conv{k}a")(y)
        z = layers.ReLU(name=f"relu{k}b")(layers.BatchNormalization(name=f"bn{k}b")(z))
        z = layers.Conv2D(width, 3, padding="same", name=f"conv{k}b")(z)
        if stride > 1:
            x = layers.Conv2D(width, 1, stride, name=f"shortcut{k}")(y)
        x = layers.Add(name=f"add{k}")([x, z])
    x = layers.ReLU(name="last_relu")(layers.BatchNormalization(name="last_bn")(x))
    outputs = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    return randomize(keras.Model(images, outputs))


def test_a_pre_activation_network():
    places = {
        "stem": "stem",  # both the addition and the block's normalisation follow it
        "conv1a": "relu1b",
        "conv1b": "conv1b",  # before the addition, not after the normalisation behind it
        "conv2a": "relu2b",
        "conv2b": "conv2b",
    }
    tapped = check_taps(pre_activation_network(), places)
    assert tapped.names == list(places)  # the shortcut is not counted


def test_a_nested_backbone():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="a")(images)
    x = layers.ReLU(name="a_relu")(layers.BatchNormalization(name="a_bn")(x))
    x = layers.Conv2D(6, 3, activation="relu", name="b")(x)
    backbone = keras.Model(images, layers.GlobalAveragePooling2D()(x), name="backbone")
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Rescaling(2.0, -1.0), backbone, layers.Dense(4)]
    )
    randomize(model)
    tapped = check_taps(
        model, {"a": "a_relu", "b": "b"}, inner=backbone, before=lambda x: 2 * x - 1
    )
    assert tapped.names == ["a", "b"]
    assert tapped.source is model
    again = tap(keras.Sequential([keras.Input((16, 16, 3)), model]))  # nested twice
    assert again.names == ["a", "b"]


def test_taps_share_the_models_weights():
    model = pre_activation_network()
    tapped = tap(model)
    images = images_for(model)
    before = np.asarray(tapped(images)[1][0])
    model.get_layer("stem").set_weights([2 * w for w in model.get_layer("stem").get_weights()])
    np.testing.assert_allclose(tapped(images)[1][0], 2 * before, rtol=1e-6)


def test_layers_by_name_and_further_outputs():
    model = pre_activation_network()
    check_taps(model, {"shortcut2": "shortcut2", "conv1a": "relu1b"}, ["shortcut2", "conv1a"])
    check_taps(model, {"add1": "add1"}, ["add1"])  # any layer, not only convolutions
    assert tap(model, "conv1a").names == ["conv1a"]
    tapped = tap(model, "conv", also=["add2", "relu1a"])
    _, activations, extra = tapped(images_for(model))
    assert len(activations) == 5
    assert [tuple(x.shape[1:]) for x in extra] == [(8, 8, 8), (16, 16, 4)]


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(layers.Flatten()(x))


def called(model, shape):
    model(np.zeros((1, *shape), "float32"))
    return model


def two_outputs():
    x = keras.Input((8, 8, 1))
    return keras.Model(x, [layers.Conv2D(2, 3)(x), layers.Conv2D(2, 3)(x)])


@pytest.mark.parametrize(
    ("make", "taps", "message"),
    [
        (Subclassed, "conv", "functional or Sequential"),
        (lambda: called(Subclassed(), (8, 8, 1)), "conv", "functional or Sequential"),
        (lambda: keras.Sequential([layers.Conv2D(2, 3)]), "conv", "functional or Sequential"),
        (two_outputs, "conv", "one input and one output"),
        (pre_activation_network, ["conv1c"], "no layer 'conv1c'.*Did you mean 'conv1"),
        (pre_activation_network, "convs", "no layer 'convs'"),
        (pre_activation_network, [], "names of its layers"),
        (pre_activation_network, "block", "no blocks"),
        (
            lambda: keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)]),
            "conv",
            "no convolutions",
        ),
    ],
)
def test_what_cannot_be_tapped_is_told(make, taps, message):
    with pytest.raises(UserError, match=message) as caught:
        tap(make(), taps)
    assert "\n" not in str(caught.value)
