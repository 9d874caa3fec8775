"""`rnascl compare-networks`: words for networks, budgets, and rows from images to figures."""

from __future__ import annotations

import json
import shlex
from functools import partial

import pytest

from rnascl_keras.assignments import with_settings
from rnascl_keras.comparison import network_rows
from rnascl_keras.comparison.network_rows import Budget
from rnascl_keras.comparison.network_spec import NetworkSpec
from rnascl_keras.comparison.networks import _published
from rnascl_keras.errors import UserError
from rnascl_keras.files.lock import locked
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.workdir import Run

RECIPE = """
from rnascl_keras.recipe import Data, Evaluation, Recipe, Teacher
recipe = Recipe(
    space="digits",
    data=Data(source="digits", limit_train=80, validation=20),
    teacher=Teacher(architecture="digits_cnn", epsilon=0.1, batch_size=40, learning_rate=0.05),
    evaluation=Evaluation(n=12, epsilon=0.1),
)
"""


def test_a_network_is_read_from_a_word():
    assert NetworkSpec.read("student_s3") == NetworkSpec("student_s3", "student_s3")
    assert NetworkSpec.read("darts:8:5") == NetworkSpec("darts:8:5", "darts", 8, 5)
    pruned = NetworkSpec.read("resnet18:32+hydra=0.01")
    assert (pruned.architecture, pruned.width, pruned.way, pruned.keep) == (
        "resnet18",
        32,
        "hydra",
        0.01,
    )
    assert (pruned.key, pruned.dense_key) == ("resnet18_32_hydra_0.01", "resnet18_32")


@pytest.mark.parametrize("word", ["", "a-b", "darts:x", "darts+hydra", "darts+hydra=2", "d+x=0.1"])
def test_other_words_are_refused(word):
    with pytest.raises(UserError):
        NetworkSpec.read(word)


@pytest.mark.parametrize(
    ("epochs", "way"), [(8, "hydra"), (9, "magnitude"), (5, None), (30, "admm")]
)
def test_all_trainings_together_take_the_budget(epochs, way):
    spec = NetworkSpec("x", "x", way=way, keep=0.5)
    shares = spec.shares(epochs)
    assert sum(shares) == epochs
    assert (min(shares[0], shares[2]) > 0) == (way is not None)
    assert (shares[1] > 0) == (way in ("hydra", "admm"))


def test_equal_compute_gives_smaller_networks_more_epochs():
    budget = Budget(compute=1e12)
    assert budget.epochs_of(10_000_000, 10_000) == 10
    assert budget.epochs_of(1_000_000, 10_000) == 100
    assert budget.epochs_of(900_000_000, 10_000) == 1
    assert Budget(epochs=7).epochs_of(10, 10) == 7


def test_a_network_without_some_channels_is_fine_tuned_for_less():
    """8 epochs: 4 dense, the other 4 of the smaller network, or 2 to a mask and 2 after it."""
    plan = partial(network_rows.Plan, macs=1000, images=10, epochs=8)
    assert plan(NetworkSpec.read("x")).compute(1000) == 8 * 1000 * 10
    assert plan(NetworkSpec.read("x+channels=0.5")).compute(250) == 4 * (1000 + 250) * 10
    assert plan(NetworkSpec.read("x+hydra=0.5")).compute(1000) == 8 * 1000 * 10


def test_a_network_is_pruned_under_its_own_training_s_attack():
    changes = ["teacher.method=pgd", "teacher.steps=3", "teacher.step_size=0.02"]
    teacher = with_settings(load_recipe("digits"), changes).teacher
    spec = NetworkSpec.read("digits_cnn+hydra=0.1")
    pruning = network_rows._pruning(teacher, network_rows.Plan(spec, 10, 10, 8))
    same = ("method", "epsilon", "steps", "step_size", "trades_beta")
    assert [pruning.arguments()[key] for key in same] == [getattr(teacher, key) for key in same]


def test_budgets_do_not_share_what_is_pruned(tmp_path):
    """4 and 5 epochs have the same dense ones, and others after them."""
    run = Run(load_recipe("digits"), tmp_path)

    def folder(word, epochs):
        plan = network_rows.Plan(NetworkSpec.read(word), 10, 10, epochs)
        return network_rows._own_run(run, plan).workdir

    words = ("digits_cnn+hydra=0.1", "digits_cnn+magnitude=0.1")
    assert folder(words[0], 4) == folder(words[1], 4)
    assert len({folder(words[0], 4), folder(words[0], 5), folder("digits_cnn", 2)}) == 3


def test_published_points_have_a_size():
    assert len(_published()) > 14
    assert all(point.macs > 0 for point in _published())


def test_networks_are_trained_pruned_exported_and_attacked_once(rnascl, tmp_path):
    recipe = tmp_path / "small.py"
    recipe.write_text(RECIPE)
    command = ("compare-networks", recipe, "--workdir", tmp_path / "run", "--epochs", 2)
    command += ("--networks", "digits_cnn,digits_cnn+channels=0.5", "--auto-attack", 3)
    result = rnascl(*command)
    assert result.code == 0, result.err
    found = json.loads((tmp_path / "run/networks.json").read_text())
    whole, pruned = found["rows"]
    assert [row["network"] for row in found["rows"]] == ["digits_cnn", "digits_cnn+channels=0.5"]
    assert whole["parameters"] == 23_738 and pruned["parameters"] < 0.4 * 23_738
    assert whole["epochs"] == pruned["epochs"] == 2
    assert whole["compute"] == 2 * whole["macs"] * 80
    for row in (whole, pruned):
        assert set(row["accuracy"]) >= {"clean", "pgd20"} and row["n"] == 12
        assert row["auto_attack"]["n"] == 3
        assert all(row[key]["bytes"] > 0 and row[key]["latency_ms"] > 0 for key in ("onnx", "int8"))
    assert pruned["onnx"]["bytes"] < whole["onnx"]["bytes"]
    assert "digits_cnn+channels=0.5" in (tmp_path / "run/networks.svg").read_text()
    assert sorted(shlex.split(found["command"])) == sorted(["rnascl", *map(str, command)])
    with locked(tmp_path / "run/.stages/lock"):
        busy = rnascl(*command)
        cleaned = rnascl("clean", recipe, "--workdir", tmp_path / "run", "--yes")
    assert busy.code == cleaned.code == 2 and "is at work in" in busy.err + cleaned.err
    again = rnascl(*command)
    assert again.code == 0 and again.err.count("digits_cnn: already done") == 1
    assert json.loads((tmp_path / "run/networks.json").read_text()) == found


SIDE = {"bytes": 5000, "latency_ms": 0.1}
SHARES = {"clean": 0.75, "pgd20": 0.25}
FIGURES = {"parameters": 9, "macs": 10, "kept": 8, "weights": 8, "accuracy": SHARES}
FIGURES |= {"intervals": {"clean": [0.1, 0.9], "pgd20": [0.1, 0.9]}, "onnx": SIDE, "int8": SIDE}


@pytest.mark.parametrize(
    "change", ["evaluation.n=5", "evaluation.epsilon=0.05", "seed=3", "export.calibration=64"]
)
def test_figures_of_other_measures_are_not_given_again(change, tmp_path, monkeypatch):
    """The network is the same, and what trains and measures it is stood in for."""
    network, measured = tmp_path / "teacher.keras", []
    network.touch()

    def trained(sub):
        evaluation = sub.recipe.evaluation

        def measure():
            measured.append(sub)
            return {**FIGURES, "n": evaluation.n, "epsilon": evaluation.epsilon}

        return network, measure

    monkeypatch.setattr(network_rows, "_trained", trained)
    plan = network_rows.Plan(NetworkSpec.read("digits_cnn"), macs=10, images=100, epochs=2)
    (tmp_path / "networks").mkdir()

    def row(*changes):
        recipe = with_settings(load_recipe("digits"), changes)
        found = network_rows.network_row(Run(recipe, tmp_path, listener=str), plan, 0)
        assert (found["n"], found["epsilon"]) == (recipe.evaluation.n, recipe.evaluation.epsilon)
        return found

    first = row()
    assert row() == first and len(measured) == 1
    other = row(change)
    assert len(measured) == 2
    assert row(change) == other and len(measured) == 2
    assert row('evaluation.corruptions=["fog"]', change) == other and len(measured) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give the budget"),
        (("--epochs", 1, "--compute", 1e9), "give the budget"),
        (("--compute", 0), "give the budget"),
        (("--compute", "inf"), "give the budget"),
        (("--epochs", 1, "--set", "teacher.method=natural"), "after adversarial training"),
    ],
)
def test_mistakes_are_told(options, message, rnascl, tmp_path):
    place = ("--workdir", tmp_path / "run")
    result = rnascl("compare-networks", "digits", "--networks", "digits_cnn", *options, *place)
    assert result.code == 2 and message in result.err


def test_a_network_is_named_once(rnascl, tmp_path):
    named = ("--networks", "digits_cnn,digits_cnn", "--epochs", 1)
    result = rnascl("compare-networks", "digits", *named, "--workdir", tmp_path / "run")
    assert result.code == 2 and "named twice" in result.err


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("student_digits", "'student_digits' is unknown"),
        ("darts:4:2", "cells 2 does not fit 'darts'"),
        ("student_s3:8", "width 8 does not fit 'student_s3'"),
    ],
)
def test_what_cannot_be_made_is_told_before_any_training(network, message, rnascl, tmp_path):
    named = ("--networks", f"digits_cnn,{network}", "--epochs", 1)
    result = rnascl("compare-networks", "digits", *named, "--workdir", tmp_path / "run")
    assert result.code == 2 and message in result.err
    assert not (tmp_path / "run/networks").exists()
