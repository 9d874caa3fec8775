"""Published checkpoints against the PyTorch networks they were saved from."""

from __future__ import annotations

import re
from collections import OrderedDict

import keras
import numpy as np
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.method.taps import tap
from rnascl_keras.teachers import load_published
from rnascl_keras.teachers.published.names import CIFAR, CIFAR_ABCROWN, IMAGENET

torch = pytest.importorskip("torch", reason="PyTorch, which checks ours, is not installed")
from benchmarks import torch_networks as nets  # noqa: E402

NONE = ((0.0,) * 3, (1.0,) * 3)
OTHER = ((0.1, 0.2, 0.3), (0.5, 0.25, 2.0))
CLASSES = 7

# id: (architecture, its network, image size, normalisation by default, convolutions to tap)
CASES = {
    "resnet20-ehanw": (
        "resnet20", lambda: nets.ResNet("ehanw", 4, (3, 3, 3), CLASSES), 16, IMAGENET, 19,
    ),
    "resnet18-kuangliu": (
        "resnet18", lambda: nets.ResNet("kuangliu", 4, (2, 2, 2, 2), CLASSES), 16, CIFAR, 17,
    ),
    "resnet18-torchvision": (
        "resnet18", lambda: nets.ResNet("torchvision", 4, (2, 2, 2, 2), CLASSES), 16, IMAGENET, 17,
    ),
    "resnet34-kuangliu": (
        "resnet34", lambda: nets.ResNet("kuangliu", 4, (3, 4, 6, 3), CLASSES), 16, CIFAR, 33,
    ),
    "resnet50-kuangliu": (
        "resnet50", lambda: nets.ResNet("kuangliu", 4, (3, 4, 6, 3), CLASSES, 1), 16, CIFAR, 49,
    ),
    "preact_resnet18-kuangliu": (
        "preact_resnet18", lambda: nets.PreActResNet(4, (2, 2, 2, 2), CLASSES), 16, CIFAR, 17,
    ),
    "wide_resnet28_10-trades": (
        "wide_resnet28_10", lambda: nets.WideResNet(20, 28, CLASSES, True), 16, NONE, 25,
    ),
    "wide_resnet34_10-rice": (
        "wide_resnet34_10", lambda: nets.WideResNet(20, 34, CLASSES, False), 16, CIFAR, 31,
    ),
    "imagenet_resnet18-torchvision": (
        "imagenet_resnet18",
        lambda: nets.ResNet("torchvision", 4, (2, 2, 2, 2), CLASSES, imagenet=True),
        64, IMAGENET, 17,
    ),
    "imagenet_resnet50-torchvision": (
        "imagenet_resnet50",
        lambda: nets.ResNet("torchvision", 4, (3, 4, 6, 3), CLASSES, 1, imagenet=True),
        64, IMAGENET, 49,
    ),
    "imagenet_wide_resnet50_2-torchvision": (
        "imagenet_wide_resnet50_2",
        lambda: nets.ResNet("torchvision", 4, (3, 4, 6, 3), CLASSES, 2, imagenet=True),
        64, IMAGENET, 49,
    ),
    "abcrown_resnet4b": (
        "abcrown_resnet4b", lambda: nets.AbcrownResNet4b(CLASSES, 16), 16, CIFAR_ABCROWN, 9,
    ),
}  # fmt: skip


def images_of(size):
    return np.random.default_rng(1).uniform(size=(3, size, size, 3)).astype(np.float32)


def torch_logits(network, images):
    with torch.no_grad():
        return network(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()


def check_logits(published, network, images):
    expected = torch_logits(network, images)
    assert np.ptp(expected, axis=0).min() > 1e-3  # logits that tell the images apart
    logits = published.model(images, training=False)
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_a_published_network_gives_the_same_logits(case, tmp_path):
    architecture, build, size, normalisation, taps = CASES[case]
    network = nets.randomized(build())
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=len(case) % 2 == 0)
    published = load_published(path, architecture, image_size=size)
    whole = torch.nn.Sequential(nets.Normalize(*normalisation), network)
    check_logits(published, whole, images_of(size))
    tapped = tap(published.model)
    assert len(tapped.names) == taps  # the shortcuts are left out
    assert not [name for name in tapped.names if name.endswith("shortcut")]
    blocks = {name.rsplit("_", 1)[0] for name in tapped.names} - {"stem"}
    if len(blocks) < 10:  # the deeper ones take long and are named alike
        assert len(tap(published.model, "block").names) == len(blocks)


def small(width=4, seed=0):
    return nets.randomized(nets.ResNet("kuangliu", width, (2, 2, 2, 2), CLASSES), seed)


def attacker_checkpoint(network):
    """What the robustness package saves, with its normaliser, optimizer and duplicates."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network(torch.rand(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    network.zero_grad()
    wrapped = torch.nn.DataParallel(nets.AttackerModel(network, *OTHER).eval())
    return wrapped, {
        "model": wrapped.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": None,
        "epoch": 3,
        "best_prec1": torch.tensor(51.0),
        "figures": np.float64(0.5),
        "amp": "N/A",
    }


@pytest.mark.parametrize(("holder", "zipped"), [("model", True), ("state_dict", False)])
def test_a_checkpoint_of_the_robustness_package(tmp_path, holder, zipped):
    wrapped, checkpoint = attacker_checkpoint(small())
    checkpoint[holder] = checkpoint.pop("model")
    path = tmp_path / "cifar_linf_8.pt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    published = load_published(path, "resnet18", image_size=16)
    assert published.origin == "from the checkpoint"
    np.testing.assert_allclose((published.mean, published.std), OTHER, rtol=1e-6)
    check_logits(published, wrapped, images_of(16))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {f"module.{k}": v for k, v in state.items()},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 9},
        lambda state: {"net": state, "acc": 50.2},
        lambda state: {f"module.model.{k}": v for k, v in state.items()},
        lambda state: OrderedDict((k, torch.nn.Parameter(v.float())) for k, v in state.items()),
    ],
)
def test_wrapped_names_and_holders(tmp_path, wrap):
    network = small()
    torch.save(wrap(network.state_dict()), tmp_path / "weights.tar")
    published = load_published(tmp_path / "weights.tar", "resnet18", image_size=16)
    check_logits(published, torch.nn.Sequential(nets.Normalize(*CIFAR), network), images_of(16))


@pytest.mark.parametrize(
    ("names", "inside", "shape"),
    [
        (("mu", "sigma"), "", (1, 3, 1, 1)),
        (("normalize.mean", "normalize.std"), "model.", (1, 3, 1, 1)),
        (("mean", "std"), "", (3,)),
    ],
)
def test_normalisation_that_robustbench_saves(tmp_path, names, inside, shape):
    network = small()
    state = {inside + name: value for name, value in network.state_dict().items()}
    for name, value in zip(names, OTHER, strict=True):
        state[name] = torch.tensor(value).reshape(shape)
    torch.save(state, tmp_path / "weights.pt")
    published = load_published(tmp_path / "weights.pt", "resnet18", image_size=16)
    check_logits(published, torch.nn.Sequential(nets.Normalize(*OTHER), network), images_of(16))
    given = load_published(
        tmp_path / "weights.pt", "resnet18", image_size=16, mean=NONE[0], std=NONE[1]
    )
    assert given.origin == "as given"
    check_logits(given, network, images_of(16))


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_other_files(tmp_path, kind):
    network = small()
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    path = tmp_path / f"weights.{kind}"
    if kind == "npz":
        np.savez(path, **{name: value.numpy() for name, value in state.items()})
    else:
        from safetensors.torch import save_file

        save_file(state, path)
    published = load_published(path, "resnet18", image_size=16)
    check_logits(published, torch.nn.Sequential(nets.Normalize(*CIFAR), network), images_of(16))


def test_the_file_that_is_written(tmp_path, rnascl):
    network = small()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    out = tmp_path / "teacher.keras"
    result = rnascl(
        "convert-teacher", tmp_path / "weights.pth", "--architecture", "resnet18", "--out", out,
        "--image-size", 16, "--classes", CLASSES, "--mean", "0.1,0.2,0.3", "--std", "0.5,0.25,2",
    )  # fmt: skip
    assert result.code == 0, result.err
    parameters = sum(value.numel() for value in network.parameters())
    assert f"resnet18: {parameters:,} parameters, 16 x 16 x 3 images, 7 classes" in result.out
    assert "mean 0.1, 0.2, 0.3, std 0.5, 0.25, 2 (as given)" in result.out
    assert "taps: 17 convolutions" in result.out
    assert f"rnascl evaluate {out} --data DATA" in result.out
    assert f"--set teacher.weights={out}" in result.out
    model = keras.models.load_model(out, compile=False)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    whole = torch.nn.Sequential(nets.Normalize(*OTHER), network)
    expected = torch_logits(whole, images_of(16))
    np.testing.assert_allclose(model(images_of(16)), expected, atol=1e-4, rtol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["teacher.keras", "weights.pth"]


def without(name):
    return lambda state: {k: v for k, v in state.items() if k != name}


def changed(name, value):
    return lambda state: {**state, name: value}


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (without("layer2.0.bn2.running_var"), (), r"missing: layer2\.0\.bn2\.running_var\.$"),
        (without("linear.weight"), (), r"missing or of another shape: linear\.weight"),
        (changed("extra", torch.zeros(3)), (), r"surplus: extra\.$"),
        (
            changed("sub_block1.layer.0.conv1.weight", torch.zeros(3)), (),
            r"surplus: sub_block1\.layer\.0\.conv1\.weight",
        ),
        (
            changed("layer1.0.conv2.weight", torch.zeros(4, 4, 1, 1)), (),
            r"another shape: layer1\.0\.conv2\.weight \(4, 4, 1, 1\) instead of \(4, 4, 3, 3\)",
        ),
        (changed("bn1.bias", torch.full((4,), torch.nan)), (), r"not finite: bn1\.bias"),
        (
            changed("bn1.bias", torch.full((4,), 1e300, dtype=torch.float64)), (),
            r"not finite: bn1\.bias",
        ),
        (changed("conv1.weight", torch.zeros(4)), (), r"of another shape: conv1\.weight"),
        (dict, ("--classes", 10), "for 7 classes, not for 10"),
        (dict, ("--architecture", "resnet34"), r"missing: layer1\.2\.conv1\.weight.*and \d+ more"),
        (dict, ("--architecture", "preact_resnet18"), r"missing: .*bn\.weight"),
        (dict, ("--architecture", "imagenet_resnet18"), r"conv1\.weight \(4, 3, 3, 3\) instead of"),
        (
            lambda state: {k.replace("layer", "part"): v for k, v in state.items()}, (),
            r"not those of a known resnet18: expected conv_1\.weight.* or .*layer2\.0\.shortcut"
            r"\.0\.weight, linear\.weight.*; it holds conv1\.weight, .*and \d+ more",
        ),
        (dict, ("--architecture", "resnet180"), "unknown.*Did you mean 'resnet18'"),
        (dict, ("--architecture", "digits_cnn"), "unknown; expected one of resnet20"),
        (dict, ("--mean", "0.1,x"), "--mean takes one number per channel"),
        (dict, ("--mean", "0.1,0.1,0.1"), "one value per channel for both"),
        (dict, ("--mean", "0,0,0", "--std", "1,nan,1"), "takes one number per channel"),
        (dict, ("--out", "teacher.h5"), r"end in \.keras"),
        (
            lambda state: {**state, "mu": torch.zeros(3), "sigma": torch.zeros(3)}, (),
            "std one that is not positive",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(tmp_path, refused, monkeypatch, change, settings, message):
    monkeypatch.chdir(tmp_path)
    torch.save(change(small().state_dict()), "weights.pt")
    defaults = ("--architecture", "resnet18", "--out", "teacher.keras", "--image-size", 16)
    line = refused("convert-teacher", "weights.pt", *defaults, *settings)
    assert re.search(message, line), line


def test_a_whole_model_is_refused_by_name(tmp_path):
    torch.save(small(), tmp_path / "model.pt")
    with pytest.raises(UserError, match=r"torch_networks\.ResNet.*run that code.*state_dict\(\)"):
        load_published(tmp_path / "model.pt", "resnet18")
