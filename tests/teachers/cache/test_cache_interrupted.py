"""Making a cache on a disk that is full or fails, and killed: it goes on from whole shards."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from cached_teacher import ROW, build, shard_files, ten_class_teacher

from rnascl_keras.errors import UserError
from rnascl_keras.method.teacher import LiveTeacher
from rnascl_keras.teachers.cache import building, shards
from rnascl_keras.units import count

pytestmark = pytest.mark.usefixtures("small_shards")


Usage = namedtuple("Usage", "total used free")


def free(monkeypatch, size):
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _: Usage(1e9, 1e9, size))


def test_a_disk_too_small_is_refused_before_anything_is_made_or_lost(
    folder, snapshot, monkeypatch, tmp_path
):
    needed = sum(path.stat().st_size for path in shard_files(folder))
    free(monkeypatch, needed - 1)
    with pytest.raises(UserError) as caught:
        build(tmp_path / "new")
    words = (f"needs {count(needed)}B more", f"{count(needed - 1)}B are free", "lower cache.views")
    assert all(word in str(caught.value) for word in (*words, "--workdir"))
    assert not list((tmp_path / "new").iterdir())
    free(monkeypatch, 0)
    assert build(folder) == ["cache: 6 of 6 shards are there"]  # what is there needs no room
    before = snapshot(folder)
    with pytest.raises(UserError, match="needs .* more"):
        build(folder, views=3, seed=4)  # what would be replaced is too little room
    assert snapshot(folder) == before
    build(folder, seed=4)  # and here it is enough


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_leaves_whole_shards_and_one_line(
    tmp_path, made, monkeypatch, snapshot, code
):
    sync, calls = os.fsync, []

    def fail_at_the_third(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(code, os.strerror(code))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_at_the_third)
    with pytest.raises(UserError, match=f"cannot be written .{os.strerror(code)}") as caught:
        build(tmp_path)
    assert "\n" not in str(caught.value)
    assert ("make room" in str(caught.value)) == (code == errno.ENOSPC)
    assert sorted(p.name for p in tmp_path.iterdir()) == [p.name for p in shard_files(made)[:2]]
    assert "2 of 6 shards are there" in "\n".join(build(tmp_path))
    assert snapshot(tmp_path) == snapshot(made)


def test_a_teacher_without_finite_logits_is_refused(tmp_path):
    teacher = ten_class_teacher()
    kernel, bias = teacher.get_layer("logits").get_weights()
    teacher.get_layer("logits").set_weights([kernel, bias + np.inf])
    with pytest.raises(UserError, match="infinite or undefined"):
        build(tmp_path, teacher)
    assert not list(tmp_path.iterdir())


def test_a_teacher_that_is_refused_leaves_the_cache_that_is_there(folder, snapshot):
    before = snapshot(folder)
    with pytest.raises(UserError, match="too large for half precision"):
        build(folder, with_logits_times(1e7))
    assert snapshot(folder) == before


def with_logits_times(factor):
    teacher = ten_class_teacher()
    kernel, bias = teacher.get_layer("logits").get_weights()
    teacher.get_layer("logits").set_weights([kernel * factor, bias])
    return teacher


def test_input_gradients_too_large_for_half_precision_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(LiveTeacher, "input_gradients", lambda _, images, __: images + 1e6)
    build(tmp_path / "without")
    with pytest.raises(UserError, match="too large for half precision"):
        build(tmp_path / "with", gradients=True)


def test_logits_beyond_half_precision_are_refused(tmp_path):
    """Cut to its largest number they would be others, and the same for many images."""
    build(tmp_path / "within", with_logits_times(100))
    with pytest.raises(UserError, match="logits or input gradients too large for half precision"):
        build(tmp_path / "beyond", with_logits_times(1e7))


KILLED = """
import os, random, signal, sys, threading, time
from pathlib import Path
from cached_teacher import ROW, build
from rnascl_keras.teachers.cache import building, shards

folder, seed = sys.argv[1], int(sys.argv[2])
shards.SHARD_BYTES = 5 * ROW * 2 + 1  # twelve shards a view
fill = building._Build.fill

def written():
    return len(list(Path(folder).glob("*.shard")))

def kill_after(count):
    while written() < count:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)

def fill_and_be_killed(self, missing):
    count = written() + random.Random(seed).randint(3, 25)
    threading.Thread(target=kill_after, args=(count,), daemon=True).start()
    fill(self, missing)

building._Build.fill = fill_and_be_killed
build(folder, views=6)
"""


def test_a_build_that_is_killed_at_random_moments_goes_on(tmp_path, monkeypatch, snapshot):
    """SIGKILL, twice; then the same bytes as without."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 5 * ROW * 2 + 1)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    counts = [0]
    for seed in (0, 1):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(seed)]
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]
        assert not (tmp_path / "killed" / "cache.json").exists()
        counts.append(len(shard_files(tmp_path / "killed")))
    assert 0 < counts[1] < counts[2] < 72
    said = "\n".join(build(tmp_path / "killed", views=6))
    assert f"{counts[2]} of 72 shards are there" in said
    build(tmp_path / "whole", views=6)
    assert snapshot(tmp_path / "killed") == snapshot(tmp_path / "whole")
