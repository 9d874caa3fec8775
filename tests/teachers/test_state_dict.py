"""Which of a checkpoint's tensors are taken for the weights, and when nobody but the user knows."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.teachers.published.state_dict import state_dict
from rnascl_keras.teachers.published.torch_pickle import Storage, StoredTensor

KEYS = count()
PATH = Path("weights.pth")


def tensor(*size):
    return StoredTensor(Storage("FloatStorage", str(next(KEYS)), 64), 0, size, (1,) * len(size))


def network():
    return {"conv1.weight": tensor(4, 3, 3, 3), "conv1.bias": tensor(4)}


A = network()
MEAN, STD, LOSS, TABLE = tensor(3), tensor(1, 3, 1, 1), tensor(), tensor(7, 7)
W = {"w": tensor(2, 3)}

TAKEN = {
    "by themselves": (A, A),
    "held": ({"net": A, "epoch": 3, "acc": LOSS}, A),
    "held twice": ({"model": A, "state_dict": dict(A)}, A),
    "figures in a holder": ({**W, "last": {"loss": LOSS}}, W),
    "a table beside": ({"state_dict": A, "confusion": TABLE}, A),
    "tables in another": ({"b": tensor(3), "last": {"loss": LOSS}}, None),
    "normalised": ({"state_dict": A, "mean": MEAN, "std": STD}, {"mean": MEAN, "std": STD} | A),
    "normalised by another": (
        {"model": A, "normalize": {"mean": STD, "std": STD}},
        {"normalize.mean": STD, "normalize.std": STD} | A,
    ),
    "half a normaliser": ({"model": A, "mean": MEAN}, A),
    "vectors alone": ({"model": {"b": MEAN}}, {"b": MEAN}),
}


@pytest.mark.parametrize("what", TAKEN)
def test_the_weights_are_found(what):
    content, right = TAKEN[what]
    assert state_dict(content, PATH) == (right or {"b": content["b"]})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"model": A, "model_ema": network()}, "several sets of weights, under model, model_ema;"),
        ({"net": A, "best": network()}, r"under net, best; .*torch.load\('weights.pth'\)\['net'\]"),
        ({"ema": A, "swa": network()}, "under ema, swa"),
        ({"model": A, **network()}, r"under model, conv1\.weight, conv1\.bias"),
        ({**W, "last": {"v": tensor(2, 3)}}, "under last, w"),
        ({"model": {**A, "mu": MEAN}, "mean": MEAN, "std": STD}, "mean, std beside weights .* mu"),
        ({"ema": A}, "holds no state_dict: .*; it holds ema"),
        ({"ema": A, "acc": LOSS}, "it holds ema, acc"),
    ],
)
def test_what_is_unclear_is_refused(content, told):
    with pytest.raises(UserError, match=told):
        state_dict(content, PATH)
