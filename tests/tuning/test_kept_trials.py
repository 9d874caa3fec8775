"""What a tuning keeps, as another version may leave it: used rightly, or refused in one line."""

import io
import json
import shutil

import pytest
from other_versions import RULES, changed, places, taken, told
from test_tuning import Quick

from rnascl_keras.console import PlainConsole
from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import read_json
from rnascl_keras.tuning.command import _docstring
from rnascl_keras.tuning.plot import tuning_picture
from rnascl_keras.tuning.table import tuning_table
from rnascl_keras.tuning.tuner import TRIAL

FIGURES = {
    "signature": "a1",
    "clean": 0.75,
    "pgd20": 0.25,
    "intervals": {"clean": [0.6, 0.9], "pgd20": [0.1, 0.4]},
    "parameters": 900,
    "macs": 80_000,
    "widths": [[4, 2], [6, 2]],
    "epochs": {"search": 1, "train": 2},
    "seconds": 3.5,
}
GOAL = {"attack": "pgd20", "split": "validation", "n": 4, "epsilon": 0.1, "least_clean": 0.5}


def shown(figures):
    """What is made of a trial: table, picture, and the docstring of the recipe's file."""
    trial = {"trial": "0", "score": 0.25, "settings": {"gamma_t": 1.0}} | figures
    chosen = {"tuned": {"gamma_t": [1.0, 10.0]}, "own": {"gamma_t": 10.0}, "objective": GOAL}
    tuning = {"recipe": "tiny[v1]", "method": "random", "seed": 0, "trials": [trial], **chosen}
    table = io.StringIO()
    PlainConsole(file=table).print(tuning_table(tuning))
    return table.getvalue(), tuning_picture(tuning), _docstring(tuning, "tiny.py")


def test_the_figures_of_a_trial(tmp_path):
    changes = taken(tmp_path / "trial.json", FIGURES, lambda path: read_json(path, TRIAL))
    expected = shown(FIGURES)
    assert "tiny[v1]: 1 trials" in expected[0]
    for place, found in changes:
        assert shown(found) == expected, place


@pytest.fixture(scope="module", params=["hyperband", "random"])
def cut_short(request, tmp_path_factory):
    """A tuning that was ended in its third trial, and what it would have tried then."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.raises(KeyboardInterrupt):
        Quick(folder / "cut", request.param, trials=4, ends_at=2).search()
    shutil.copytree(folder / "cut", folder / "whole")
    whole = Quick(folder / "whole", request.param, trials=4)
    whole.search()
    return folder, request.param, whole.done


@pytest.mark.parametrize("name", ["oracle.json", "trial_0/trial.json"])
def test_the_state_of_an_oracle(name, cut_short):
    folder, method, expected = cut_short
    content = json.loads((folder / "cut/quick" / name).read_text())
    changes = [(p, changed(content, p, rule)) for p in places(content) for rule in RULES]
    refused = 0
    for place, made in [*changes, (("later",), content | {"later": {"x": 1}})]:
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(folder / "cut", work)
        path = work / "quick" / name
        path.write_text(json.dumps(made))
        try:
            tuner = Quick(work, method, trials=4)
        except UserError as error:
            line = str(error)
            assert told(error, path, place) or "KeyError" in line, (place, line)  # of its own
            assert f"delete {work / 'quick'}," in line
            refused += 1
        else:
            tuner.search()
            assert tuner.done == expected, place
    assert refused > len(changes) / 2
