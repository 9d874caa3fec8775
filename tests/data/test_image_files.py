"""Damaged and hostile image files: one clear error before anything is decoded in full."""

from __future__ import annotations

import io
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from rnascl_keras.data import image_files, load_data, load_test_data
from rnascl_keras.errors import UserError

RANDOM = np.random.default_rng(0)


def picture(kind):
    made = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (30, 40, 3)).astype(np.uint8)).save(made, kind)
    return bytearray(made.getvalue())


def sized_jpeg(size):
    made = picture("JPEG")
    frame = made.find(b"\xff\xc0")
    made[frame + 5 : frame + 9] = struct.pack(">HH", size, size)
    return made


def png(width, height):
    """A PNG of zeros, a thousand times smaller than its pixels."""

    def chunk(kind, body):
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    rows = zlib.compress(bytes(1 + 3 * min(width, 10_000)) * min(height, 100), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bad_checksum():
    made = picture("PNG")
    made[60:90] = b"\xaa" * 30
    return made


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            for k in range(2):
                (tmp_path / split / name / f"{k}.jpg").write_bytes(picture("JPEG"))
    return tmp_path


DAMAGED = {
    "cut": (lambda: picture("JPEG")[:400], "damaged or cut short"),
    "ends only": (lambda: b"\xff\xd8\xff\xd9", "not an image"),
    "empty": (lambda: b"", "not an image"),
    "text": (lambda: b"<html>404</html>", "not an image"),
    "says 65500": (lambda: sized_jpeg(65500), "most that are read|at most 50,000,000 are read"),
    "says 0": (lambda: sized_jpeg(0), "not an image|damaged"),
    "PNG of 2 billion": (lambda: png(2**31 - 1, 2**31 - 1), "pixels"),
    "PNG of 22,000": (lambda: png(22_000, 22_000), "pixels"),
    "PNG of 10,000": (lambda: png(10_000, 10_000), "10000 x 10000 pixels; at most 50,000,000"),
    "checksum": (bad_checksum, "damaged or cut short"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_image_is_named(what, folder):
    make, words = DAMAGED[what]
    path = folder / "train" / "b" / "z.jpg"
    path.write_bytes(make())
    with pytest.raises(UserError, match=words) as caught:
        load_data(str(folder), image_size=8)
    assert str(path) in str(caught.value)


def test_what_is_no_regular_file_is_not_read(folder):
    os.mkfifo(folder / "train" / "a" / "pipe.jpg")
    (folder / "train" / "a" / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="2 of 6 images") as caught:
        load_data(str(folder), image_size=8)
    assert str(caught.value).count("is no regular file") == 2


def test_a_class_folder_that_leads_to_itself(folder):
    (folder / "train" / "round").symlink_to("round")
    with pytest.raises(UserError, match="train/round cannot be read: Too many levels of symbolic"):
        load_data(str(folder), image_size=8)


def test_all_damaged_images_are_named_at_once(folder):
    for k in range(25):
        (folder / "val" / "a" / f"broken{k:02}.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="25 of 29 images cannot be used") as caught:
        load_data(str(folder), image_size=8)
    assert str(caught.value).count("broken") == 20
    assert "and 5 more" in str(caught.value)


def test_of_very_many_images_only_the_ends_are_read(folder, monkeypatch):
    monkeypatch.setattr(image_files, "MOST_DECODED", 1)
    path = folder / "train" / "a" / "z.jpg"
    path.write_bytes(picture("JPEG")[:400])
    with pytest.raises(UserError, match="damaged or cut short"):
        load_data(str(folder), image_size=8)
    path.write_bytes(picture("JPEG") + b"\0" * 500)
    assert len(load_data(str(folder), image_size=8).train) == 5


def test_a_name_in_any_bytes(folder):
    odd = os.fsencode(folder / "train" / "a") + b"/\xff\xfe.jpg"
    os.rename(folder / "train" / "a" / "0.jpg", odd)
    data = load_data(str(folder), image_size=8).train
    assert data.first(4)[0].shape == (4, 8, 8, 3)
    assert data.fingerprint() == data.fingerprint()
    with open(odd, "wb"):
        pass
    with pytest.raises(UserError, match="is not an image") as caught:
        load_data(str(folder), image_size=8)
    assert str(caught.value).isprintable()


def test_skipped_files_are_counted_aloud(folder):
    for name in ("x.HEIC", "y.heic", "notes.txt", "plain", ".hidden"):
        (folder / "train" / "a" / name).write_bytes(b"")
    said = []
    load_data(str(folder), image_size=8, say=said.append)
    (line,) = said
    assert "4 files left out, no JPEG or PNG: 2 .heic" in line
    assert "1 .txt" in line and "1 without a suffix" in line


def test_classes_that_training_does_not_know_are_left_out_aloud(folder):
    shutil.copytree(folder / "val" / "a", folder / "val" / "c")
    said, again = [], []
    test = load_data(str(folder), image_size=8, say=said.append).test
    assert test.class_names == ("a", "b")
    assert len(load_test_data(str(folder), input_shape=(8, 8, 3), say=again.append)) == len(test)
    for line in said + again:
        assert line.endswith("val: c left out, no class of train")
    assert len(said) == len(again) == 1


def test_a_class_without_images_keeps_its_number_in_a_test(folder):
    (folder / "train" / "aa").mkdir()
    with pytest.raises(UserError, match="the class folder .*aa has no image"):
        load_data(str(folder), image_size=8)
    test = load_test_data(str(folder), input_shape=(8, 8, 3))
    assert test.class_names == ("a", "aa", "b") and set(test.labels) == {0, 2}
    for name in "ab":
        shutil.rmtree(folder / "val" / name)
    (folder / "val" / "a").mkdir()
    with pytest.raises(UserError, match="val has no image; expected at least one of"):
        load_test_data(str(folder), input_shape=(8, 8, 3))


def test_names_that_are_numbers_in_another_order_are_said(folder):
    said = []
    for split in ("train", "val"):
        for name, number in (("a", "2"), ("b", "10")):
            (folder / split / name).rename(folder / split / number)
    for load in (load_data, load_test_data):
        shape = {"image_size": 8} if load is load_data else {"input_shape": (8, 8, 3)}
        load(str(folder), say=said.append, **shape)
    assert len(said) == 2 and all("as text, 10, 2, as Keras" in line for line in said)


def test_a_folder_without_splits_says_what_it_holds(folder):
    with pytest.raises(UserError, match=r"expected train/<class>/\*.jpg .* It holds a, b"):
        load_data(f"{folder / 'train'}/", image_size=8)
    with pytest.raises(UserError, match="There is no such folder"):
        load_data(f"{folder / 'nowhere'}/", image_size=8)


def test_a_folder_named_like_a_data_set_is_said_to_be_taken(folder, monkeypatch):
    here = folder / "here"
    here.mkdir()
    for split in ("train", "val"):
        (folder / split).rename(here / split)
    here.rename(folder / "cifar10")
    monkeypatch.chdir(folder)
    said = []
    data = load_test_data("cifar10", input_shape=(8, 8, 3), say=said.append)
    assert said == [f"data: cifar10 is taken for the folder {folder / 'cifar10'}"]
    assert data.origin == "the folder cifar10"
    said.clear()
    load_test_data("./cifar10", input_shape=(8, 8, 3), say=said.append)
    assert not said
    assert load_test_data("digits").origin == "scikit-learn's digits"
