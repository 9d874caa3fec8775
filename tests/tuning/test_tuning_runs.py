"""Tuning by real trials, and what becomes of it when it is cut short."""

import signal
import subprocess
import sys

import pytest
from PIL import Image

from rnascl_keras.files.whole import read_json
from rnascl_keras.recipe import load_recipe
from rnascl_keras.tuning import tuner as tuner_module

OPTIONS = ("--set", "data.validation=60", "--set", "cache.views=1", "--least-clean", "0.05")
OPTIONS += ("--set", "search.epochs=1", "--set", "train.epochs=1", "--set", "finetune=null")
OPTIONS += ("--tune", "gamma_t,kl,taps", "--method", "random")


def figures(path):
    """What a tuning has found, without how long it took."""
    found = read_json(path / "tune.json")
    return [{k: v for k, v in trial.items() if k != "seconds"} for trial in found["trials"]]


def assert_the_best_was_written(work, best, rnascl):
    """The recipe that was written takes the teacher of the run it was tuned in."""
    written = work / "tiny_tuned.py"
    recipe = load_recipe(str(written))
    assert (recipe.train.gamma_t, recipe.train.kl) == (
        best["settings"]["gamma_t"],
        best["settings"]["kl"],
    )
    assert (recipe.name, recipe.data.validation, recipe.finetune) == ("tiny_tuned", 60, None)
    for stage in ("teacher", "cache", "search"):
        done = rnascl(stage, written, "--workdir", work)
        assert done.code == 0, done.err
        assert ("already done" in done.err) == (stage != "search")


def test_a_tuning_of_real_trials(tiny, tmp_path, rnascl, snapshot, monkeypatch):
    work, cut = tmp_path / "work", tmp_path / "cut"
    result = rnascl("tune", tiny, "--workdir", work, *OPTIONS, "--trials", 2)
    assert result.code == 0, result.err
    assert "taps are left out: model 'digits_cnn' has no blocks" in result.err
    assert "the recipe as it is" in result.out and "0.1 on 50 validation images" in result.out
    found = read_json(work / "tune.json")
    best, other = found["trials"]
    assert best["score"] == best["pgd20"] >= other["pgd20"]
    assert 0 <= best["pgd20"] <= best["clean"] <= 1
    assert result.err.count("search: space tiny") == 1 + (
        best["settings"]["kl"] != other["settings"]["kl"]
    )
    picture = Image.open(work / "tune.png")
    assert picture.info["Description"] == found["picture"]["text"]
    assert "2 trials of recipe tiny" in found["picture"]["text"] and picture.size[0] > 800
    # cut short inside the second trial, and again before its end was written down
    measured, calls = tuner_module._measured, []

    def killed(run):
        calls.append(run)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measured(run)

    with monkeypatch.context() as patch:
        patch.setattr(tuner_module, "_measured", killed)
        first = rnascl("tune", tiny, "--workdir", cut, *OPTIONS, "--trials", 2)
    assert first.code == 130
    before = snapshot(calls[0].workdir)
    again = rnascl("tune", tiny, "--workdir", cut, *OPTIONS, "--trials", 2)
    assert again.code == 0, again.err
    assert snapshot(calls[0].workdir) == before
    assert again.err.count("train: already done") == 1 and "eq. 3" not in again.err
    assert figures(cut) == figures(work)

    third = rnascl("tune", tiny, "--workdir", cut, *OPTIONS, "--trials", 2)
    assert "tune: trial" not in third.err and figures(cut) == figures(work)

    assert_the_best_was_written(work, best, rnascl)


@pytest.mark.slow
def test_a_killed_tuning_goes_on(tiny, tmp_path):
    """kill -9 at the beginning of the second trial's search, of its training, and after its end."""
    program = "import sys; from rnascl_keras.cli import main; main()"
    options = ["tune", str(tiny), *OPTIONS, "--trials", "3", "--workdir"]

    def start(folder):
        command = [sys.executable, "-c", program, *options, str(folder)]
        return subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    whole = start(tmp_path / "whole")
    told = whole.communicate()[1]
    assert whole.returncode == 0, told
    lines = []
    for stop in ("tune: trial 1 ", "train: ", "tune: trial 2 "):
        process = start(tmp_path / "cut")
        for line in process.stderr:
            lines.append(line)
            if line.startswith(stop):
                process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    last = start(tmp_path / "cut")
    lines.append(last.communicate()[1])
    assert last.returncode == 0, lines[-1]
    assert figures(tmp_path / "cut") == figures(tmp_path / "whole")
    assert "".join(lines).count("tune: trial 0 (") == 1
