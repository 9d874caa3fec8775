"""JSON files of a run as another version may leave them: used rightly, or refused in one line.

Every key is taken away, and every value wrapped, one at a time; a key is added. What the reader of
the file takes is given to the command that works with it; so a key that a later stage misses counts
as one that the reader has to ask for.
"""

from __future__ import annotations

import io
import json
from functools import partial

import numpy as np
import pytest
from other_versions import changed, places, told, without, wrapped

from rnascl_keras.console import PlainConsole
from rnascl_keras.errors import UserError
from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.whole import read_json
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.report.terminal import print_summary
from rnascl_keras.run import report_stage
from rnascl_keras.run.begun import NOTE
from rnascl_keras.run.figures import EVALUATION, LATENCIES, PARITY, REPORT
from rnascl_keras.run.saved_state import SavedState, _checksum
from rnascl_keras.run.stamps import STAMP


def leave(work, name, content):
    """Write a file as its stage would: every stamp that tells its hash tells the new one."""
    (work / name).write_text(json.dumps(content))
    for stamp in (work / ".stages").glob("*.json"):
        noted = json.loads(stamp.read_text())
        if stamp == work / name:
            continue  # what is wrong with it is to stay
        for hashes in (noted["makes"], noted["made_from"]["inputs"]):
            if name in hashes:
                hashes[name] = content_hash(work / name)
        stamp.write_text(json.dumps(noted))


READERS = {
    "architecture.json": ("report", Architecture.load),
    "search/outcome.json": ("report", SearchOutcome.load),
    "evaluation.json": ("report", partial(read_json, shape=EVALUATION)),
    "export/latency.json": ("report", partial(read_json, shape=LATENCIES)),
    "export/parity.json": ("report", partial(read_json, shape=PARITY)),
    "report.json": ("report", partial(read_json, shape=REPORT)),
    ".stages/train.json": ("report", partial(read_json, shape=STAMP)),
}
"""By file, the command that works with it, and what reads it."""


@pytest.fixture
def quick_report(monkeypatch):
    """Reports without the pictures that models are asked for."""
    monkeypatch.setattr(report_stage, "_pictures", lambda run: report_stage.NO_PICTURES)


@pytest.mark.parametrize("rule", [without, wrapped])
@pytest.mark.parametrize("name", READERS)
def test_a_key_that_is_missing_or_another(rnascl, tiny, work, quick_report, name, rule):
    command, read = READERS[name]
    content, taken = json.loads((work / name).read_text()), []
    for place in places(content):
        (work / name).write_text(json.dumps(changed(content, place, rule)))
        try:
            read(work / name)
        except UserError as error:
            assert told(error, work / name, place), error
        else:
            taken.append(place)
    for place in taken:
        if name == "report.json":  # the command only prints it, and takes long to get there
            print_summary(changed(content, place, rule), PlainConsole(file=io.StringIO()))
            continue
        leave(work, name, changed(content, place, rule))
        result = rnascl(command, tiny, "--workdir", work)
        assert result.code in (None, 0, 2), place
        if result.code == 2:
            assert result.err.splitlines()[-1].startswith("rnascl: "), (place, result.err)


@pytest.mark.parametrize("name", READERS)
def test_a_key_of_a_later_version(rnascl, tiny, work, quick_report, name):
    before = json.loads((work / "report.json").read_text())
    content = json.loads((work / name).read_text())
    leave(work, name, content | {"later": {"x": 1}})
    result = rnascl(READERS[name][0], tiny, "--workdir", work)
    if result.code == 2:
        line = result.err.splitlines()[-1]
        assert str(work / name) in line and "later" in line and "another version" in line
        return
    assert result.code in (None, 0)
    after = json.loads((work / "report.json").read_text())
    assert {k: v for k, v in before.items() if k not in OF_NOW} == {
        k: v for k, v in after.items() if k not in OF_NOW
    }


OF_NOW = ("date", "command", "duration", "later")


@pytest.mark.parametrize(
    ("place", "value"),
    [(("settings", "search", "later"), 1), (("settings", "later"), {"x": 1}),
     (("settings", "later.key"), 1), (("settings", "search"), None)],
)  # fmt: skip
def test_a_setting_of_a_later_version_in_a_stamp(refused, tiny, work, place, value):
    stamp = work / ".stages" / "search.json"
    noted = json.loads(stamp.read_text())
    owner = noted["made_from"]
    for step in place[:-1]:
        owner = owner[step]
    owner[place[-1]] = value
    stamp.write_text(json.dumps(noted))
    line = refused("report", tiny, "--workdir", work)
    assert str(work / ".stages") in line and "another version of this package" in line


def test_settings_that_a_stamp_does_not_tell_are_not_made_up(refused, tiny, work):
    stamp = work / ".stages" / "train.json"
    noted = json.loads(stamp.read_text())
    del noted["made_from"]["settings"]["train"]
    stamp.write_text(json.dumps(noted))
    line = refused("report", tiny, "--workdir", work, "--set", "train.epochs=9")
    assert "that of train has no 'train'" in line


def test_the_note_of_what_was_begun(refused, tiny, unsearched):
    note = unsearched / ".stages" / "search_begun.json"
    note.write_text('{"signature": "x", "made_from": {"settings": {}, "inputs": {}}}')
    line = refused("search", tiny, "--workdir", unsearched)
    assert str(note) in line and "made_from.outside is missing" in line
    assert NOTE.mend in line


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_search_that_ended_in_nan_is_not_selected_from(refused, tiny, work, value):
    path = work / "search" / "outcome.json"
    content = json.loads(path.read_text())
    content["tutor_logits"][0][1] = value
    leave(work, "search/outcome.json", content)
    line = refused("derive", tiny, "--workdir", work)
    assert "NaN or infinite" in line and "search.learning_rate" in line


def test_a_search_of_other_sizes_is_not_selected_from(work):
    path = work / "search" / "outcome.json"
    content = json.loads(path.read_text())
    for key in ("tutor_logits", "student_layers", "teacher_layers"):
        path.write_text(json.dumps(content | {key: content[key][:-1]}))
        with pytest.raises(UserError, match=r"outcome.json: tutor_logits has .*search again"):
            SearchOutcome.load(path)


def test_a_checkpoint_with_more_than_this_version_puts_back(tmp_path):
    path = tmp_path / "checkpoint.npz"
    SavedState(1, 0, "s", [np.ones(2)], []).write(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "checksum"}
    arrays["scaler"] = np.ones(1)
    np.savez(path, checksum=_checksum(arrays), **arrays)
    with pytest.raises(ValueError, match="scaler, unknown to this version"):
        SavedState.read(path)
