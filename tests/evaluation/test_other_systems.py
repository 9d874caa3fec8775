"""The way of `attack`, where the system has none of what only Unix has."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from rnascl_keras.export.room import worker
from rnascl_keras.export.room.limits import missing_limits
from tests.small_onnx import CONVOLUTIONS, write_small_onnx

ABSENT = ("fcntl", "grp", "pwd", "pty", "resource", "termios", "tty")
"""Modules of Unix alone; the names below are those of `os` and `signal`."""
NAMELESS = {
    "os": "fork forkpty geteuid getuid killpg mkfifo O_DIRECTORY O_NOFOLLOW O_NONBLOCK"
    " sched_getaffinity sysconf",
    "signal": "alarm ITIMER_PROF pthread_sigmask setitimer SIGPROF",
}
# Python imports this module in each process that it starts with the folder on its path
BEFORE_ALL = f"""
import os, signal, sys
for name in {ABSENT!r}:
    sys.modules[name] = None
for module, names in {NAMELESS!r}.items():
    for name in names.split():
        vars(sys.modules[module]).pop(name, None)
"""
MAIN = "from rnascl_keras.cli import main; main()"


@pytest.fixture
def elsewhere(tmp_path):
    """The environment of a process, and of all that it starts, on such a system."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(BEFORE_ALL)
    path = os.pathsep.join([str(tmp_path / "path"), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "ascii"}


def test_a_file_is_attacked_where_there_is_nothing_of_unix(tmp_path, elsewhere, rnascl):
    model = write_small_onnx(tmp_path / "model.onnx", f"n = Identity(x) {CONVOLUTIONS}")
    images = np.random.default_rng(0).uniform(size=(20, 8, 8, 3)).astype(np.float32)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(20) % 5)
    command = ["attack", model, "--data", tmp_path / "images.npz", "--attacks", "pgd,square"]
    command += ["--check", "5", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, command), str(tmp_path / "there.json")],
        env=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cannot limit the memory and time" in done.stderr
    here = rnascl(*command, tmp_path / "here.json")
    assert here.code == 0 and "cannot limit" not in here.err
    there, here = (json.loads((tmp_path / f"{x}.json").read_text()) for x in ("there", "here"))
    assert there["accuracy"] == here["accuracy"]


WRITING = """
import sys
from pathlib import Path
from rnascl_keras.errors import UserError
from rnascl_keras.files.lock import locked
from rnascl_keras.files.whole import publish, read_json, write_json
folder = Path(sys.argv[1])
with locked(folder / "lock"):
    (folder / "made").mkdir()
    write_json(folder / "made" / "a.json", {"a": 1})
    publish(folder / "made", folder / "whole")
    print(read_json(folder / "whole" / "a.json"))
    try:
        with locked(folder / "lock"):
            print("two at a time")
    except UserError as error:
        print(error)
print(sorted(path.name for path in folder.iterdir()))
"""


def test_files_are_written_and_folders_held_there(tmp_path, elsewhere):
    folder = tmp_path / "work"
    folder.mkdir()
    command = [sys.executable, "-c", WRITING, folder]
    done = subprocess.run(command, env=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read, refused, left = done.stdout.splitlines()
    assert read == "{'a': 1}" and left == "['whole']"
    assert refused.startswith("process ") and "is at work in" in refused


def test_what_a_system_cannot_limit_is_said(monkeypatch):
    assert sys.platform != "linux" or missing_limits() == []
    monkeypatch.setattr(sys, "platform", "darwin")
    assert missing_limits() == ["memory"]
    monkeypatch.delattr("signal.setitimer")
    assert missing_limits() == ["memory", "time"]


def test_a_limit_that_stands_lower_is_kept(monkeypatch):
    resource = pytest.importorskip("resource")
    limits = {resource.RLIMIT_DATA: (10**9, 10**9), resource.RLIMIT_CORE: (0, 0)}
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    worker._limit_memory()
    assert limits[resource.RLIMIT_DATA] == (10**9, 10**9)
