"""Images of the user's own that are other ones now: what was made from them is not theirs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sample_images import save_images

from rnascl_keras.data.held import held_by
from rnascl_keras.files.hashes import digest
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.origin import differences
from rnascl_keras.run.stage_table import STAGES
from rnascl_keras.run.stamps import origin_of
from rnascl_keras.run.workdir import Run


def save(path, n=90, seed=0):
    x = np.random.default_rng(seed).random((n, 8, 8, 1)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(n) % 3)
    return path


def test_what_a_source_holds(tmp_path):
    one, other = save(tmp_path / "a.npz"), save(tmp_path / "b.npz", seed=1)
    assert held_by(str(one)) == held_by(str(one)) != held_by(str(other))
    assert held_by("digits") is None and held_by("cifar10") is None
    for split in ("train", "val"):
        for name in "ab":
            save_images(tmp_path / "photos" / split / name, 3, "PNG")
    photos, listed = str(tmp_path / "photos"), tmp_path / "list.txt"
    listed.write_text("a\n")
    found = [held_by(photos), held_by(photos, None, listed)]
    (tmp_path / "photos" / "val" / "a" / "new.png").write_bytes(b"1")
    found.append(held_by(photos))
    (tmp_path / "photos" / "val" / "a" / "new.png").rename(tmp_path / "photos/val/b/new.png")
    found.append(held_by(photos))
    listed.write_text("b\n")
    found.append(held_by(photos, None, listed))
    assert len(set(found)) == 5


def test_every_stage_on_images_is_made_from_them(tiny, tmp_path):
    source = save(tmp_path / "d.npz")
    recipe = load_recipe(str(tiny), [f"data.source={source}", "data.image_size=none"])
    on_images = {stage.name for stage in STAGES if "data" in stage.settings}
    assert on_images >= {"teacher", "cache", "search", "train", "finetune", "export", "evaluate"}
    teacher = STAGES[0]
    before = origin_of(Run(recipe, tmp_path), teacher)
    save(source, seed=1)
    now = origin_of(Run(recipe, tmp_path), teacher)
    assert now.signature != before.signature
    assert differences(before.as_dict(), now) == ["what is given as data is another one"]


def test_what_an_earlier_version_made_is_known_again(tiny, tmp_path):
    """It noted nothing of the images; half-done trainings go on, too."""
    source = save(tmp_path / "d.npz")
    run = Run(load_recipe(str(tiny), [f"data.source={source}"]), tmp_path)
    run.path(".stages").mkdir()
    now = origin_of(run, STAGES[0])
    older = digest([now.settings, now.inputs, {}])
    assert older != now.signature and now.outside
    for note in (run.stamp("teacher"), run.begun("teacher")):
        note.write_text(json.dumps({"signature": older}))
        assert origin_of(run, STAGES[0]).signature == older
        note.write_text("{")  # spoiled: that is told by who reads it
        assert origin_of(run, STAGES[0]).signature == now.signature


@pytest.mark.parametrize("again", ["teacher", "evaluate"])
def test_a_run_on_other_images_under_the_same_name_is_refused(tiny, tmp_path, rnascl, again):
    source = save(tmp_path / "d.npz")
    settings = ["--set", f"data.source={source}", "--set", "space=null"]
    settings += ["--set", "evaluation.n=10", "--set", "export.agreement=0"]
    command = (tiny, "--workdir", tmp_path / "work", *settings)
    made = rnascl("run" if again == "evaluate" else "teacher", *command)
    assert made.code == 0, made.err
    same = rnascl(again, *command)
    assert same.code == 0, same.err
    save(source, seed=1)
    other = rnascl(again, *command)
    assert other.code == 2
    told = {
        "teacher": "what is given as data is another one. Give --overwrite",
        "evaluate": "d.npz holds is not what teacher was made from",
    }
    assert told[again] in other.err
