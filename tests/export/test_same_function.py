"""Files that are not one function of one image, or whose gradient would be another function's."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from rnascl_keras.attacks.mixing import differ
from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.room.guarded import GuardedClassifier
from tests.small_onnx import CONVOLUTIONS

IMAGES = np.random.default_rng(1).uniform(0, 1, (6, 8, 8, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 4, 0])
MIXES = "m = MeanVarianceNormalization(x) n = Identity(m)" + CONVOLUTIONS


def test_images_that_change_each_others_answers_are_run_alone(save):
    classifier = OnnxClassifier(save(MIXES))
    alone = np.concatenate([classifier.logits(IMAGES[k : k + 1]) for k in range(6)])
    assert "each image alone" not in classifier.in_words
    np.testing.assert_allclose(classifier.logits(IMAGES), alone, atol=1e-6)
    assert "each image alone" in classifier.in_words
    other = OnnxClassifier(save(MIXES))  # asked for gradients first
    logits, _, gradient = other.loss_and_gradient(IMAGES, LABELS)
    np.testing.assert_allclose(logits, alone, atol=1e-6)
    own = other.loss_and_gradient(IMAGES[2:3], LABELS[2:3])[2]
    np.testing.assert_allclose(gradient[2:3], own, atol=1e-6)


LATER = {"axis": np.int64(0), "part": np.float32(0.3)}
RANGE = "m = ReduceMax<keepdims=0>(x) n = Div(x, m)" + CONVOLUTIONS
BRIGHT = np.linspace(0.3, 1, 6, dtype=np.float32)[:, None, None, None]


@pytest.mark.parametrize("reverse", [0, 1])
def test_each_image_is_compared_for_the_first_or_the_last_can_stay_as_it_is(save, reverse):
    """What runs over the batch, such as a recurrent layer, sees nothing before its first image."""
    nodes = "n = Identity(x)" + CONVOLUTIONS.replace("z = Flatten(f)", "k = Flatten(f)")
    nodes += f" s = CumSum<reverse={reverse}>(k, axis) p = Mul(s, part) z = Add(k, p)"
    path = save(nodes, **LATER)
    alone = np.concatenate([OnnxClassifier(path).logits(IMAGES[k : k + 1]) for k in range(6)])
    np.testing.assert_allclose(OnnxClassifier(path).logits(IMAGES), alone, atol=1e-6)


def test_the_images_themselves_are_compared_and_not_the_noise_of_the_first_try(save):
    """Of noise, each image has the range of all; of images that differ in brightness, none has."""
    path, images = save(RANGE), BRIGHT * IMAGES / IMAGES.max()
    guarded = GuardedClassifier(path)
    alone = np.concatenate([OnnxClassifier(path).logits(images[k : k + 1]) for k in range(6)])
    np.testing.assert_allclose(guarded.logits(images), alone, atol=1e-6)
    assert "each image alone" in guarded.in_words


def test_what_the_images_have_shown_is_said(save, tmp_path, rnascl):
    images = BRIGHT * IMAGES / IMAGES.max()
    np.savez(tmp_path / "d.npz", x=images, y=LABELS)
    done = rnascl("attack", save(RANGE), "--data", tmp_path / "d.npz", "--attacks", "fgsm")
    assert done.code == 0, done.err
    first, *_, last = [line for line in (done.out + done.err).splitlines() if "takes" in line]
    assert "each image alone" not in first and "each image alone" in last


def test_a_file_that_was_made_for_one_image_whatever_it_says(save):
    nodes = "n = Identity(x)" + CONVOLUTIONS.replace("z = Flatten(f)", "z = Reshape(f, one)")
    classifier = OnnxClassifier(save(nodes, one=np.array([1, 5])))
    bare = OnnxClassifier(save("n = Identity(x)" + CONVOLUTIONS))
    np.testing.assert_allclose(classifier.logits(IMAGES), bare.logits(IMAGES), atol=1e-6)
    given = classifier.loss_and_gradient(IMAGES, LABELS)
    for a, b in zip(given, bare.loss_and_gradient(IMAGES, LABELS), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_where_they_cannot_be_run_alone_the_file_is_refused(save):
    classifier = OnnxClassifier(save(MIXES, takes="float[4, 3, 8, 8] x", gives="float[4, 5] z"))
    with pytest.raises(UserError, match="in its batch of 4; export it with batches of any size"):
        classifier.logits(IMAGES)


def test_a_file_of_random_answers_is_refused(save):
    nodes = "r = RandomNormalLike(x) n = Add(x, r)" + CONVOLUTIONS
    with pytest.raises(UserError, match="other logits when it is asked about the same image again"):
        OnnxClassifier(save(nodes)).logits(IMAGES)


@pytest.mark.parametrize(
    ("nodes", "takes", "words"),
    [
        ("r = RandomNormalLike(x) n = Add(x, r)", "float[N, 3, H, W] x", "the same image again"),
        (MIXES.removesuffix(CONVOLUTIONS), "float[4, 3, H, W] x", "in its batch of 4"),
    ],
)
def test_one_that_leaves_its_size_open_is_refused_too(nodes, takes, words, save):
    """In a process of its own it is tried on a size that need not fit, whatever comes of that."""
    path = save(nodes + CONVOLUTIONS, takes=takes, gives=f"float[{takes[6]}, 5] z")
    classifier = GuardedClassifier(path)
    for _ in range(2):
        with pytest.raises(UserError, match=words):
            classifier.logits(IMAGES)


def test_images_that_are_mixed_where_the_first_try_does_not_fit(save):
    """The class scores ask for images of 8 pixels, the file's input for none of a size."""
    ending = MIXES.replace("z = Flatten(f)", "g = Flatten(d) z = Gemm(g, w)")
    weights = np.random.default_rng(0).normal(0, 0.1, (5 * 9, 5))
    path = save(ending, takes="float[N, 3, H, W] x", w=weights)
    alone = np.concatenate([OnnxClassifier(path).logits(IMAGES[k : k + 1]) for k in range(6)])
    np.testing.assert_allclose(GuardedClassifier(path).logits(IMAGES), alone, atol=1e-6)


def test_a_pool_that_onnxruntime_joins_with_the_zeros_before_it(save):
    """It takes them for minus infinity then: the file's answers are not those of its graph."""
    nodes = """
      a = Conv<pads=[1, 1, 1, 1]>(x, w1)
      b = Sub(a, three)
      c = Pad(b, ends)
      d = MaxPool<kernel_shape=[3, 3], strides=[2, 2]>(c)
      f = Conv(d, w2)
      g = GlobalAveragePool(f)
      z = Flatten(g)
    """
    arrays = {"three": np.float32(3), "ends": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
    path = save(nodes, **arrays)
    with pytest.raises(UserError, match="with and without its optimisations.*by score"):
        OnnxClassifier(path).loss_and_gradient(IMAGES, LABELS)
    with pytest.raises(UserError, match="with and without its optimisations"):
        OnnxClassifier(path).check_gradient(IMAGES[:1])
    # another runtime's graph is computed as it is written
    twin = OnnxClassifier(path, model=onnx.load(path))
    logits = twin.loss_and_gradient(IMAGES, LABELS)[0]
    np.testing.assert_allclose(twin.logits(IMAGES), logits, atol=1e-5)
    assert differ(OnnxClassifier(path).logits(IMAGES), logits)


def test_rounding_and_undefined_answers_are_no_other_function():
    logits = np.random.default_rng(0).normal(0, 5, (8, 10)).astype(np.float32)
    assert not differ(logits, logits * np.float32(1 + 1e-3))
    broken = logits.copy()
    broken[0] = np.nan
    assert not differ(broken, logits) and not differ(broken[:1], logits[:1])
    few = logits.copy()
    few[:2] += 1  # a sign that rounding turns round within
    assert not differ(few, logits)
    few[2] += 1
    assert differ(few, logits)
