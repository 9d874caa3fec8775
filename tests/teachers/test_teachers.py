"""Teachers against an independent NumPy forward pass, published sizes and published weights."""

import re

import keras
import numpy as np
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.teachers import TEACHERS, build_teacher, check_teacher, load_teacher
from rnascl_keras.teachers.networks.architectures import CELL_NETWORKS, OTHERS
from rnascl_keras.teachers.published.names import IMAGENET

STEM, WIDTHS, BLOCKS, CLASSES = 4, (4, 6), (1, 2), 5
SHAPE = (9, 8, 3)  # odd height: one-sided padding would show


def published_weights(seed=0):
    """Random weights under the names and shapes of a PyTorch state dict."""
    rng = np.random.default_rng(seed)
    weights = {}

    def conv(name, out, into, kernel):
        weights[f"{name}.weight"] = rng.normal(size=(out, into, kernel, kernel)) / kernel

    def norm(name, width):
        weights[f"{name}.weight"] = rng.normal(size=width)
        weights[f"{name}.bias"] = rng.normal(size=width)
        weights[f"{name}.running_mean"] = rng.normal(size=width)
        weights[f"{name}.running_var"] = rng.uniform(0.5, 2, size=width)

    conv("conv_1", STEM, 3, 3)
    norm("bn_1", STEM)
    into = STEM
    for stage, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True), start=1):
        for block in range(blocks):
            name = f"stage_{stage}.{block}"
            conv(f"{name}.conv_1", width, into, 3)
            norm(f"{name}.bn_1", width)
            conv(f"{name}.conv_2", width, width, 3)
            norm(f"{name}.bn_2", width)
            if stage > 1 and block == 0:
                conv(f"{name}.downsample.0", width, into, 1)
                norm(f"{name}.downsample.1", width)
            into = width
    weights["fc.weight"] = rng.normal(size=(CLASSES, into))
    weights["fc.bias"] = rng.normal(size=CLASSES)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def numpy_conv(x, weight, stride):
    """PyTorch's convolution with padding kernel // 2; x is (batch, c, h, w)."""
    kernel = weight.shape[-1]
    pad = kernel // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))
    return np.einsum("bchwij,ocij->bohw", windows[:, :, ::stride, ::stride], weight)


def numpy_resnet(weights, images):
    """The published network, written from its description, in float64."""
    weights = {name: value.astype(np.float64) for name, value in weights.items()}

    def norm(x, name):
        mean, var, scale, shift = (
            weights[f"{name}.{kind}"][:, None, None]
            for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * scale + shift

    def conv_norm(x, conv, bn, stride=1):
        return norm(numpy_conv(x, weights[f"{conv}.weight"], stride), bn)

    x = (images - np.array(IMAGENET[0])) / np.array(IMAGENET[1])
    x = np.maximum(conv_norm(x.transpose(0, 3, 1, 2), "conv_1", "bn_1"), 0)
    for stage, blocks in enumerate(BLOCKS, start=1):
        for block in range(blocks):
            name = f"stage_{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            inner = np.maximum(conv_norm(x, f"{name}.conv_1", f"{name}.bn_1", stride), 0)
            inner = conv_norm(inner, f"{name}.conv_2", f"{name}.bn_2")
            if stride == 2:
                x = conv_norm(x, f"{name}.downsample.0", f"{name}.downsample.1", stride)
            x = np.maximum(inner + x, 0)
    return x.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"]


def saved(path, weights):
    np.savez(path, **weights)
    return path


def test_published_weights_give_the_published_networks_logits(tmp_path):
    weights = published_weights()
    images = np.random.default_rng(1).uniform(size=(4, *SHAPE)).astype(np.float32)
    path = saved(tmp_path / "teacher.npz", {**weights, "bn_1.num_batches_tracked": np.array(7)})
    model = load_teacher(path, input_shape=SHAPE, classes=CLASSES)
    expected = numpy_resnet(weights, images)
    np.testing.assert_allclose(model(images, training=False), expected, atol=1e-4, rtol=1e-4)


def test_normalisation_can_be_given(tmp_path):
    path = saved(tmp_path / "teacher.npz", published_weights())
    images = np.random.default_rng(1).uniform(size=(2, *SHAPE)).astype(np.float32)
    settings = {"input_shape": SHAPE, "classes": CLASSES}
    plain = load_teacher(path, mean=(0, 0, 0), std=(1, 1, 1), **settings)
    given = load_teacher(path, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0), **settings)
    by_hand = (images - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 0.25, 2.0])
    np.testing.assert_allclose(given(images), plain(by_hand.astype("f4")), atol=1e-4, rtol=1e-4)


def without(name):
    return lambda weights: {k: v for k, v in weights.items() if k != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("stage_2.1.bn_2.running_var"), r"missing: stage_2\.1\.bn_2\.running_var\.$"),
        (without("fc.bias"), r"missing: fc\.bias\.$"),
        (lambda w: {**w, "extra.weight": np.zeros(3)}, r"surplus: extra\.weight\.$"),
        (
            lambda w: {**w, "stage_1.0.conv_2.weight": np.zeros((4, 4, 3, 5))},
            r"of another shape: stage_1\.0\.conv_2\.weight \(4, 4, 3, 5\) instead of \(4, 4, 3,",
        ),
        (
            lambda w: {**w, "fc.weight": np.zeros((7, 6)), "fc.bias": np.zeros(7)},
            r"fc\.weight \(7, 6\) instead of \(5, 6\)",
        ),
        (
            lambda w: {**w, "bn_1.bias": np.full(4, np.nan)},
            r"not finite: bn_1\.bias",
        ),
        (
            lambda w: {k: v for k, v in w.items() if not k.startswith("stage_2.0")},
            r"no convolution stage_2\.0\.conv_1\.weight",
        ),
        (
            lambda w: {**w, "stage_1.999999.conv_1.weight": np.ones((4, 4, 3, 3))},
            r"holds stage_1\.999999\.conv_1\.weight, but only \d+ weights",
        ),
        (
            lambda w: {**w, f"stage_1.{'9' * 5000}.bias": np.ones(1)},
            r"surplus: stage_1\.9+\.bias",
        ),
        (
            lambda w: {**w, "fc.weight": np.ones((10**12, 0))},
            r"fc\.weight in .* holds no numbers, its shape is",
        ),
        (
            lambda w: {**w, "stage_1.0.conv_1.weight": np.ones((10**5, 1, 1, 1))},
            "describes weights of .* or more, and holds",
        ),
        (
            lambda w: {f"module.{k}": v for k, v in w.items()},
            r"not a CIFAR ResNet.*module\.conv_1\.weight.*and \d+ more; .*rnascl convert-teacher",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    path = saved(tmp_path / "teacher.npz", change(published_weights()))
    with pytest.raises(UserError, match=message) as caught:
        load_teacher(path, input_shape=SHAPE, classes=CLASSES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".npz", ".keras"])
def test_a_cut_file_is_told(tmp_path, suffix):
    whole = saved(tmp_path / "whole.npz", published_weights())
    if suffix == ".keras":
        whole = tmp_path / "whole.keras"
        build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10).save(whole)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UserError, match=f"cut{suffix}") as caught:
        load_teacher(cut, input_shape=SHAPE, classes=CLASSES)
    assert "\n" not in str(caught.value)


def test_missing_or_unknown_files_are_told(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_teacher(tmp_path / "no.npz", input_shape=SHAPE, classes=CLASSES)
    (tmp_path / "teacher.pth").write_bytes(b"")
    with pytest.raises(UserError, match=r"'\.pth'; expected \.keras: .*rnascl convert-teacher"):
        load_teacher(tmp_path / "teacher.pth", input_shape=SHAPE, classes=CLASSES)


def test_a_keras_teacher_comes_back_without_its_softmax(tmp_path):
    plain = build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10)
    ending = keras.Model(plain.input, keras.layers.Softmax()(plain.output))
    images = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype(np.float32)
    for number, model in enumerate((plain, ending)):
        path = tmp_path / f"{number}.keras"
        model.save(path)
        found = load_teacher(path, input_shape=(8, 8, 1), classes=10)
        np.testing.assert_allclose(found(images), plain(images), atol=1e-6)
    with pytest.raises(UserError, match="its own normalisation"):
        load_teacher(path, input_shape=(8, 8, 1), classes=10, mean=[0.5], std=[0.5])


def test_a_teacher_that_does_not_fit_the_data_is_refused():
    model = build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10)
    check_teacher(model, (8, 8, 1), 10)
    with pytest.raises(UserError, match="10 classes apart, the data has 5"):
        check_teacher(model, (8, 8, 1), 5)
    with pytest.raises(UserError, match=r"\(None, 8, 8, 1\), the data's are \(32, 32, 3\)"):
        check_teacher(model, (32, 32, 3), 10)
    features = keras.Model(model.input, model.get_layer("relu4").output)
    with pytest.raises(UserError, match="a classifier"):
        check_teacher(features, (8, 8, 1), 10)
    two_heads = keras.Model(model.input, [model.output, model.output])
    with pytest.raises(UserError, match="a classifier"):
        check_teacher(two_heads, (8, 8, 1), 10)


# Trainable weights for ten classes, ImageNet's for 1,000. ResNet-20 and -56 as in He et al. (2016),
# Table 6 (0.27 M and 0.85 M) plus the 1 x 1 shortcuts; ResNet-18, -34, -50 and PreActResNet-18 (its
# 11,171,146 and a last normalisation) as in the usual CIFAR-10 implementation; WideResNets as in
# Zagoruyko and Komodakis (2016), Table 4 (36.5 M) and TRADES (46.16 M); ImageNet's as torchvision
# says.
SIZES = {
    "resnet20": 272_474,
    "resnet56": 855_770,
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    "preact_resnet18": 11_172_170,
    "wide_resnet28_10": 36_479_194,
    "wide_resnet34_10": 46_160_474,
    "imagenet_resnet18": 11_689_512,
    "imagenet_resnet50": 25_557_032,
    "imagenet_wide_resnet50_2": 68_883_240,
    "abcrown_resnet4b": 123_734,
}


@pytest.mark.parametrize("architecture", SIZES)
def test_sizes(architecture):
    is_imagenet = architecture.startswith("imagenet_")
    size, classes = (224, 1000) if is_imagenet else (32, 10)
    model = build_teacher(architecture, input_shape=(size, size, 3), classes=classes)
    found = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    assert found == SIZES[architecture]


@pytest.mark.parametrize(("width", "filters"), [(None, (16, 32, 32, 32)), (40, (40, 80, 80, 80))])
def test_digits_cnn_has_four_convolutions_and_as_many_weights_as_they_take(width, filters):
    model = build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10, width=width)
    convolutions = [la for la in model.layers if isinstance(la, keras.layers.Conv2D)]
    assert tuple(la.filters for la in convolutions) == filters
    inputs = (1, *filters[:-1])
    # a convolution's kernel, its normalisation's two rows, and the classifier with its bias
    wanted = sum(9 * i * o + 2 * o for i, o in zip(inputs, filters, strict=True))
    wanted += (filters[-1] + 1) * 10
    assert sum(weight.shape.num_elements() for weight in model.trainable_weights) == wanted


def test_layer_names_and_slim_width():
    model = build_teacher("resnet18", input_shape=(32, 32, 3), classes=10, width=8)
    convolutions = {
        la.name: la.filters for la in model.layers if isinstance(la, keras.layers.Conv2D)
    }
    assert len(convolutions) == 1 + 2 * 8 + 3
    assert convolutions["stem_conv"] == 8 and convolutions["stage4_block2_conv2"] == 64
    shortcuts = [name for name in convolutions if name.endswith("_shortcut")]
    assert shortcuts == [f"stage{stage}_block1_shortcut" for stage in (2, 3, 4)]
    pattern = r"stem_conv|stage[1-4]_block[12]_(conv[12]|shortcut)"
    assert all(re.fullmatch(pattern, name) for name in convolutions)
    assert model.get_layer("stage2_block1_add").output.shape == (None, 16, 16, 16)
    assert model.layers[-1].name == "logits"


def test_a_slim_wide_resnet_keeps_its_stem():
    model = build_teacher("wide_resnet28_10", input_shape=(16, 16, 3), classes=10, width=20)
    widths = {
        name: model.get_layer(name).filters
        for name in ("stem_conv", "stage1_block1_shortcut", "stage2_block4_conv2")
    }
    assert widths == {"stem_conv": 16, "stage1_block1_shortcut": 20, "stage2_block4_conv2": 40}


@pytest.mark.parametrize("architecture", TEACHERS)
def test_a_saved_teacher_needs_nothing_of_ours(tmp_path, architecture):
    slim = {} if architecture in OTHERS else {"width": 4}
    slim |= {"cells": 3} if architecture in CELL_NETWORKS else {}
    shape, normalisation = (8, 8, 1), {"mean": [0.3], "std": [0.2]}
    model = build_teacher(architecture, input_shape=shape, classes=4, **normalisation, **slim)
    assert model.output_shape == (None, 4)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    if architecture in ("digits_cnn", "resnet50", "wide_resnet28_10", "imagenet_resnet18"):
        model.save(tmp_path / "teacher.keras")
        images = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype(np.float32)
        again = keras.models.load_model(tmp_path / "teacher.keras")
        np.testing.assert_array_equal(again(images), model(images))


@pytest.mark.parametrize(
    ("architecture", "settings", "message"),
    [
        ("resnet19", {}, r"'resnet19' is unknown.*Did you mean 'resnet"),
        ("digits_cnn", {"width": 0}, "at least 1, and not for"),
        ("resnet20", {"width": 0}, "width 0"),
        ("resnet20", {"mean": (0.5,), "std": (0.5,)}, r"3 channel\(s\)"),
        ("resnet20", {"mean": (0.5, 0.5, 0.5)}, "one value per channel for both"),
        ("resnet20", {"mean": (0, 0, 0), "std": (1, 0, 1)}, "not positive"),
        ("resnet20", {"mean": (0, float("nan"), 0), "std": (1, 1, 1)}, "not finite"),
        ("abcrown_resnet4b", {"width": 8}, "not for abcrown_resnet4b"),
        ("resnet20", {"cells": 8}, "only cell networks such as darts take one"),
        ("darts", {"cells": 2}, "of at least 3"),
    ],
)
def test_wrong_settings_are_told(architecture, settings, message):
    with pytest.raises(UserError, match=message):
        build_teacher(architecture, input_shape=(32, 32, 3), classes=10, **settings)
