"""Image folders and prepared data sets; users' mistakes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_images import collect, save_images

from rnascl_keras.data import AUGMENTATIONS, load_data, load_test_data
from rnascl_keras.errors import UserError


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for split in ("train", "val"):
        save_images(root / split / "cat", 3, "JPEG")
        save_images(root / split / "ant", 4, "png")
        save_images(root / split / "bee", 2, "PNG", mode="L")
    return root


def test_a_folder_of_images(image_folder):
    splits = load_data(str(image_folder), image_size=16)
    assert splits.train.class_names == ("ant", "bee", "cat")
    np.testing.assert_array_equal(np.bincount(splits.test.labels), [4, 2, 3])
    assert splits.train.input_shape == (16, 16, 3)
    x, y = splits.test.first(9)
    assert 0 <= x.min() < 0.4 and 0.6 < x.max() <= 1
    batches = list(splits.test.batches(4).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), x)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), y)
    grey = x[y == 1]
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
    for path, image in zip(splits.test.pixels.paths, x, strict=True):
        # 24 x 30: the central 21 pixels, scaled
        window = Image.open(path).convert("RGB").crop((4, 1, 25, 22))
        expected = np.asarray(window.resize((16, 16), Image.Resampling.BILINEAR)) / 255
        assert np.abs(image - expected).max() < 12 / 255  # two JPEG decoders


def test_training_on_a_folder(image_folder):
    data = load_data(str(image_folder), image_size=16).train
    for name in AUGMENTATIONS:
        (x, _y), *_, (x_later, y_later) = collect(data, 9, 3, augmentation=name, seed=2)
        (x_again, y_again), *_ = collect(data, 3, 3, augmentation=name, seed=2, first_epoch=2)[2:]
        assert x.shape == (3, 16, 16, 3) and x.min() >= 0 and x.max() <= 1
        np.testing.assert_array_equal(x_later, x_again)
        np.testing.assert_array_equal(y_later, y_again)


def test_a_class_list_filters_the_folders(image_folder, tmp_path):
    (tmp_path / "classes.txt").write_text("cat\r\n\nbee\n")
    splits = load_data(str(image_folder), image_size=8, class_list=tmp_path / "classes.txt")
    assert splits.train.class_names == ("bee", "cat")
    np.testing.assert_array_equal(np.bincount(splits.train.labels), [2, 3])
    (tmp_path / "classes.txt").write_text("wolf\nbee\nyak\n")
    with pytest.raises(UserError, match=r"2 of the 3 classes.*wolf, yak.*ant, bee, cat"):
        load_data(str(image_folder), image_size=8, class_list=tmp_path / "classes.txt")
    with pytest.raises(UserError, match="class_list filters the classes of a folder"):
        load_data("digits", class_list=tmp_path / "classes.txt")


def test_a_test_folder_alone_and_below_the_data_folder(image_folder):
    data = load_test_data("images", data_dir=image_folder.parent, input_shape=(8, 8, 3))
    assert len(data) == 9 and data.class_names == ("ant", "bee", "cat")
    with pytest.raises(UserError, match="8 x 8 x 3, but 8 x 8 x 1 is wanted"):
        load_test_data(str(image_folder), input_shape=(8, 8, 1))
    with pytest.raises(UserError, match="image_size=None"):
        load_test_data(str(image_folder))


def damage(image_folder: Path, what: str) -> Path:
    path = image_folder / "train" / "cat" / "1.JPEG"
    if what == "cut short":
        path.write_bytes(path.read_bytes()[:-80])
    elif what == "empty":
        path.write_bytes(b"")
    else:
        path.write_text("<html>404</html>")
    return path


@pytest.mark.parametrize(
    ("what", "words"),
    [("cut short", "damaged or cut short"), ("empty", "not an image"), ("text", "not an image")],
)
def test_a_broken_image_is_named(image_folder, what, words):
    path = damage(image_folder, what)
    with pytest.raises(UserError, match=words) as caught:
        load_data(str(image_folder), image_size=8)
    assert str(path) in str(caught.value)


def test_bytes_after_the_end_of_an_image_do_no_harm(image_folder):
    path = image_folder / "train" / "cat" / "1.JPEG"
    path.write_bytes(path.read_bytes() + b"\0" * 500)
    # a PNG that is called JPEG, as in ImageNet itself
    (image_folder / "train" / "ant" / "0.png").rename(image_folder / "train" / "cat" / "9.JPEG")
    data = load_data(str(image_folder), image_size=8).train
    assert data.first(9)[0].shape == (9, 8, 8, 3)


def test_mistakes_with_a_folder(image_folder):
    (image_folder / "train" / "dog").mkdir()
    with pytest.raises(UserError, match="dog has no image"):
        load_data(str(image_folder), image_size=8)
    (image_folder / "train").rename(image_folder / "trian")
    with pytest.raises(UserError, match="has no folder 'train'"):
        load_data(str(image_folder), image_size=8)
    with pytest.raises(UserError, match="is no folder of images"):
        load_data(str(image_folder / "nowhere"), image_size=8)


def test_a_folder_of_classes_is_no_data_set_s_name(image_folder, monkeypatch):
    """Else training took TensorFlow Datasets' set of that name, and evaluation the folder."""
    (image_folder / "train").rename(image_folder / "cifar10")
    monkeypatch.chdir(image_folder)
    with pytest.raises(UserError, match=r"It holds ant, bee, cat.*say held_out=0\.2"):
        load_data("cifar10", image_size=8)


def test_imagenette():
    root = os.environ.get("RNASCL_IMAGES_DIR")
    if not root:
        pytest.skip("RNASCL_IMAGES_DIR is not set")
    source = str(Path(root) / "imagenette224")
    splits = load_data(source, image_size=224)
    assert (len(splits.train), len(splits.test), splits.train.classes) == (2500, 1000, 10)
    np.testing.assert_array_equal(np.bincount(splits.test.labels[:100]), [10] * 10)
    ((x, y),) = collect(splits.train, 1, 64, augmentation="resized_crop_flip")
    # ImageNet's published channel means
    assert x.shape == (64, 224, 224, 3) and len(set(y)) > 5
    np.testing.assert_allclose(x.mean((0, 1, 2)), [0.485, 0.456, 0.406], atol=0.08)
    with pytest.raises(UserError, match="have no folder in"):
        load_data(source, image_size=32, class_list=Path(root) / "imagenet100-classes.txt")


def test_cifar10():
    if not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("TFDS_DATA_DIR is not set")
    splits = load_data("cifar10", validation=5000, image_size=32)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (45000, 5000, 10000)
    assert splits.test.class_names[3] == "cat"
    np.testing.assert_array_equal(np.bincount(splits.test.labels), [1000] * 10)
    pixels = [part.pixels.array.mean((0, 1, 2)) for part in (splits.train, splits.validation)]
    # CIFAR-10's published channel means, of all 50,000
    mean = (0.9 * pixels[0] + 0.1 * pixels[1]) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=1e-4)
    x, y = next(splits.train.training_batches(128, augmentation="crop_flip").as_numpy_iterator())
    assert x.shape == (128, 32, 32, 3) and y.shape == (128,)


def test_an_unknown_data_set_names_the_nearest(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'cifar10"):
        load_data("cifar1O", data_dir=tmp_path)
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        load_data("Digits", data_dir=tmp_path)
    with pytest.raises(UserError, match="not a data set of 8-bit images"):
        load_data("imdb_reviews", data_dir=tmp_path)


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def no_network(*_, **__):
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", no_network)
    with pytest.raises(UserError, match="--data-dir or TFDS_DATA_DIR") as caught:
        load_data("mnist", data_dir=tmp_path)
    assert str(tmp_path) in str(caught.value) and "no route to host)" in str(caught.value)


def test_without_a_network_a_download_is_given_up_soon(tmp_path, monkeypatch):
    from tensorflow_datasets.core.download import downloader

    asked, usual = [], downloader.MAX_RETRIES

    def unknown(host, *rest, **settings):
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UserError, match=r"\(www.cs.toronto.edu cannot be reached\).*--data-dir"):
        load_data("cifar10", data_dir=tmp_path)
    assert asked.count("www.cs.toronto.edu") <= 5
    assert usual == downloader.MAX_RETRIES


@pytest.fixture
def unsplit(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name, count in (("ant", 20), ("bee", 10), ("cat", 30)):
        save_images(root / name, count, "jpg")
    return root


def test_of_a_folder_without_splits_a_part_of_each_class_is_held_out(unsplit):
    before = sorted(unsplit.rglob("*"))
    splits = load_data(str(unsplit), image_size=8, held_out=0.2)
    np.testing.assert_allclose(np.bincount(splits.test.labels), [4, 2, 6], atol=1)
    assert (len(splits.train), len(splits.test)) == (48, 12)
    train, test = ({*map(str, s.pixels.paths)} for s in (splits.train, splits.test))
    assert not train & test and len(train | test) == 60
    again = load_data(str(unsplit), image_size=8, held_out=0.2)
    assert again.test.fingerprint() == splits.test.fingerprint()
    assert sorted(unsplit.rglob("*")) == before


def test_without_held_out_a_folder_without_splits_is_refused_with_what_to_do(unsplit, image_folder):
    with pytest.raises(UserError, match="It holds ant, bee, cat. `rnascl new` writes"):
        load_data(str(unsplit), image_size=8)
    with pytest.raises(UserError, match=r"held_out=0.2: .* has train/"):
        load_data(str(image_folder), image_size=8, held_out=0.2)
    with pytest.raises(UserError, match="'digits' is not one"):
        load_data("digits", held_out=0.2)
