"""Normalisations around a published network, and networks that its file cannot hold."""

from __future__ import annotations

import numpy as np
import pytest

from rnascl_keras.errors import Stopped, UserError
from rnascl_keras.teachers import build_teacher, load_published
from rnascl_keras.teachers.published import convert
from rnascl_keras.teachers.published.loading import Published, unwrap

KERNEL = np.ones((2, 3, 1, 1), np.float32)


def around(inside, names, seed):
    """Weights as a wrapper saves them that normalises by these names."""
    values = np.random.default_rng(seed).uniform(0.2, 0.8, (2, 3)).astype(np.float32)
    return {f"model.{k}": v for k, v in inside.items()} | dict(zip(names, values, strict=True))


def test_a_normalisation_in_another_is_taken_with_it():
    inner = around({"conv.weight": KERNEL}, ("mu", "sigma"), 1)
    outer = around(inner, ("normalize.mean", "normalize.std"), 2)
    weights, (mean, std) = unwrap(outer)
    assert list(weights) == ["conv.weight"]
    images = np.random.default_rng(0).uniform(size=(5, 3))
    once = (images - outer["normalize.mean"]) / outer["normalize.std"]
    np.testing.assert_allclose(
        (images - mean) / std, (once - inner["mu"]) / inner["sigma"], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ({"mean": KERNEL, "std": KERNEL}, "mu with sigma and mean with std beside each other"),
        ({"model.mean": KERNEL[0, :1], "model.std": KERNEL[0, :1]}, r"has 1 mean.* it 3 and 3"),
    ],
)
def test_normalisations_that_do_not_go_together_are_named(added, told):
    with pytest.raises(UserError, match=told):
        unwrap(around({"conv.weight": KERNEL}, ("mu", "sigma"), 0) | added)


@pytest.mark.parametrize(
    ("mean", "told"),
    [
        ((125.3, 123.0, 113.9), r"pixels are in \[0, 1\]; divide mean and std by 255"),
        ((-0.1, 0.5, 0.5), r"pixels are in \[0, 1\]"),
        ((0.5,) * 1000, r"mean \(0.5, 0.5, 0.5, 0.5 and 996 more\) .* do not fit images of 3"),
    ],
)
def test_a_mean_that_no_pixels_have_is_refused(mean, told):
    with pytest.raises(UserError, match=told) as caught:
        build_teacher("resnet20", input_shape=(8, 8, 3), classes=2, mean=mean, std=(0.5,) * 3)
    assert len(str(caught.value)) < 300


def resnet20(changes):
    weights = {
        "conv_1.weight": np.ones((4, 3, 3, 3), np.float32),
        "stage_1.0.conv_1.weight": np.ones((4, 4, 3, 3), np.float32),
        "stage_2.0.downsample.0.weight": np.ones((8, 4, 1, 1), np.float32),
        "fc.weight": np.ones((10, 16), np.float32),
    }
    return weights | changes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fc.weight": np.empty((10**12, 0), np.float32)}, r"fc\.weight in .* holds no numbers"),
        (
            {"stage_1.0.conv_1.weight": np.ones((100_000, 1, 1, 1), np.float32)},
            "describes weights of .* or more, and holds",
        ),
    ],
)
def test_what_its_file_cannot_hold_is_not_built(tmp_path, changes, told):
    np.savez(tmp_path / "weights.npz", **resnet20(changes))
    with pytest.raises(UserError, match=told):
        load_published(tmp_path / "weights.npz", "resnet20")


def test_a_disk_that_is_full_is_told_in_one_line(tmp_path, monkeypatch):
    model = build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10)
    made = Published(model, "nobody", None, None, "nowhere")
    monkeypatch.setattr(convert, "load_published", lambda *_, **__: made)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert, "save_model", fail)
    with pytest.raises(UserError, match=r"teacher\.keras: .*make room .*: it begins anew"):
        convert.convert_teacher(tmp_path / "w.npz", "digits_cnn", tmp_path / "teacher.keras")


def test_a_conversion_that_is_stopped_does_not_go_on(tmp_path, monkeypatch, rnascl):
    def stop(*_, **__):
        raise Stopped

    monkeypatch.setattr(convert, "convert_teacher", stop)
    (tmp_path / "w.npz").touch()
    result = rnascl("convert-teacher", tmp_path / "w.npz", "--architecture", "x", "--out", "y")
    assert result.code == 75
    assert result.err.endswith("nothing was kept, and the same command begins anew.\n")
