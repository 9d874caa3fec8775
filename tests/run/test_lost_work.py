"""What other settings have made, or begun, is lost only where the user says so."""

import json
import shutil

import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run import begun
from rnascl_keras.run.lost_work import check_nothing_is_lost
from rnascl_keras.run.origin import Origin, changed, differences
from rnascl_keras.run.saved_state import SavedState
from rnascl_keras.run.workdir import Run


def origin(signature="now", inputs=(), **settings):
    return Origin(signature, settings, dict(inputs))


@pytest.fixture
def folder(tiny, tmp_path):
    (tmp_path / "work" / ".stages").mkdir(parents=True)
    said = []
    run = Run(load_recipe(str(tiny)), tmp_path / "work", listener=said.append)
    return run, said


def check(run, now, noted=None):
    check_nothing_is_lost(run, "train", now, run.path("student.keras"), noted)


def save(run, signature, epoch=3):
    SavedState(epoch, 0, signature, [], []).write(run.checkpoint("train"))


def test_differences_are_named():
    there = origin("a", {"teacher.keras": "1", "x": "2"}, train={"epochs": 5, "kl": "k"}, views=2)
    now = origin("b", {"teacher.keras": "3", "x": "2"}, train={"epochs": 99, "kl": "k"}, views=0)
    assert differences(there.as_dict(), now) == [
        "train.epochs: 5 there, 99 now",
        "cache.views: 2 there, 0 now",
        "teacher.keras is another one",
    ]
    assert differences(there.as_dict(), there) == []
    assert differences({"signature": "old"}, now) == ["which, is not noted there"]
    assert changed({"finetune": None}, {"finetune": {"epochs": 2}}, ("in a", "in b")) == [
        "finetune: null in a, none in b",
        "finetune.epochs: none in a, 2 in b",
    ]
    assert len(changed({}, {"search": {f"s{k}": k for k in range(20)}})) == 9


def test_finished_work_of_other_settings_is_kept(folder):
    run, _ = folder
    there, now = origin("there", train={"epochs": 5}), origin(train={"epochs": 99})
    check(run, now, there.as_dict())  # its file is gone: nothing is lost
    run.path("student.keras").touch()
    for noted, told in ((there.as_dict(), "train.epochs: 5 there, 99 now"), (None, "not noted")):
        with pytest.raises(UserError, match=rf"student.keras is there.*{told}.*--overwrite"):
            check(run, now, noted)
    check(run, there, there.as_dict())
    run.overwrite = True
    check(run, now, there.as_dict())


def test_begun_work_of_other_settings_is_kept(folder):
    run, said = folder
    there, now = origin("there", train={"epochs": 12}), origin(train={"epochs": 14})
    with begun.noting(run, "train", there):
        save(run, "there")
    told = "after epoch 3.*train.epochs: 12 there, 14 now; the schedule .*--overwrite"
    with pytest.raises(UserError, match=told):
        check(run, now)
    check(run, there)
    run.checkpoint("train").rename(run.path(".stages/train_checkpoint_before.npz"))
    with pytest.raises(UserError, match="after epoch 3"):  # killed between two renames
        check(run, now)
    begun.note_divergence(run, "train")
    check(run, now)
    assert said == [
        "train: begins anew after a divergence: train.epochs: 12 there, 14 now",
    ]
    with begun.noting(run, "train", now):
        assert begun.saved_by(run, "train") is None
        assert "dropped" in said[-1]
        save(run, "now", 1)
    check(run, now, there.as_dict())
    begun.end(run, "train")
    assert list(run.path(".stages").iterdir()) == []


def test_a_checkpoint_of_an_earlier_version_has_no_note_and_is_kept(folder):
    run, _ = folder
    save(run, "there")
    with pytest.raises(UserError, match="not noted there"):
        check(run, origin())
    check(run, origin("there"))


def test_a_mistake_before_anything_was_saved_leaves_no_note(folder):
    run, _ = folder
    with pytest.raises(UserError), begun.noting(run, "train", origin()):
        raise UserError("no such file.")
    assert not run.begun("train").exists()


@pytest.mark.parametrize(
    ("stage", "setting"),
    [
        ("teacher", "teacher.epochs=3"),
        ("search", "search.epochs=3"),
        ("run", "train.epochs=3"),
        ("finetune", "finetune.trades_beta=1"),
        ("compare", "search.epochs=3"),
    ],
)
def test_for_real_nothing_is_lost_without_a_word(refused, tiny, work, stage, setting):
    line = refused(stage, tiny, "--workdir", work, "--set", setting)
    key, _, value = setting.partition("=")
    there = "6.0" if key.endswith("beta") else "2"
    assert f"{key}: {there} there, {value}" in line and "--overwrite" in line


def test_for_real_another_teacher_is_told_and_the_search_kept(tiny, work, rnascl, snapshot):
    """A teacher that was read from a file is only a copy; what was made with it is not."""
    given = work.parent / "given.keras"
    shutil.copyfile(work / "teacher.keras", given)
    command = ("run", tiny, "--workdir", work, "--set", f"teacher.weights={given}")
    before = snapshot(work)
    result = rnascl(*command)
    assert result.code == 2 and "teacher: " in result.err.splitlines()[-1]
    assert snapshot(work) == before

    def note(stage, section, key, value):
        path = work / ".stages" / f"{stage}.json"
        stamp = json.loads(path.read_text())
        stamp["made_from"][section][key] = value
        path.write_text(json.dumps(stamp | {"signature": "another"}))

    teacher = load_recipe(str(tiny), [f"teacher.weights={given}.old"]).teacher
    note("teacher", "settings", "teacher", teacher.model_dump(mode="json"))
    note("search", "inputs", "teacher.keras", "another")
    result = rnascl(*command)
    assert "teacher: made anew: " in result.err
    line = result.err.splitlines()[-1]
    assert result.code == 2 and "search: " in line and "teacher.keras is another one" in line
