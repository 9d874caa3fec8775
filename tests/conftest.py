"""One small whole run, made once and shared by the tests that look at what a run leaves."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from filelock import FileLock

# What a shell runs in the background is told to ignore it, and so would the commands tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

TINY_RECIPE = """
from rnascl_keras.recipe import Data, Evaluation, Finetune, Recipe, Search, Teacher, Train
from rnascl_keras.method.spaces import SearchSpace, Stage

batches = {"epochs": 2, "batch_size": 60, "learning_rate": 0.05}
recipe = Recipe(
    space=SearchSpace("tiny", (Stage(2, (12, 8)),), stem_width=8),
    data=Data(source="digits", augmentation="shift", limit_train=240),
    teacher=Teacher(architecture="digits_cnn", epsilon=0.1, **batches),
    search=Search(**batches),
    train=Train(**batches),
    finetune=Finetune(epsilon=0.1, step_size=0.05, steps=2, **batches),
    evaluation=Evaluation(n=50, epsilon=0.1),
)
"""


def call_rnascl(*arguments) -> SimpleNamespace:
    """Call the command line in this process; return its exit code and what it printed."""
    from rnascl_keras.cli import main

    out, err, code = io.StringIO(), io.StringIO(), None
    with (
        mock.patch.object(sys, "argv", ["rnascl", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


@pytest.fixture(autouse=True)
def determinism_ends_with_the_test():
    """A stage turns it on for its process, and random numbers under XLA then are others."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


@pytest.fixture
def attacks_of_this_test(monkeypatch):
    """A copy of the table of attacks, in which what the test runs may enter its own."""
    from rnascl_keras import attacks

    known = dict(attacks.ATTACKS)
    monkeypatch.setattr(attacks, "ATTACKS", known)
    return known


@pytest.fixture(scope="session")
def rnascl():
    """The command line, in process."""
    return call_rnascl


@pytest.fixture(scope="session")
def snapshot():
    """A function: folder -> {relative path: hash of the content} of its files."""

    def take(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }

    return take


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder of this session's that all its processes have, where tests run in several."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def made_once(shared):
    """A function: (name of a file, what writes it last of all that it makes) -> its path.

    The process that asks first makes it; the others wait, which costs them nothing but time.
    """

    def take(name, make) -> Path:
        path = shared / name
        with FileLock(f"{path}.lock"):
            if not path.exists():
                make(path)
        return path

    return take


@pytest.fixture(scope="session")
def tiny(made_once) -> Path:
    """The file of a recipe that takes seconds."""
    return made_once("tiny.py", lambda path: path.write_text(TINY_RECIPE))


@pytest.fixture(scope="session")
def whole_run(tiny, shared, made_once) -> SimpleNamespace:
    """The work folder of a whole run of `tiny`, and what the command printed."""
    folder = shared / "work"

    def make(printed):
        result = call_rnascl("run", tiny, "--workdir", folder)
        assert result.code == 0, result.err
        printed.write_text(json.dumps({"out": result.out, "err": result.err}))

    return SimpleNamespace(folder=folder, **json.loads(made_once("printed.json", make).read_text()))


@pytest.fixture
def work(whole_run, tmp_path) -> Path:
    """A copy of the whole run's folder, to spoil."""
    return Path(shutil.copytree(whole_run.folder, tmp_path / "work"))


@pytest.fixture
def unsearched(work) -> Path:
    """A whole run's folder without its search and what came after."""
    shutil.rmtree(work / "search")
    for name in ("architecture.json", ".stages/search.json", ".stages/derive.json"):
        (work / name).unlink()
    return work


@pytest.fixture
def refused(snapshot, tmp_path):
    """A function: arguments -> the one line on standard error, but for what stages and data say
    before; no file has changed meanwhile."""
    from rnascl_keras.run.pipeline import STAGE_NAMES

    def call(*arguments) -> str:
        before = snapshot(tmp_path)
        result = call_rnascl(*arguments)
        assert result.code == 2, result.err
        *progress, line = result.err.splitlines()
        told = tuple(f"{name}: " for name in (*STAGE_NAMES, "data"))
        assert all(x.startswith(told) for x in progress)
        assert line.startswith("rnascl: ")
        assert "Traceback" not in result.out + result.err
        assert snapshot(tmp_path) == before
        return line

    return call
