"""What is odd about a user's own images is said, and no beginning of them is of one class alone."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image
from sample_images import RANDOM, save_images

from rnascl_keras.data import image_files, load_data, load_test_data, looked_over
from rnascl_keras.data.order import lies_by_class
from rnascl_keras.errors import UserError


def arrays(path, y, **more):
    x = RANDOM.integers(0, 256, (len(y), 4, 4, 1)).astype(np.uint8)
    np.savez(path, x=x, y=y, **more)
    return x


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_what_lies_by_class_is_known(classes):
    labels = np.sort(RANDOM.integers(0, classes, 1000))
    blocks = np.concatenate([half for k in range(2) for half in (labels[k::2],)])
    for run in (labels, labels[::-1], blocks):
        assert lies_by_class(run)
    for mixed in (RANDOM.permutation(labels), np.arange(1000) % classes):
        assert not lies_by_class(mixed)
    for few in ([0], [0, 1], [3, 2, 1, 0], [2, 2, 2]):
        assert not lies_by_class(np.array(few))


def test_arrays_that_lie_by_class_are_mixed_with_their_images(tmp_path):
    path, said = str(tmp_path / "sorted.npz"), []
    y = np.repeat(np.arange(5), 20)
    x_test = np.repeat(np.arange(5, dtype=np.uint8), 4)[:, None, None, None] * np.uint8(50)
    x_test = np.broadcast_to(x_test, (20, 4, 4, 1))
    arrays(path, y, x_test=x_test, y_test=np.repeat(np.arange(5), 4))
    splits = load_data(path, validation=20, limit_train=50, say=said.append)
    for part in (splits.train, splits.validation):
        counts = np.bincount(part.labels, minlength=5)
        assert abs(counts - len(part) / 5).max() <= 1
    tested = load_test_data(path)
    for test in (splits.test, tested):
        assert set(test.labels[:5]) == set(range(5))
        np.testing.assert_array_equal(test.pixels.array[:, 0, 0, 0], test.labels * 50)
    assert splits.test.fingerprint() == tested.fingerprint()
    assert [line for line in said if "lie class by class" in line] == [
        f"data: the {split} images lie class by class; they are taken in a mixed order, always "
        "the same"
        for split in ("training", "test")
    ]


def test_images_in_both_splits_and_in_two_classes_are_named(tmp_path):
    for split in ("train", "val"):
        for name in ("a", "b"):
            save_images(tmp_path / split / name, 3)
    said = []
    load_data(str(tmp_path), image_size=8, say=said.append)
    assert said == []
    shutil.copy(tmp_path / "train/a/0.png", tmp_path / "val/b/copy.png")
    shutil.copy(tmp_path / "train/a/1.png", tmp_path / "train/b/other.png")
    load_data(str(tmp_path), image_size=8, say=said.append)
    both, two = said
    assert "also among the training images: 1 test image of 7 (b/copy.png)" in both
    assert "also under another class: 1 training image (a/1.png)" in two


def test_rows_in_both_splits_are_counted(tmp_path):
    y, said = np.arange(20) % 4, []
    x = arrays(tmp_path / "own.npz", y)
    arrays(tmp_path / "own.npz", y, x_test=x[:5], y_test=y[:5])
    np.savez(tmp_path / "own.npz", x=x, y=y, x_test=x[:5], y_test=y[:5])
    load_data(str(tmp_path / "own.npz"), say=said.append)
    (line,) = said
    assert "5 test images of 5 (number 0, number 1, number 2, ...)" in line


@pytest.mark.parametrize("own_test", [False, True])
def test_images_that_are_all_measured_are_said(tmp_path, own_test):
    path, said = tmp_path / "mine.npz", []
    x = arrays(path, np.arange(8) % 2)
    if own_test:
        np.savez(path, x=x, y=np.arange(8) % 2, x_test=x[:6], y_test=np.arange(6) % 2)
    data = load_test_data(str(path), say=said.append)
    if own_test:
        assert (len(data), said) == (6, [])
    else:
        (line,) = said
        assert len(data) == 8
        assert "mine.npz has no x_test, so that all of its images are measured" in line


def test_many_files_are_not_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(looked_over, "MOST_FILES", 3)
    for split in ("train", "val"):
        for name in ("a", "b"):
            save_images(tmp_path / split / name, 1)
    shutil.copytree(tmp_path / "train", tmp_path / "val", dirs_exist_ok=True)
    said = []
    load_data(str(tmp_path), image_size=8, say=said.append)
    assert said == []


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (
            np.arange(20) % 4 + 1,
            "1 class (0): nothing can be learned of these. If the labels begin",
        ),
        (np.arange(20) % 4 * 2, "3 classes (1, 3, 5): nothing can be learned of these. Add images"),
    ],
)
def test_a_class_without_training_images_is_said(y, says, tmp_path):
    arrays(tmp_path / "own.npz", y)
    said = []
    load_data(str(tmp_path / "own.npz"), say=said.append)
    assert says in "\n".join(said)


def test_what_of_a_folder_is_read_is_said(tmp_path):
    for split in ("train", "val", "test"):
        save_images(tmp_path / "split" / split / "a", 2)
    said = []
    load_test_data(str(tmp_path / "split"), input_shape=(8, 8, 3), say=said.append)
    assert said == [f"data: {tmp_path}/split is tested on val/; test/ is not read"]
    save_images(tmp_path / "whole" / "a", 2)
    load_test_data(str(tmp_path / "whole"), input_shape=(8, 8, 3), say=said.append)
    assert "all of its images are measured; those that a model was trained on make" in said[-1]


def test_floats_divided_twice_are_refused(tmp_path):
    x = RANDOM.integers(0, 256, (20, 4, 4, 1)) / 255
    np.savez(tmp_path / "dark.npz", x=x / 255, y=np.arange(20) % 4)
    with pytest.raises(UserError, match="white being 1. If they were divided by 255 twice"):
        load_test_data(str(tmp_path / "dark.npz"))


def test_a_jpeg_of_several_views_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "MOST_DECODED", 0)
    views = [Image.fromarray(RANDOM.integers(0, 256, (30, 40, 3), np.uint8)) for _ in range(2)]
    views[0].save(tmp_path / "one.jpg", "MPO", save_all=True, append_images=views[1:])
    image_files.check_images([str(tmp_path / "one.jpg")])
