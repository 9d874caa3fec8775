"""`rnascl prune`: from a run, or a file, to pruned files that are checked and attacked."""

from __future__ import annotations

import json
import shutil

import keras
import pytest
from other_versions import changed, without
from test_kept_figures import FIGURES

from rnascl_keras.assignments import with_settings
from rnascl_keras.errors import Stopped, UserError
from rnascl_keras.pruning import prune
from rnascl_keras.pruning.figures import measured_by
from rnascl_keras.pruning.masks import kept_weights
from rnascl_keras.pruning.prune import _Pruned
from rnascl_keras.pruning.settings import Pruning
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.saved_state import SavedState
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers import build_teacher

DATA = ("--data", "digits", "--set", "data.limit_train=120", "--set", "data.validation=40")
DATA += ("--set", "evaluation.epsilon=0.1")
QUICK = ("--set", "evaluation.n=20", "--set", "evaluation.check=0", "--set", "export.agreement=0")
QUICK += ("--set", 'evaluation.attacks=["pgd"]', "--set", "export.calibration=32")
SHORT = ("--epochs", 1, "--mask-epochs", 2, "--batch-size", 40)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("models") / "net.keras"
    build_teacher("digits_cnn", input_shape=(8, 8, 1), classes=10).save(path)
    return path


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--way", "hydra", "--keep", 0.25), "teacher_hydra_0.25"),
        (("--way", "admm", "--keep", 0.1), "teacher_admm_0.1"),
        (("--structured", "--keep", 0.5), "teacher_channels_0.5"),
    ],
)
def test_a_file_is_pruned_once(options, name, model, rnascl, tmp_path):
    command = ("prune", model, *DATA, *QUICK, *SHORT, *options, "--workdir", tmp_path / "run")
    result = rnascl(*command)
    assert result.code == 0, result.err
    folder = tmp_path / "run/prune"
    figures = json.loads((folder / f"{name}.json").read_text())
    pruned = keras.models.load_model(folder / f"{name}.keras")
    assert (figures["kept"], figures["weights"]) == kept_weights(pruned)
    assert set(figures["files"]) == {f"{name}.onnx", f"{name}_int8.onnx"}
    assert all(file["bytes"] > 0 for file in figures["files"].values())
    assert set(figures["accuracy"]) == {"clean", "pgd20", "worst"}
    assert figures["made_from"]["settings"]["prune"]["epsilon"] == figures["epsilon"] == 0.1
    if "--structured" in options:
        assert figures["parameters"] < 0.4 * 23_738 and figures["macs"] < 0.5 * 641_000
    else:
        share = figures["kept"] / figures["weights"]
        assert share == pytest.approx(options[3], abs=0.01)
        assert figures["macs_kept"] < 0.5 * figures["macs"]
        zeros = [file["zeros"] for file in figures["files"].values()]
        assert min(zeros) > 0.99 - options[3]
    again = rnascl(*command)
    assert again.code == 0 and f"{name}: already done" in again.err


@pytest.mark.parametrize("step", ["mask", "tune"])
def test_what_was_begun_under_other_settings_is_kept(step, tmp_path, monkeypatch):
    (tmp_path / ".stages").mkdir()
    (tmp_path / "teacher.keras").touch()
    name, said = f"teacher_hydra_0.1_{step}", []

    def cut_short(pruning, signature):
        SavedState(3, 0, signature, [], []).write(pruning.run.checkpoint(name))
        raise Stopped

    monkeypatch.setattr(_Pruned, "_tuned", cut_short)

    def made(*changes, overwrite=False, **settings):
        recipe = with_settings(load_recipe("digits"), changes)
        run = Run(recipe, tmp_path, listener=said.append, overwrite=overwrite)
        with pytest.raises(Stopped):
            _Pruned(run, "teacher", Pruning.checked(way="hydra", **settings)).made()

    made()
    for changes, settings, told in (
        (["evaluation.n=5"], {}, "evaluation.n: "),
        ([], {"epochs": 7}, "prune.epochs: 20 there, 7 now"),
    ):
        with pytest.raises(UserError, match=f"{name}: .* after epoch 3, .*{told}.*--overwrite"):
            made(*changes, **settings)
    made()
    assert said == []
    made(overwrite=True, epochs=7)
    made(epochs=7)
    assert len(said) == 1 and "saved after epoch 3, is dropped" in said[0]


def test_other_files_and_figures_are_made_without_a_training(model, tmp_path, monkeypatch):
    (tmp_path / ".stages").mkdir()
    shutil.copy(model, tmp_path / "teacher.keras")
    trained, found = [], []

    def tuned(pruning, signature):
        trained.append(signature)
        return keras.models.load_model(model)

    def measured(run, *given):
        found.append(run.recipe)
        if len(found) == 6:
            raise KeyboardInterrupt
        told = ("signature", "made_from", "model", "measured_by")
        figures = {key: value for key, value in FIGURES.items() if key not in told}
        return figures | {"n": run.recipe.evaluation.n, "measured_by": measured_by(run)}

    monkeypatch.setattr(_Pruned, "_tuned", tuned)
    monkeypatch.setattr(prune, "measured", measured)

    def made(*changes, **settings):
        recipe = with_settings(load_recipe("digits"), changes)
        run = Run(recipe, tmp_path, listener=str)
        figures = _Pruned(run, "teacher", Pruning.checked(**settings)).made()
        assert figures["n"] == recipe.evaluation.n
        return len(trained), len(found)

    assert made() == made() == (1, 1)
    path = tmp_path / "prune/teacher_magnitude_0.1.json"
    path.write_text(json.dumps(changed(json.loads(path.read_text()), ("measured_by",), without)))
    assert made() == (1, 2)  # of an earlier version, which did not note it
    other = "export.calibration=64"
    assert made(other) == made(other) == (1, 3)
    assert made(other, "evaluation.n=5") == (1, 4)
    assert made(other) == (1, 5)
    with pytest.raises(KeyboardInterrupt):
        made()  # its files may be there already
    assert made(other) == (1, 7)
    with pytest.raises(UserError, match="prune.epochs: 20 there, 7 now.*--overwrite"):
        made(epochs=7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prune", "no/such.keras", "--data", "digits"), "there is no model no/such.keras"),
        (("prune", "digits", "--keep", 0), "--keep"),
        (("prune", "digits", "--data", "cifar10"), "are for a model"),
        (("prune", "digits", "--way", "admm", "--structured"), "chosen by magnitude"),
    ],
)
def test_mistakes_are_told(arguments, message, rnascl):
    result = rnascl(*arguments)
    assert result.code == 2 and message in result.err


def test_a_file_without_data_is_told(model, rnascl):
    result = rnascl("prune", model)
    assert result.code == 2 and "needs --data" in result.err


def test_a_model_that_a_run_has_not_is_told(model, rnascl, tmp_path):
    place = ("--workdir", tmp_path / "run")
    result = rnascl("prune", model, *DATA, *place, "--model", "student")
    assert result.code == 2 and "--model is for a recipe's run" in result.err
