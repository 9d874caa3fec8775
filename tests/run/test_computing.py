"""A run's models attacked by onnxruntime: the same figures, Keras' own where it cannot."""

from __future__ import annotations

import json

import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.run import computing


def test_a_run_is_measured_by_onnxruntime_alike(work, tiny, rnascl):
    before = json.loads((work / "evaluation.json").read_text())
    asked = ("evaluate", tiny, "--workdir", work, "--set", "evaluation.engine=onnxruntime")
    done = rnascl(*asked)
    assert done.code == 0, done.err
    after = json.loads((work / "evaluation.json").read_text())
    image = 1.01 / before["n"]
    for name in ("teacher", "student", "student_trades"):
        assert before[name]["engine"] == {"name": "keras", "logits": None, "gradients": None}
        assert after[name]["engine"]["name"] == "onnxruntime"
        assert 0 <= after[name]["engine"]["gradients"] < 1e-2
        assert after[name]["accuracy"] == pytest.approx(before[name]["accuracy"], abs=image)
        assert f"evaluate: {name}: onnxruntime computes" in done.err
    assert before["export"].keys() == after["export"].keys()


def test_what_it_cannot_take_is_computed_by_keras(work, tiny, rnascl, monkeypatch):
    def refuse(*_):
        raise UserError("onnxruntime cannot take this model: it sings")

    monkeypatch.setattr(computing, "on_onnxruntime", refuse)
    asked = ("evaluate", tiny, "--workdir", work, "--set", "evaluation.engine=onnxruntime")
    done = rnascl(*asked)
    assert done.code == 0, done.err
    assert "evaluate: student: onnxruntime cannot take this model: it sings; Keras" in done.err
    figures = json.loads((work / "evaluation.json").read_text())
    assert figures["student"]["engine"]["name"] == "keras"
