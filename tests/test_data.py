"""Data: order, augmentation and decoding against independent computation; users' mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from rnascl_keras.data import AUGMENTATIONS, ImageData, load_data, load_test_data, transforms
from rnascl_keras.data.order import stratified_order
from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.errors import UserError

RANDOM = np.random.default_rng(7)


def numbered(n: int, size: int = 8, dtype: type = np.uint8) -> ImageData:
    """Random images, each its own class, so that a label says which image came."""
    images = RANDOM.integers(1, 256, (n, size, size, 3)).astype(np.uint8)
    if dtype == np.float32:
        images = (images / 255).astype(np.float32)
    return ImageData(ArrayPixels(images), np.arange(n), tuple(map(str, range(n))))


def collect(data: ImageData, batches: int, batch_size: int, **options) -> list:
    dataset = data.training_batches(batch_size, **options).take(batches)
    return [(x, y) for x, y in dataset.as_numpy_iterator()]


def save_images(folder: Path, count: int, suffix: str = "png", mode: str = "RGB") -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        shape = (24, 30) if mode == "L" else (24, 30, 3)
        pixels = RANDOM.integers(0, 256, shape).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.{suffix}")


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for split in ("train", "val"):
        save_images(root / split / "cat", 3, "JPEG")
        save_images(root / split / "ant", 4, "png")
        save_images(root / split / "bee", 2, "PNG", mode="L")
    return root


# ---- one split ----


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_batches_come_in_order_and_equal_first(dtype):
    data = numbered(10, dtype=dtype)
    batches = list(data.batches(4).as_numpy_iterator())
    assert [len(y) for _, y in batches] == [4, 4, 2]
    x = np.concatenate([x for x, _ in batches])
    y = np.concatenate([y for _, y in batches])
    first_x, first_y = data.first(10)
    expected = data.pixels.array / (255 if dtype == np.uint8 else 1)
    assert x.dtype == first_x.dtype == np.float32 and y.dtype == first_y.dtype == np.int64
    np.testing.assert_array_equal(x, first_x)
    np.testing.assert_array_equal(y, np.arange(10))
    np.testing.assert_allclose(x, expected, atol=1e-7, rtol=0)


def test_an_epoch_shows_no_image_twice_and_epochs_differ():
    data = numbered(10)
    seen = [y for _, y in collect(data, 9, 3)]
    assert data.steps_per_epoch(3) == 3
    epochs = [np.concatenate(seen[i : i + 3]) for i in (0, 3, 6)]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert data.training_batches(3).element_spec[0].shape == (3, 8, 8, 3)


def test_unaugmented_training_images_are_the_stored_ones():
    data = numbered(12, dtype=np.float32)
    for x, y in collect(data, 3, 4):
        np.testing.assert_array_equal(x, data.pixels.array[y])


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_starting_at_an_epoch_continues_the_uninterrupted_run(augmentation):
    data = numbered(9)
    whole = collect(data, 12, 2, augmentation=augmentation, seed=5)
    resumed = collect(data, 8, 2, augmentation=augmentation, seed=5, first_epoch=1)
    for (x, y), (x_again, y_again) in zip(whole[4:], resumed, strict=True):
        np.testing.assert_array_equal(y, y_again)
        np.testing.assert_array_equal(x, x_again)
    other_seed = collect(data, 4, 2, augmentation=augmentation, seed=6)
    assert any((a[1] != b[1]).any() for a, b in zip(whole, other_seed, strict=False))


@pytest.mark.parametrize("augmentation", ["crop_flip", "resized_crop_flip"])
def test_augmentation_depends_on_the_image_and_epoch_only(augmentation):
    data = numbered(16)

    def by_image(batch_size: int, epoch: int) -> np.ndarray:
        batches = collect(
            data, 16 // batch_size, batch_size, augmentation=augmentation, first_epoch=epoch
        )
        images = np.empty((16, 8, 8, 3), np.float32)
        for x, y in batches:
            images[y] = x
        return images

    np.testing.assert_array_equal(by_image(4, 3), by_image(8, 3))
    assert (by_image(4, 3) != by_image(4, 4)).any(axis=(1, 2, 3)).sum() >= 12


def test_shuffling_is_uniform_over_the_permutations():
    data = numbered(3)
    orders = [tuple(y) for _, y in collect(data, 600, 3)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 6
    # chi-squared with 5 degrees of freedom: 20.5 is the 99.9 % quantile
    assert ((counts - 100) ** 2 / 100).sum() < 20.5


def test_slices():
    data = numbered(10)
    rest, last = data.split_last(3)
    assert (len(rest), len(last)) == (7, 3)
    np.testing.assert_array_equal(last.first(3)[0], data.first(10)[0][7:])
    np.testing.assert_array_equal(rest.take(2).labels, [0, 1])
    assert last.classes == 10 and last.image_shape == (8, 8, 3)
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda d: d.first(11), "11 images were asked for, but the split has 10"),
        (lambda d: d.take(0), "at least 1"),
        (lambda d: d.split_last(10), "cannot be split off"),
        (lambda d: d.training_batches(11), "batch_size=11"),
        (lambda d: d.batches(0), "at least 1"),
        (lambda d: d.training_batches(2, augmentation="crop_flop"), "Did you mean 'crop_flip'"),
    ],
)
def test_mistakes_with_a_split(call, words):
    with pytest.raises(UserError, match=words):
        call(numbered(10))


# ---- augmentation against NumPy ----


@pytest.mark.parametrize("name, pad", [("shift", 1), ("crop_flip", 4)])
def test_crop_and_flip_against_numpy(name, pad):
    images = RANDOM.integers(0, 256, (40, 6, 7, 2)).astype(np.uint8)
    draws = RANDOM.random((40, 3), np.float32)
    result = transforms.crop_and_flip(images_t := tf.constant(images), draws, AUGMENTATIONS[name])
    assert result.dtype == images_t.dtype
    for image, (top, left, flip), cropped in zip(images, draws, result.numpy(), strict=True):
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
        i, j = int(top * (2 * pad + 1)), int(left * (2 * pad + 1))
        expected = padded[i : i + 6, j : j + 7]
        if name == "crop_flip" and flip < 0.5:
            expected = expected[:, ::-1]
        np.testing.assert_array_equal(cropped, expected)


def test_crops_and_flips_are_evenly_spread():
    n = 1800
    rows, columns = np.meshgrid(np.arange(9), np.arange(9), indexing="ij")
    image = np.stack([rows + 1, columns + 1, 0 * rows], -1).astype(np.uint8)
    data = ImageData(ArrayPixels(np.tile(image, (n, 1, 1, 1))), np.zeros(n), ("a",))
    ((x, _),) = collect(data, 1, n, augmentation="crop_flip")
    centre = np.rint(x[:, 4, 4] * 255)  # holds (row + 1, column + 1) of where it came from
    mirrored = x[:, 4, 3, 1] > x[:, 4, 4, 1]
    interior = (centre[:, 1] > 1) & (centre[:, 1] < 9)
    tops = np.bincount(centre[:, 0].astype(int), minlength=10)[1:]
    # chi-squared with 8 degrees of freedom: 26.1 is the 99.9 % quantile
    assert ((tops - n / 9) ** 2 / (n / 9)).sum() < 26.1
    assert abs(mirrored[interior].mean() - 0.5) < 0.05


def reference_window(height: int, width: int, draws: np.ndarray) -> tuple[int, ...]:
    for area, ratio in zip(draws[3:13], draws[13:], strict=True):
        area = height * width * (0.08 + 0.92 * area)
        ratio = (3 / 4) ** (1 - ratio) * (4 / 3) ** ratio
        h, w = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if 0 < h <= height and 0 < w <= width:
            return int(draws[0] * (height - h + 1)), int(draws[1] * (width - w + 1)), h, w
    if width / height < 3 / 4:
        h, w = round(width * 4 / 3), width
    else:
        h, w = height, round(height * 4 / 3)
    return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize("shape", [(224, 224), (333, 500), (32, 32), (10, 400), (400, 10)])
def test_random_windows_against_numpy(shape):
    differing = 0
    for draws in RANDOM.random((40, 23)):
        top, left, height, width = transforms.random_window(
            tf.constant(shape), tf.constant(draws, tf.float32)
        ).numpy()
        assert 0 <= top <= top + height <= shape[0] and 0 <= left <= left + width <= shape[1]
        assert height > 0 and width > 0
        differing += (top, left, height, width) != reference_window(*shape, draws)
    # float32 may round a half the other way
    assert differing <= 1


def test_scaling_against_pillow():
    image = RANDOM.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    for size in ((16, 20), (100, 120)):
        ours = transforms.scale(tf.constant(image), size).numpy()
        theirs = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
        assert np.abs(ours - np.asarray(theirs) / 255).max() < 1.5 / 255


def test_evaluation_equals_scaling_the_shorter_side_and_cropping_the_centre(tmp_path):
    y, x = np.mgrid[:300, :420]
    waves = np.stack([np.sin(x / 40), np.cos(y / 30), np.sin((x + y) / 50)], -1)
    source = Image.fromarray((127.5 + 120 * waves).astype(np.uint8))
    source.save(tmp_path / "waves.png")
    draws = tf.zeros([0])
    ours = transforms.read_image(str(tmp_path / "waves.png"), 112, draws, random=False).numpy()
    scaled = source.resize((round(128 * 420 / 300), 128), Image.Resampling.BILINEAR)
    left = (scaled.width - 112) // 2
    usual = np.asarray(scaled.crop((left, 8, left + 112, 120))) / 255
    assert np.abs(ours - usual).max() < 6 / 255


# ---- digits, order ----


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
    assert splits.test.image_shape == (8, 8, 1) and splits.test.classes == 10
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


# ---- .npz ----


def test_npz_layouts_and_types_agree(tmp_path):
    x = RANDOM.integers(0, 256, (20, 6, 5, 3)).astype(np.uint8)
    y = np.arange(20) % 4
    np.savez(tmp_path / "nhwc.npz", x=x, y=y)
    np.savez(tmp_path / "nchw.npz", x=(x / 255).transpose(0, 3, 1, 2), y=y[:, None])
    one = load_test_data(str(tmp_path / "nhwc.npz"))
    other = load_test_data(str(tmp_path / "nchw.npz"), image_shape=(6, 5, 3))
    np.testing.assert_array_equal(one.labels, y)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.first(20)[0], x / 255, atol=1e-7)
    np.testing.assert_allclose(other.first(20)[0], x / 255, atol=1e-7)
    with pytest.raises(UserError, match="6 x 5 x 3, but 8 x 8 x 1 is wanted"):
        load_test_data(str(tmp_path / "nhwc.npz"), image_shape=(8, 8, 1))


def test_an_ambiguous_npz_is_nhwc_unless_the_model_says_otherwise(tmp_path):
    path = str(tmp_path / "odd.npz")
    np.savez(path, x=np.zeros((2, 3, 5, 4), np.uint8), y=[0, 1])
    assert load_test_data(path).image_shape == (3, 5, 4)
    assert load_test_data(path, image_shape=(5, 4, 3)).image_shape == (5, 4, 3)


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
    "arrays, words",
    [
        ({"x": IMAGES}, "no array 'y'"),
        ({"y": LABELS}, "no array 'x'"),
        ({"x": IMAGES, "y": LABELS, "x_test": IMAGES}, "no array 'y_test'"),
        ({"x": IMAGES, "y": LABELS[:3]}, "4 images in x and 3 labels"),
        ({"x": IMAGES, "y": LABELS - 1}, "holds -1"),
        ({"x": IMAGES, "y": LABELS / 2}, "y is float64"),
        ({"x": IMAGES, "y": np.eye(4, dtype=int)}, "an integer class for each image"),
        ({"x": IMAGES.astype(np.int64), "y": LABELS}, "x is int64"),
        ({"x": IMAGES + 200.0, "y": LABELS}, "from 200 to 200"),
        ({"x": IMAGES - 0.5, "y": LABELS}, r"expected float pixels in \[0, 1\]"),
        ({"x": IMAGES * np.nan, "y": LABELS}, "nan"),
        ({"x": np.zeros((4, 5, 5, 7)), "y": LABELS}, "1, 3 or 4 channels"),
        ({"x": IMAGES[:0], "y": LABELS[:0]}, "at least one"),
        ({"x": IMAGES.astype(object), "y": LABELS}, "plain arrays"),
    ],
)
def test_mistakes_in_an_npz(tmp_path, arrays, words):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=words):
        load_data(str(tmp_path / "bad.npz"))


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


# ---- folders ----


def test_a_folder_of_images(image_folder):
    splits = load_data(str(image_folder), image_size=16)
    assert splits.train.class_names == ("ant", "bee", "cat")
    np.testing.assert_array_equal(np.bincount(splits.test.labels), [4, 2, 3])
    assert splits.train.image_shape == (16, 16, 3)
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
        (x, y), *_, (x_later, y_later) = collect(data, 9, 3, augmentation=name, seed=2)
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
    data = load_test_data("images", data_dir=image_folder.parent, image_shape=(8, 8, 3))
    assert len(data) == 9 and data.class_names == ("ant", "bee", "cat")
    with pytest.raises(UserError, match="8 x 8 x 3, but 8 x 8 x 1 is wanted"):
        load_test_data(str(image_folder), image_shape=(8, 8, 1))
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
    "what, words",
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
    with pytest.raises(UserError, match="has no folder 'train'"):
        (image_folder / "train").rename(image_folder / "trian")
        load_data(str(image_folder), image_size=8)
    with pytest.raises(UserError, match="is no folder of images"):
        load_data(str(image_folder / "nowhere"), image_size=8)


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


# ---- TensorFlow Datasets ----


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
