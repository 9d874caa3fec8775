"""The cache's files: what stands in them, what is noticed, kept, refused and resumed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from cached_teacher import ROW, build, digits, opened, shard_files, ten_class_teacher

from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.errors import UserError
from rnascl_keras.hardware import hardware
from rnascl_keras.models.fingerprint import structure
from rnascl_keras.units import count

pytestmark = pytest.mark.usefixtures("small_shards")


def test_the_files_hold_the_teachers_answers(folder):
    """Read by hand, against the model's own layers in float64."""
    teacher, said = ten_class_teacher(), opened(folder)
    outputs = [teacher.get_layer(f"relu{k}").output for k in (1, 2, 3)]
    taps = keras.Model(teacher.input, [teacher.output, *outputs])
    index = json.loads((folder / "cache.json").read_text())
    assert index["layers"] == said.layers == ["conv1", "conv2", "conv3"]
    assert list(index["shards"]) == [path.name for path in shard_files(folder)]
    sizes = []
    for view in (0, 1):
        batches = digits().view_batches(view, 60, augmentation="shift", seed=3)
        logits, *activations = map(np.float64, taps(next(iter(batches))[0]))
        largest = logits.max(-1, keepdims=True)
        # (60, 8, 8, c) -> (60, 4, 4): squares summed over channels, then means of 2 x 2
        maps = [(a**2).sum(-1).reshape(60, 4, 2, 4, 2).mean((2, 4)) for a in activations]
        flat = np.stack([m.reshape(60, 16) for m in maps], 1)
        flat /= np.linalg.norm(flat, axis=-1, keepdims=True)
        right = np.concatenate([logits - largest, largest, flat.reshape(60, 48)], 1)
        found = []
        for path in shard_files(folder)[3 * view : 3 * view + 3]:
            content = path.read_bytes()
            header, rows = json.loads(content[:1024]), np.frombuffer(content[1024:], "<f2")
            assert header["sha256"] == hashlib.sha256(content[1024:]).hexdigest()
            assert index["shards"][path.name] == header["sha256"]
            assert (header["view"], header["first"]) == (view, sum(map(len, found)))
            found.append(rows.reshape(header["length"], ROW))
        sizes.append([len(rows) for rows in found])
        np.testing.assert_allclose(np.concatenate(found), right, rtol=2e-3, atol=1e-4)
    assert sizes == [[25, 25, 10]] * 2


def test_the_size_said_beforehand_is_the_size(tmp_path):
    said = "\n".join(build(tmp_path))
    size = sum(path.stat().st_size for path in shard_files(tmp_path))
    assert f"2 views of 60 images, {count(size)}B" in said
    assert "about 0." in said and f"on {hardware()}" in said
    assert build(tmp_path) == ["cache: 6 of 6 shards are there"]


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def swap(path):
    """Put the same images' answers in the other view in the place of this shard."""
    shutil.copyfile(path.with_name(path.name.replace("view0000", "view0001")), path)


SPOILED = {
    "a flipped bit of a logit": (lambda path: flip(path, 1024), "damaged or cut short"),
    "a flipped bit of the last map": (lambda path: flip(path, -1), "damaged or cut short"),
    "a flipped bit of the header": (lambda path: flip(path, 3), "made with other settings"),
    "a header that is none": (lambda path: flip(path, 0), "damaged or cut short"),
    "a byte less": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged or cut short"),
    "a byte more": (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "damaged or cut"),
    "empty": (lambda path: path.write_bytes(b""), "damaged or cut short"),
    "a header that no reader follows": (lambda path: path.write_bytes(b"[" * 2000), "damaged or"),
    "gone": (Path.unlink, "missing"),
    "another view's": (swap, "made with other settings"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_shard_is_named_and_made_again(folder, made, snapshot, what):
    spoil, told = SPOILED[what]
    path = shard_files(folder)[1]
    others = {p: p.stat().st_mtime_ns for p in shard_files(folder) if p != path}
    spoil(path)
    with pytest.raises(UserError, match=f"{told}.*{path.name}.*mend it with `rnascl cache`") as e:
        opened(folder, mend="`rnascl cache`")
    assert "\n" not in str(e.value)
    said = "\n".join(build(folder))
    assert "5 of 6 shards are there" in said
    if "damaged" in told:
        assert f"damaged or cut short: {path.name}" in said
    assert snapshot(folder) == snapshot(made)
    assert {p: p.stat().st_mtime_ns for p in others} == others  # not written again
    opened(folder)


def test_a_whole_shard_that_the_index_does_not_list_is_refused(folder, tmp_path):
    """Another teacher's shard with our settings in its header."""
    path = shard_files(folder)[0]
    build(tmp_path / "other", ten_class_teacher(seed=1))
    theirs = (tmp_path / "other" / path.name).read_bytes()
    header = json.loads(theirs[:1024])
    header["fingerprint"] = json.loads(path.read_bytes()[:1024])["fingerprint"]
    path.write_bytes(json.dumps(header).ljust(1023).encode() + b"\n" + theirs[1024:])
    with pytest.raises(UserError, match=f"damaged or cut short: {path.name}"):
        opened(folder)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.write_text(path.read_text()[:-9]), "is damaged; make the cache again"),
        (lambda path: path.write_text(path.read_text().replace("conv1", "conv2")), "is damaged"),
        (lambda path: path.write_text("[]"), "is damaged"),
        (Path.unlink, "there is no whole cache in"),
    ],
)
def test_a_spoiled_index_is_told_and_written_again(folder, made, snapshot, spoil, told):
    spoil(folder / "cache.json")
    with pytest.raises(UserError, match=told):
        opened(folder)
    assert build(folder) == ["cache: 6 of 6 shards are there"]
    assert snapshot(folder) == snapshot(made)


def pixel_changed():
    pixels = digits().pixels.array.copy()
    pixels[59, 7, 7] = 1 - pixels[59, 7, 7]
    return dataclasses.replace(digits(), pixels=ArrayPixels(pixels))


def label_changed():
    labels = digits().labels.copy()
    labels[0] = (labels[0] + 1) % 10
    return dataclasses.replace(digits(), labels=labels)


def with_other_constant():
    """The same weights, before them another normalisation, which is no weight."""
    teacher = ten_class_teacher()
    images = keras.Input((8, 8, 1))
    return keras.Model(images, teacher(keras.layers.Rescaling(0.5)(images)), name=teacher.name)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda: {"teacher": ten_class_teacher(seed=1)}, "the teacher's weights"),
        (lambda: {"teacher": with_other_constant()}, "the teacher's layers"),
        (lambda: {"data": pixel_changed()}, "the training images"),
        (lambda: {"data": label_changed()}, "the training images"),
        (lambda: {"data": digits().take(50)}, "the number of images: 60, now 50"),
        (lambda: {"augmentation": "none"}, "augmentation: 'shift', now 'none'"),
        (lambda: {"seed": 4}, "seed: 3, now 4"),
        (lambda: {"taps": ["conv1", "conv3"]}, "the teacher's taps: 'conv', now"),
        (lambda: {"map_size": (3, 4)}, r"the size of the maps: \[4, 4\], now \[3, 4\]"),
    ],
)
def test_a_changed_setting_is_named_and_nothing_of_it_used(folder, change, told):
    settings = change()
    with pytest.raises(UserError, match=f"made with other settings .*{told}") as caught:
        opened(folder, **settings)
    assert "\n" not in str(caught.value)
    said = "\n".join(build(folder, **settings))
    assert "made with other settings: view0000" in said and "and 3 more; to be replaced" in said
    assert "0 of" in said
    opened(folder, **settings)
    fingerprints = {json.loads(p.read_bytes()[:1024])["fingerprint"] for p in shard_files(folder)}
    assert len(fingerprints) == 1


def test_more_views_keep_those_that_are_there_and_fewer_too(folder, made, snapshot):
    before = {path.name: path.stat().st_mtime_ns for path in shard_files(folder)}
    with pytest.raises(UserError, match="the number of views: 2, now 3"):
        opened(folder, views=3)
    assert "6 of 9 shards are there" in "\n".join(build(folder, views=3))
    after = {path.name: path.stat().st_mtime_ns for path in shard_files(folder)}
    assert before.items() <= after.items() and len(after) == 9
    assert opened(folder, views=3).views == 3
    build(folder)
    assert snapshot(made).items() <= snapshot(folder).items()
    assert len(shard_files(folder)) == 9  # right, should three be wanted again


def test_layers_that_keras_has_named_anew_are_the_same():
    models = [ten_class_teacher(), ten_class_teacher()]
    assert models[0].layers[-2].name != models[1].layers[-2].name
    assert structure(models[0]) == structure(models[1]) != structure(with_other_constant())


def test_a_teacher_read_from_its_file_is_the_same(tmp_path):
    ten_class_teacher().save(tmp_path / "teacher.keras")
    read = keras.models.load_model(tmp_path / "teacher.keras", compile=False)
    assert structure(read) == structure(ten_class_teacher())
