"""A stranger's file is run in a process of its own: the same figures, and nothing else dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rnascl_keras.attacks import PGD, Square, losses
from rnascl_keras.attacks.classifier import Batched
from rnascl_keras.errors import ModelFailed, UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.room.arrays import SharedArrays
from rnascl_keras.export.room.guarded import GuardedClassifier
from tests.small_onnx import CONVOLUTIONS

NETWORK = "n = Identity(x)" + CONVOLUTIONS
IMAGES = np.random.default_rng(1).uniform(0.1, 0.9, (6, 8, 8, 3)).astype(np.float32)
LABELS = np.arange(6) % 5
# Divides the lowest whole number by -1 where the first pixel is above 0.95: SIGFPE.
DIES_LATER = """
  u1 = Slice(x, first, last, axes) u2 = ReduceMax<keepdims=0>(u1) on = Greater(u2, high)
  u3 = Where(on, minus, three) u4 = Div(lowest, u3) u5 = Cast<to=1>(u4) u6 = Mul(u5, nothing)
  n = Add(x, u6)
"""
HANGS_LATER = """
  u1 = Slice(x, first, last, axes) u2 = ReduceMax<keepdims=0>(u1) on = Greater(u2, high)
  n = Loop(many, on, x) <body = g (int64 i, bool o, float[N, 3, 8, 8] r)
    => (bool more, float[N, 3, 8, 8] s) { more = Identity(o) s = Mul(r, r) }>
"""
ARRAYS = {
    "first": np.zeros(4, np.int64),
    "last": np.array([2**31, 1, 1, 1]),
    "axes": np.arange(4),
    "high": np.float32(0.95),
    "minus": np.int64(-1),
    "three": np.int64(3),
    "lowest": np.int64(-(2**63)),
    "nothing": np.float32(0),
    "many": np.int64(2**62),
}


@pytest.fixture
def plain(save):
    return save(NETWORK)


def test_it_says_what_the_file_says_in_this_process(plain):
    inside, outside = GuardedClassifier(plain), OnnxClassifier(plain)
    for name in ("sha256", "input_name", "layout", "in_words", "takes_whole_pixels", "runtime"):
        assert getattr(inside, name) == getattr(outside, name)
    assert inside.input_shape == (8, 8, 3)
    np.testing.assert_array_equal(inside.logits(IMAGES), outside.logits(IMAGES))

    def own(ops, logits, labels, targets):
        return losses.margin(ops, logits, labels, targets)

    for loss in (losses.log_odds, losses.targeted_dlr, own):
        asked = (IMAGES, loss, LABELS, (LABELS + 1) % 5)
        for a, b in zip(
            inside.logits_and_gradient(*asked), outside.logits_and_gradient(*asked), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    assert inside.agreement(IMAGES) == 1.0
    assert inside.check_gradient(IMAGES) is None
    for attack in (PGD(0.1), Square(0.1, queries=20)):
        made = [attack.perturb(classifier, IMAGES, LABELS) for classifier in (inside, outside)]
        np.testing.assert_array_equal(*made)


def test_what_is_refused_is_said_in_the_same_words(plain):
    with pytest.raises(UserError, match="layout is 'CHWN'"):
        GuardedClassifier(plain, layout="CHWN")
    with pytest.raises(UserError, match="expected images of shape"):
        GuardedClassifier(plain).logits(IMAGES[:, :4])


def test_a_death_is_named_with_its_images_and_loses_nothing(save):
    classifier = GuardedClassifier(save(DIES_LATER + CONVOLUTIONS, **ARRAYS))
    logits = classifier.logits(IMAGES)
    labels = logits.argmax(1)
    assert np.isfinite(logits).all()
    settings = {"attacks": ("square", "pgd"), "epsilon": 0.01, "check": 0, "progress": False}
    fine, _ = evaluate(classifier, IMAGES, labels, **settings)
    assert fine.failed is None
    settings |= {"attacks": ("pgd", "mi_fgsm"), "epsilon": 0.6}
    cut_short, _ = evaluate(classifier, IMAGES, labels, **settings)
    assert cut_short.accuracy == {"clean": 1.0, "worst": 1.0}
    assert "SIGFPE" in cut_short.failed and "images 0 to 5" in cut_short.failed
    # and every later question is refused, not waited for
    with pytest.raises(ModelFailed, match="SIGFPE"):
        classifier.logits(IMAGES)


@pytest.mark.parametrize("kind", [OnnxClassifier, GuardedClassifier])
def test_what_the_runtime_refuses_of_later_images_loses_nothing(kind, save):
    """Gather beyond its end, where the first pixel is above 0.95."""
    nodes = """
      u1 = Slice(x, first, last, axes) u2 = ReduceMax<keepdims=0>(u1) on = Greater(u2, high)
      u3 = Cast<to=7>(on) u4 = Gather(only, u3) n = Add(x, u4)
    """
    path = save(nodes + CONVOLUTIONS, only=np.zeros(1, np.float32), **ARRAYS)
    classifier = kind(path)
    labels = classifier.logits(IMAGES).argmax(1)
    settings = {"attacks": ("square", "pgd"), "epsilon": 0.6, "check": 0, "progress": False}
    cut_short, _ = evaluate(classifier, IMAGES, labels, **settings)
    assert cut_short.accuracy["clean"] == 1
    assert cut_short.failed.startswith(f"{path}: onnxruntime fails on these images: ")
    assert cut_short.failed.endswith("(images 0 to 5).")
    assert cut_short.failed.count(str(path)) == 1


def test_clean_images_that_end_it_are_named(save):
    classifier = GuardedClassifier(save(DIES_LATER + CONVOLUTIONS, **ARRAYS))
    bright = IMAGES.copy()
    bright[4, 0, 0, 0] = 1
    with pytest.raises(ModelFailed, match=r"SIGFPE.*images 4 to 5"):
        Batched(classifier, 2).logits(bright)


def hanging(save, tmp_path):
    data = tmp_path / "bright.npz"
    np.savez(data, x=np.ones((5, 8, 8, 3), np.float32), y=np.zeros(5, int))
    return save(HANGS_LATER + CONVOLUTIONS, **ARRAYS), data


def test_what_never_ends_is_ended(save, tmp_path):
    path, _ = hanging(save, tmp_path)
    classifier = GuardedClassifier(path)
    classifier.logits(IMAGES)
    with pytest.raises(ModelFailed, match="computes without an end"):
        classifier.logits(np.ones_like(IMAGES))


def children_of(process):
    with open(f"/proc/{process}/task/{process}/children") as file:
        return [int(child) for child in file.read().split()]


def ticks_of(process):
    """How long a process has computed, in the system's ticks."""
    with open(f"/proc/{process}/stat") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks Linux for a process's children")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_signals_are_obeyed_while_a_file_hangs(sent, code, save, tmp_path):
    path, data = hanging(save, tmp_path)
    program = "import sys; from rnascl_keras.cli import main; sys.argv[0] = 'rnascl'; main()"
    command = [sys.executable, "-c", program, "attack", path, "--data", data, "--attacks", "square"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert "images go into 'x'" in process.stderr.readline()
        while not (children := children_of(process.pid)):
            time.sleep(0.05)
        (child,) = children
        before = ticks_of(child)
        while ticks_of(child) < before + 60:  # some 0.6 s of computing: into the hang
            time.sleep(0.05)
        process.send_signal(sent)
        # by the signal, not by the limit that ends what hangs, which is another code
        assert process.wait(30) == code, process.stderr.read()
    assert not any(os.path.exists(f"/proc/{child}") for child in children)


def test_the_command_keeps_what_was_measured(save, tmp_path, rnascl):
    path = save(DIES_LATER + CONVOLUTIONS, **ARRAYS)
    data, out = tmp_path / "images.npz", tmp_path / "out.json"
    np.savez(data, x=IMAGES, y=OnnxClassifier(path).logits(IMAGES).argmax(1))
    command = ("attack", path, "--data", data, "--attacks", "fgsm,pgd", "--json", out, "--check", 0)
    fine = rnascl(*command, "--eps", "0.001")
    assert fine.code == 0, fine.err
    assert json.loads(out.read_text())["failed"] is None
    ended = rnascl(*command, "--eps", "0.6", "--attacks", "pgd")
    assert ended.code == 2
    assert "SIGFPE" in ended.err and "Clean" in ended.out
    figures = json.loads(out.read_text())
    assert figures["accuracy"]["clean"] == 1 and "SIGFPE" in figures["failed"]


def test_arrays_are_shared_and_grow():
    here = SharedArrays()
    there = SharedArrays(here.path)
    random = np.random.default_rng(0)
    for size in (3, 5000, 10, 200_000):
        arrays = [random.normal(size=(size, 2)).astype(np.float32), np.arange(size), np.zeros(0)]
        for a, b in zip(there.take(here.put(arrays)), arrays, strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(here.take(there.put(arrays[::-1])), arrays[::-1], strict=True):
            np.testing.assert_array_equal(a, b)
    there.close()
    assert os.path.exists(here.path)
    here.close()
    assert not os.path.exists(here.path)


def test_nothing_is_left_of_the_arrays(plain):
    classifier = GuardedClassifier(plain)
    assert not os.path.exists(classifier._arrays.path)
    classifier.logits(IMAGES)
    classifier.close()
    with pytest.raises(ModelFailed):
        classifier.logits(IMAGES)
