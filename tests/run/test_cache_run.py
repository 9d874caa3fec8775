"""A run with `cache.views`: the teacher is asked in its own stage, and nowhere after it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.files import hashes
from rnascl_keras.method.teacher import LiveTeacher
from rnascl_keras.models.fingerprint import fingerprint
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run import models as model_files
from rnascl_keras.run import pipeline
from rnascl_keras.run.pipeline import run_stages
from rnascl_keras.run.workdir import Run

ASKED = ("cache", "search", "derive", "train", "finetune")
COMMAND = "--set cache.views=2".split()
SETTINGS = ["cache.views=2"]
STUDENTS = ["student.keras", "student_trades.keras"]


class Reads:
    """What is read, as (stage, file) -> how often: models that are loaded, files hashed whole."""

    def __init__(self, patch):
        self.loaded, self.hashed, self.stage = Counter(), Counter(), ""
        self.note(patch)

    def note(self, patch):
        do, load, digest = pipeline._do, keras.models.load_model, hashlib.file_digest

        def do_noted(run, stage):
            self.stage = stage.name
            do(run, stage)

        def load_noted(path, *args, **kwargs):
            self.loaded[self.stage, Path(path).name] += 1
            return load(path, *args, **kwargs)

        def digest_noted(file, *args):
            self.hashed[self.stage, Path(file.name).name] += 1
            return digest(file, *args)

        patch.setattr(pipeline, "_do", do_noted)
        patch.setattr(keras.models, "load_model", load_noted)
        patch.setattr(hashlib, "file_digest", digest_noted)


class Asked(Exception):
    """The teacher was run."""


def work_in(folder, tiny, *settings, say=lambda line: None):
    return Run(load_recipe(str(tiny), [*SETTINGS, *settings]), folder, listener=say, overwrite=True)


def command_of(stage, tiny, folder):
    return f"rnascl {stage} {tiny} --workdir {folder} {' '.join(COMMAND)}"


@pytest.fixture(scope="module")
def cached_run(whole_run, tiny, tmp_path_factory):
    """The stages from `cache` to `finetune`, under the whole run's teacher, which may be asked in
    the first of them only."""
    folder = tmp_path_factory.mktemp("cached") / "work"
    (folder / ".stages").mkdir(parents=True)
    for name in ("teacher.keras", ".stages/teacher.json"):
        shutil.copyfile(whole_run.folder / name, folder / name)
    said = []
    with pytest.MonkeyPatch.context() as patch:
        reads = Reads(patch)
        run_stages(work_in(folder, tiny, say=said.append), ["cache"])
    load = model_files.load_teacher

    def load_mute(*args, **kwargs):
        teacher = load(*args, **kwargs)

        def refuse(*args, **kwargs):
            raise Asked

        teacher.call = refuse
        for layer in teacher.layers:
            layer.call = refuse
        return teacher

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_files, "load_teacher", load_mute)
        with pytest.raises(Asked):
            work_in(folder, tiny).teacher(np.zeros((1, 8, 8, 1)))
        reads.note(patch)
        run_stages(work_in(folder, tiny, say=said.append), ASKED)
    return folder, said, reads


@pytest.fixture
def cached(cached_run, tmp_path):
    return shutil.copytree(cached_run[0], tmp_path / "work")


def read(path):
    return json.loads(path.read_text())


def test_search_training_and_trades_never_run_the_teacher(cached_run):
    folder, said, _ = cached_run
    assert "cache: already done from the same settings" in said
    assert any("cache: 2 views of 240 images" in line for line in said)
    teacher = keras.models.load_model(folder / "teacher.keras", compile=False)
    assert read(folder / "architecture.json")["teacher"] == fingerprint(teacher)
    for name in ("student", "student_trades"):
        student = keras.models.load_model(folder / f"{name}.keras", compile=False)
        assert all(np.all(np.isfinite(v)) for v in student.get_weights())


def test_a_stage_reads_the_teacher_and_each_shard_once(cached_run):
    """The search only to see that the cache is this teacher's; later stages know it from there."""
    reads = cached_run[2]
    loaded = {key for key in reads.loaded if key[1] == "teacher.keras"}
    assert loaded == {("cache", "teacher.keras"), ("search", "teacher.keras")}
    assert set(reads.loaded.values()) == {1}
    shards = {key: n for key, n in reads.hashed.items() if key[1].endswith(".shard")}
    assert {stage for stage, _ in shards} >= {"cache"}
    # twice the stage `cache` was there: that made it, and that found it done
    assert all(n <= (2 if stage == "cache" else 1) for (stage, _), n in shards.items())


def test_a_run_goes_through_the_same_stages_to_a_report(cached, tiny, rnascl, monkeypatch):
    """What the command line prints and skips; the report knows how long the cache took."""
    reads = Reads(monkeypatch)
    (cached / ".stages" / "derive.json").unlink()
    result = rnascl("run", tiny, "--workdir", cached, *COMMAND, "--set", "evaluation.attacks=fgsm")
    assert result.code == 0, result.err
    for stage in ("cache", "search", "train", "finetune"):
        assert f"{stage}: already done from the same settings" in result.err
    assert read(cached / "report.json")["duration"]["cache"] > 0
    models = {"export": STUDENTS, "evaluate": STUDENTS, "report": ["student_trades.keras"]}
    assert dict(reads.loaded) == {
        (stage, name): 1 for stage, names in models.items() for name in ["teacher.keras", *names]
    }


def test_input_gradients_are_aligned_on_the_cache_s_views(cached, tiny, capsys):
    """The teacher itself gives its own; this cache does not hold them."""
    run_stages(work_in(cached, tiny, "train.gradient_weight=1", "train.epochs=1"), ["train"])
    assert "gradient_alignment" in capsys.readouterr().out
    run_stages(work_in(cached, tiny, "train.epochs=1"), ["train"])
    assert "kl: " in (out := capsys.readouterr().out) and "gradient_alignment" not in out


def test_input_gradients_are_aligned_on_those_of_a_cache(cached, tiny, capsys, monkeypatch):
    changes = "cache.gradients=true", "train.gradient_weight=1", "train.epochs=1"
    run = work_in(cached, tiny, *changes, "search.epochs=1")
    run_stages(run, ["cache", "search", "derive"])
    monkeypatch.setattr(LiveTeacher, "input_gradients", None)
    run_stages(run, ["train"])
    assert "gradient_alignment" in capsys.readouterr().out


def test_a_robust_training_reads_the_cache_too(cached, tiny, capsys, monkeypatch):
    """N-FGSM's images change what the student sees, not what the teacher is asked."""
    monkeypatch.setattr(LiveTeacher, "answers", None)
    changes = "train.robust=rslad_n_fgsm", "train.epsilon=0.1", "train.epochs=1"
    run_stages(work_in(cached, tiny, *changes), ["train"])
    out = capsys.readouterr().out
    assert "robust_kl: " in out and "attention: " in out and "cross_entropy" not in out
    noted = read(cached / ".stages" / "train.json")["made_from"]["settings"]["train"]
    assert (noted["robust"], noted["epsilon"]) == ("rslad_n_fgsm", 0.1)


def test_students_are_averaged_and_their_best_epoch_is_kept(tiny, tmp_path, whole_run, capsys):
    """Training and fine-tuning, both on adversarial images alone."""
    kept = "average=0.8", "keep=best", "robust=rslad_n_fgsm", "adversarial_share=1", "epochs=2"
    changes = ["data.validation=40", "train.gamma_t=0", "finetune.gamma_t=0", "train.epsilon=0.1"]
    changes += [f"{section}.{setting}" for section in ("train", "finetune") for setting in kept]
    (tmp_path / ".stages").mkdir()
    shutil.copyfile(whole_run.folder / "teacher.keras", tmp_path / "teacher.keras")
    said = []
    run_stages(work_in(tmp_path, tiny, *changes, say=said.append), ASKED)
    out = capsys.readouterr().out
    assert "val_robust_accuracy: " in out and "robust_kl: " in out
    for stage in ("train", "finetune"):
        assert any(re.match(rf"{stage}: epoch \d is kept, validation PGD", x) for x in said)
    settings = read(tmp_path / ".stages" / "train.json")["made_from"]["settings"]["train"]
    assert (settings["average"], settings["keep"]) == (0.8, "best")


def test_adaad_asks_the_teacher_live_beside_the_cache(cached, tiny, capsys):
    changes = "train.robust=adaad", "train.epsilon=0.1", "train.steps=1", "train.epochs=1"
    run_stages(work_in(cached, tiny, *changes), ["train"])
    assert "adaptive_kl: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("setting", "redone"),
    [
        ("cache.views=9", []),  # two are made: no phase has more epochs
        ("train.epochs=3", ["train"]),  # with two views still
        ("seed=1", ["cache", "search", "train"]),
        ("data.augmentation=crop_flip", ["cache", "search", "train"]),
        ("cache.views=1", ["cache", "search", "train"]),
        ("cache.views=0", ["search", "train"]),
    ],
)
def test_what_a_changed_setting_makes_anew(cached, tiny, monkeypatch, setting, redone):
    """The cache is made; of the other stages it is only noted that they would be."""
    done = []

    def noted(stage):
        def work(run, signature):
            done.append(stage.name)
            if stage.name == "cache":
                stage.work(run, signature)

        return dataclasses.replace(stage, work=work)

    monkeypatch.setattr(pipeline, "STAGES", tuple(noted(stage) for stage in pipeline.STAGES))
    run_stages(work_in(cached, tiny, setting), ["cache", "search", "train"])
    assert done == redone


def flip(path):
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)


def test_a_damaged_shard_is_mended_by_the_named_command(cached, tiny, rnascl, snapshot):
    before = snapshot(cached)
    path = sorted((cached / "cache").glob("*.shard"))[1]
    flip(path)
    (cached / ".stages" / "search.json").unlink()
    result = rnascl("search", tiny, "--workdir", cached, *COMMAND, "--overwrite")
    assert result.code == 2
    line = result.err.splitlines()[-1]
    assert path.name in line and f"`{command_of('cache', tiny, cached)}`" in line
    result = rnascl("cache", tiny, "--workdir", cached, *COMMAND)
    assert result.code == 0
    assert f"cache: damaged or cut short: {path.name}" in result.err
    after = snapshot(cached)
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed <= {".stages/cache.json", ".stages/search.json"}


def test_damage_between_two_stages_of_one_process_is_found(cached, tiny, monkeypatch):
    """The search has found the shard whole, and its hash is remembered."""
    monkeypatch.setattr(hashes, "SETTLED", -(10**12))
    run, path = (
        work_in(cached, tiny, "train.epochs=1"),
        sorted((cached / "cache").glob("*.shard"))[1],
    )
    run_stages(run, ["cache"])
    assert run.cache is not None
    run.forget()
    time.sleep(0.05)  # longer than a step of the file system's clock
    flip(path)
    with pytest.raises(UserError, match=f"damaged or cut short: {path.name}.*`rnascl cache tiny`"):
        run_stages(run, ["train"])


def test_a_search_without_its_cache_says_what_makes_it(cached, tiny, rnascl):
    (cached / "cache" / "cache.json").unlink()
    result = rnascl("search", tiny, "--workdir", cached, *COMMAND)
    assert result.code == 2
    assert f"search needs {cached / 'cache' / 'cache.json'}" in result.err
    assert f"`{command_of('cache', tiny, cached)}`" in result.err


def test_without_views_there_is_no_cache(tmp_path, tiny, rnascl):
    result = rnascl("cache", tiny, "--workdir", tmp_path / "work")
    assert result.code == 0
    assert "cache: left out, for cache.views is 0" in result.err
    assert not (tmp_path / "work" / "cache").exists()
