"""A full disk: one line says so, what was there stays, and with room the run goes on."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.files.full_disk import check_room, reporting_full_disk
from rnascl_keras.files.whole import check_writable
from tests.torture.commands import FIRST_FILES, undo
from tests.torture.wholeness import difference, half_file

FULL = "/dev/full"
PAGE = 4096


def by_python():
    with open(FULL, "w") as file:
        file.write("x")


def by_numpy():
    np.savez(open(FULL, "wb"), x=np.ones(10_000))  # noqa: SIM115 - closing it fails as well


def by_tensorflow():
    tf.io.write_file(FULL, "x")


def while_another_error_is_handled():
    try:
        by_python()
    except OSError as error:
        raise RuntimeError("the file cannot be closed") from error


WRITES = (by_python, by_numpy, by_tensorflow, while_another_error_is_handled)


@pytest.mark.skipif(not os.path.exists(FULL), reason="this system has no /dev/full")
@pytest.mark.parametrize("write", WRITES)
def test_whoever_writes_a_full_disk_is_told_in_one_line(write, tmp_path):
    with pytest.raises(UserError) as caught, reporting_full_disk(tmp_path, "export"):
        write()
    line = str(caught.value)
    assert line.startswith("export: ") and "\n" not in line
    assert "(No space left on device, " in line and "make room" in line


def test_another_error_stays_what_it_is(tmp_path):
    for error in (OSError(5, "Input/output error"), UserError("no space"), KeyError("x")):
        with pytest.raises(type(error)) as caught, reporting_full_disk(tmp_path):
            raise error
        assert caught.value is error


def test_too_little_room_is_told_before(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    check_room(tmp_path / "new", free // 2, "search")
    with pytest.raises(UserError, match="search needs .*B in .*, but only .*B are free"):
        check_room(tmp_path, 2 * free, "search")


@pytest.fixture(scope="module")
def cached_run(tiny, rnascl, tmp_path_factory):
    """A whole run with a cache, attacked."""
    folder = tmp_path_factory.mktemp("cached") / "work"
    result = rnascl(*command("run", tiny, folder))
    assert result.code == 0, result.err
    # as later: in this process TensorFlow is loaded, and would stand among the versions
    assert call(*command("attack", tiny, folder)).returncode == 0
    return folder


def command(stage, recipe, work):
    if stage != "attack":
        return [stage, recipe, "--workdir", work, "--set", "cache.views=2"]
    options = ["--data", "digits", "--eps", "0.1", "--n", "50", "--attacks", "pgd"]
    return ["attack", work / "export" / "student.onnx", *options, "--json", work / "attack.json"]


def call(*arguments):
    """Call the command line in a process of its own: a crash at its end counts."""
    code = "from rnascl_keras.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )


@pytest.fixture
def disk(tmp_path):
    """A small disk."""
    options = ["-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def fill(disk, room):
    """Leave `room` bytes of a disk free; return the file to remove."""
    path = disk / "fill"
    path.write_bytes(bytes(shutil.disk_usage(disk).free - int(room) // PAGE * PAGE))
    return path


def used(disk):
    return shutil.disk_usage(disk).used


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 0.8])
@pytest.mark.parametrize("stage", [x for x in FIRST_FILES if x not in ("compare", "tune")])
def test_each_stage_on_a_full_disk(stage, part, disk, tiny, cached_run, snapshot):
    """There is room for `part` of what the stage leaves."""
    work = disk / "work"
    shutil.copytree(cached_run, work)
    before = used(disk)
    undo(stage, work)
    stuffing = fill(disk, part * (before - used(disk)))
    old = snapshot(work)

    result = call(*command(stage, tiny, work))
    assert result.returncode == 2, result.stderr
    last = result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr and last.startswith("rnascl: ")
    assert "No space left on device" in last or "free" in last
    assert str(disk) in last
    assert half_file(work) is None
    assert snapshot(work).items() >= old.items()

    stuffing.unlink()
    result = call(*command("attack" if stage == "attack" else "run", tiny, work))
    assert result.returncode == 0, result.stderr
    assert difference(work, cached_run) is None


def test_a_file_that_is_written_at_the_end_is_tried_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open(FULL, "wb", buffering=0))  # noqa: SIM115
    with pytest.raises(UserError, match=r"out\.json cannot be written \(No space left"):
        check_writable(tmp_path / "out.json")
