"""One run at a time in a work folder."""

import os
import subprocess
import sys

import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.files.lock import locked

HOLDER = """
import sys, time
from pathlib import Path
from rnascl_keras.files.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / ".stages").mkdir()
    return tmp_path / ".stages" / "lock"


def test_it_is_refused_while_another_process_holds_it_and_dies_with_its_owner(path):
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            words = f"process {holder.pid} on .* is at work in"
            with pytest.raises(UserError, match=words), locked(path):
                pytest.fail("two at a time")
            assert path.exists()
        finally:
            holder.kill()
    with locked(path):
        with pytest.raises(UserError, match=f"process {os.getpid()} on "), locked(path):
            pytest.fail("two at a time")
        assert path.exists()
    assert list(path.parent.iterdir()) == []


def test_it_can_be_taken_again_and_is_left_after_an_error(path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(path):
            raise KeyError
    assert list(path.parent.iterdir()) == []


def test_a_second_run_on_one_folder_is_refused(work, tiny, rnascl, snapshot):
    before = snapshot(work)
    with locked(work / ".stages" / "lock"):
        result = rnascl("run", tiny, "--workdir", work)
        assert result.code == 2
        assert f"process {os.getpid()}" in result.err and f"at work in {work}" in result.err
    assert snapshot(work) == before
    assert rnascl("run", tiny, "--workdir", work).code == 0
