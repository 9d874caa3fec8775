"""Digits and `.npz`: layouts, splits, order; users' mistakes."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sample_images import RANDOM

from rnascl_keras.data import load_data, load_test_data
from rnascl_keras.data.order import stratified_order
from rnascl_keras.errors import UserError


def test_every_beginning_and_end_has_the_classes_in_proportion():
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    order = stratified_order(labels)
    np.testing.assert_array_equal(np.sort(order), np.arange(60))
    for part in (order[:12], order[-12:], order[:30]):
        counts = np.bincount(labels[part], minlength=3)
        assert np.abs(counts - len(part) * np.array([1, 2, 3]) / 6).max() <= 1
    np.testing.assert_array_equal(order, stratified_order(labels))


def test_digits():
    from sklearn.datasets import load_digits

    splits = load_data("digits", validation=100, limit_train=600)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (600, 100, 450)
    assert splits.test.input_shape == (8, 8, 1) and splits.test.classes == 10
    assert np.abs(np.bincount(splits.test.labels) - 45).max() <= 2
    whole = load_data("digits")
    assert whole.validation is None
    images = np.concatenate([part.first(len(part))[0] for part in (whole.train, whole.test)])
    ours = {
        (image.tobytes(), label)
        for image, label in zip(
            (images * 16).astype(np.uint8), [*whole.train.labels, *whole.test.labels], strict=True
        )
    }
    digits = load_digits()
    theirs = zip(digits.images.astype(np.uint8), digits.target, strict=True)
    assert ours == {(image.tobytes(), label) for image, label in theirs}
    with pytest.raises(UserError, match="8 x 8 x 1, but 9 x 9 x 1"):
        load_data("digits", image_size=9)


def test_npz_layouts_and_types_agree(tmp_path):
    x = RANDOM.integers(0, 256, (20, 6, 5, 3)).astype(np.uint8)
    y = np.arange(20) % 4
    np.savez(tmp_path / "nhwc.npz", x=x, y=y)
    np.savez(tmp_path / "nchw.npz", x=(x / 255).transpose(0, 3, 1, 2), y=y[:, None])
    one = load_test_data(str(tmp_path / "nhwc.npz"))
    other = load_test_data(str(tmp_path / "nchw.npz"), input_shape=(6, 5, 3))
    np.testing.assert_array_equal(one.labels, y)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.first(20)[0], x / 255, atol=1e-7)
    np.testing.assert_allclose(other.first(20)[0], x / 255, atol=1e-7)
    with pytest.raises(UserError, match="6 x 5 x 3, but 8 x 8 x 1 is wanted"):
        load_test_data(str(tmp_path / "nhwc.npz"), input_shape=(8, 8, 1))


def test_an_ambiguous_npz_is_nhwc_unless_the_model_says_otherwise(tmp_path):
    path = str(tmp_path / "odd.npz")
    np.savez(path, x=np.zeros((2, 3, 5, 4), np.uint8), y=[0, 1])
    assert load_test_data(path).input_shape == (3, 5, 4)
    assert load_test_data(path, input_shape=(5, 4, 3)).input_shape == (5, 4, 3)


def test_npz_splits(tmp_path):
    path = str(tmp_path / "data.npz")
    x, y = RANDOM.random((50, 4, 4, 1)), np.arange(50) % 5
    np.savez(path, x=x, y=y)
    splits = load_data(path)
    assert (len(splits.train), len(splits.test)) == (40, 10)
    np.testing.assert_array_equal(np.bincount(splits.test.labels), [2] * 5)
    both = np.concatenate([splits.train.first(40)[0], splits.test.first(10)[0]])
    np.testing.assert_array_equal(np.sort(both.ravel()), np.sort(x.astype(np.float32).ravel()))
    np.savez(path, x=x, y=y, x_test=x[:7], y_test=y[:7] + 1)
    splits = load_data(path)
    assert (len(splits.train), len(splits.test), splits.train.classes) == (50, 7, 6)
    assert len(load_test_data(path)) == 7


IMAGES = np.zeros((4, 5, 5, 3), np.uint8)
LABELS = np.arange(4)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": IMAGES}, "no array 'y'"),
        ({"y": LABELS}, "no array 'x'"),
        ({"x": IMAGES, "y": LABELS, "x_test": IMAGES}, "no array 'y_test'"),
        ({"x": IMAGES, "y": LABELS[:3]}, "4 images in x and 3 labels"),
        ({"x": IMAGES, "y": LABELS - 1}, "holds -1"),
        ({"x": IMAGES, "y": LABELS / 2}, "y is float64"),
        ({"x": IMAGES, "y": np.ones((4, 3), int)}, "not one 1 among zeros"),
        ({"x": IMAGES, "y": np.array(["cat", "dog"] * 2)}, "Number them"),
        ({"x": IMAGES, "y": LABELS[:, None, None]}, "an integer class for each image"),
        ({"x": IMAGES, "y": 3}, "an integer class for each image"),
        ({"x": 3, "y": LABELS}, "has shape"),
        ({"x": IMAGES + np.int64(1), "y": LABELS}, "x is int64 from 1 to 1"),
        ({"x": IMAGES + np.uint8(1), "y": LABELS}, "x is uint8 from 1 to 1; expected whole"),
        ({"x": IMAGES + np.uint8(16), "y": LABELS}, "x is uint8 from 16 to 16; expected whole"),
        ({"x": IMAGES + np.int64(300), "y": LABELS}, "whole pixels from 0 to 255"),
        ({"x": IMAGES.astype(complex), "y": LABELS}, "expected uint8 or float"),
        ({"pictures": IMAGES, "classes": LABELS}, "holds 'pictures', 'classes'; expected"),
        ({"x_test": IMAGES, "y_test": LABELS}, "holds test images only"),
        ({"x": IMAGES + 200.0, "y": LABELS}, "from 200.0 to 200.0"),
        ({"x": IMAGES + np.float32(1.0000001), "y": LABELS}, "to 1.00000011"),
        ({"x": IMAGES - 0.5, "y": LABELS}, r"expected float pixels in \[0, 1\]"),
        ({"x": IMAGES * np.nan, "y": LABELS}, "NaN or infinite pixels in"),
        ({"x": np.zeros((4, 5, 5, 7)), "y": LABELS}, "1, 3 or 4 channels"),
        ({"x": IMAGES[:0], "y": LABELS[:0]}, "at least one"),
        ({"x": IMAGES.astype(object), "y": LABELS}, "plain arrays"),
    ],
)
def test_mistakes_in_an_npz(tmp_path, arrays, words):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=words):
        load_data(str(tmp_path / "bad.npz"))


def test_labels_and_pixels_of_other_types_are_read_where_nothing_else_can_be_meant(tmp_path):
    x, y = RANDOM.integers(0, 256, (6, 5, 5, 3)), np.array([2, 0, 1, 1, 0, 2])
    for labels in (y, y[:, None], y.astype(np.uint8), y.astype(float), np.eye(3)[y]):
        np.savez(tmp_path / "data.npz", x=x, y=labels)
        test = load_test_data(str(tmp_path / "data.npz"))
        np.testing.assert_array_equal(test.labels, y)
        np.testing.assert_allclose(test.first(6)[0], x / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("x_train y_train", "x_test y_test"),
        ("train_images train_labels", "test_images test_labels"),
    ],
)
def test_the_names_of_well_known_files(tmp_path, train, test):
    path = str(tmp_path / "data.npz")
    names = dict(zip(train.split(), (IMAGES, LABELS[:, None]), strict=True))
    names |= dict(zip(test.split(), (IMAGES[:2] + 90, LABELS[:2, None]), strict=True))
    np.savez(path, val_images=IMAGES, **names)
    splits = load_data(path)
    assert (len(splits.train), len(splits.test)) == (4, 2)
    assert load_test_data(path).first(2)[0].max() == np.float32(90 / 255)


def test_a_file_of_another_kind_is_named_as_such(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    with pytest.raises(UserError, match=r"x.npy is no .npz file"):
        load_test_data(str(tmp_path / "x.npy"))


def test_an_npz_cut_short_or_missing(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=IMAGES, y=LABELS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="cannot be read"):
        load_test_data(str(path))
    with pytest.raises(UserError, match="No such file"):
        load_test_data(str(tmp_path / "none.npz"))


def test_npz_data_need_no_tensorflow(tmp_path):
    np.savez(tmp_path / "data.npz", x=IMAGES, y=LABELS)
    code = (
        "import sys; from rnascl_keras.data import load_test_data\n"
        f"x, y = load_test_data({str(tmp_path / 'data.npz')!r}).first(4)\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("labels", "odd"),
    [
        (np.array([0, 1, 2**32 - 1], np.uint32), 2**32 - 1),
        (np.array([0, 1, 2**63], np.uint64), 2**63),
        (np.array([0, 1, 2**33]), 2**33),
        (np.array([0, 1, -1]), -1),
    ],
)
def test_a_stray_label_makes_no_billion_classes(labels, odd, tmp_path):
    np.savez(tmp_path / "label.npz", x=np.zeros((3, 4, 4, 1), np.uint8), y=labels)
    for load in (load_data, load_test_data):
        with pytest.raises(UserError, match=f"y holds {odd}; expected classes numbered from 0"):
            load(str(tmp_path / "label.npz"))


def test_arrays_that_say_they_are_larger_than_the_memory_are_not_read(tmp_path):
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    described = {"descr": "|u1", "fortran_order": False, "shape": (2**45, 1, 1, 1)}
    np.lib.format.write_array_header_2_0(header, described)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", header.getvalue() + bytes(10**6))
        y = io.BytesIO()
        np.save(y, np.zeros(3, int))
        file.writestr("y.npy", y.getvalue())
    with pytest.raises(UserError, match="more than half of this machine's memory"):
        load_test_data(str(path))


def test_damage_of_any_kind_is_told_in_one_line(tmp_path):
    """In the archive, in what is compressed, in a header; or none that is seen."""
    random, path = np.random.default_rng(0), tmp_path / "images.npz"
    x = random.integers(0, 256, (20, 4, 4, 1)).astype(np.uint8)
    np.savez_compressed(path, x=x, y=np.arange(20) % 10)
    whole, told = path.read_bytes(), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            load_test_data(str(path))
        except UserError as error:
            told += 1
            assert "\n" not in str(error) and str(path) in str(error)
    assert told > 200


@pytest.mark.parametrize("shape", ["(0, 99999999999999999999)", "(-5, 4)", "(" + "-" * 150 + "1,)"])
def test_a_shape_that_is_none(shape, tmp_path):
    described = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".ljust(199) + "\n"
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("x.npy", b"\x93NUMPY\x01\x00\xc8\x00" + described.encode())
        file.writestr("y", b"no suffix")
    with pytest.raises(UserError, match="x.npz cannot be read: it is not a readable"):
        load_test_data(str(tmp_path / "x.npz"))
