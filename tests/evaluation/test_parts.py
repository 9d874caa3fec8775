"""An evaluation in parts is the same evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers import images_of, two_layers
from sample_images import save_images

from rnascl_keras.data import load_data, load_test_data
from rnascl_keras.errors import ModelFailed, UserError
from rnascl_keras.evaluation import parts
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.evaluation.parts import Parts

MODEL = two_layers()
IMAGES = images_of(45)
LABELS = MODEL.logits(IMAGES).argmax(1)
SETTINGS = {"epsilon": 0.05, "check": 20, "progress": False, "seed": 3}


def in_parts_of(count, monkeypatch):
    monkeypatch.setattr(parts, "PART", count * IMAGES[:1].nbytes)


@pytest.mark.parametrize("attack", ["pgd", "square", "auto_attack", "cw"])
def test_what_is_found_does_not_depend_on_the_parts(attack, monkeypatch):
    whole, made = evaluate(MODEL, IMAGES, LABELS, attacks=(attack,), **SETTINGS)
    in_parts_of(7, monkeypatch)
    divided, made_in_parts = evaluate(MODEL, IMAGES, LABELS, attacks=(attack,), **SETTINGS)
    for key in ("accuracy", "per_class", "intervals"):
        assert getattr(divided, key) == getattr(whole, key)
    np.testing.assert_array_equal(*(m[next(iter(made))] for m in (made, made_in_parts)))
    assert divided.check.as_dict() == whole.check.as_dict()
    nothing_kept = evaluate(MODEL, IMAGES, LABELS, attacks=(attack,), keep=False, **SETTINGS)
    assert nothing_kept[0].accuracy == whole.accuracy
    assert nothing_kept[1] == {}


def test_parts_cover_the_images_once_and_in_order(monkeypatch, tmp_path):
    monkeypatch.setattr(parts, "PART", 4 * IMAGES[0].size * 4)
    bytes_ = np.rint(255 * IMAGES).astype(np.uint8)
    given = Parts(bytes_)
    rows = list(given.rows())
    assert [r.stop - r.start for r in rows] == [4] * 11 + [1]
    joined = np.concatenate([given.of(r) for r in rows])
    np.testing.assert_array_equal(joined, bytes_ / np.float32(255))
    for split in ("train", "val"):
        save_images(tmp_path / split / "a", 3, "PNG")
        save_images(tmp_path / split / "b", 4, "PNG")
    split = load_test_data(str(tmp_path), input_shape=(8, 8, 3))
    given = Parts(split)
    np.testing.assert_array_equal(
        np.concatenate([given.of(r) for r in given.rows()]), split.first(7)[0]
    )
    assert Parts(load_data("digits").test).first(3).shape == (3, 8, 8, 1)


def test_a_bad_pixel_is_found_in_whichever_part_before_any_attack(monkeypatch):
    in_parts_of(5, monkeypatch)
    spoiled = IMAGES.copy()
    spoiled[41, 0, 0, 0] = np.nan

    class Counting:
        asked = 0

        def logits(self, images):
            return MODEL.logits(images)

        def logits_and_gradient(self, *asked):
            self.asked += 1
            return MODEL.logits_and_gradient(*asked)

    model = Counting()
    with pytest.raises(UserError, match="NaN or infinite"):
        evaluate(model, spoiled, LABELS, attacks=("pgd",), **SETTINGS)
    assert model.asked == 0


def test_images_that_end_a_model_are_numbered_through_all_parts(monkeypatch):
    in_parts_of(10, monkeypatch)

    class Fails:
        def logits(self, images):
            if (images == IMAGES[33]).all(axis=(1, 2, 3)).any():
                raise ModelFailed("it ended")
            return MODEL.logits(images)

    settings = SETTINGS | {"attacks": ("square",)}
    with pytest.raises(ModelFailed, match=r"images 32 to 33\)"):
        evaluate(Fails(), IMAGES, LABELS, batch_size=2, **settings)
