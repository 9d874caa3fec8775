"""What a killed process leaves among the temporary files is cleared by the next, and no more."""

import os
import subprocess
import sys

import pytest

BUSY = """
import sys, tempfile, time
from rnascl_keras.files.temporary import own_temporary_folder
with own_temporary_folder():
    tempfile.NamedTemporaryFile(prefix="generated", suffix=".py", delete=False).close()
    print(tempfile.gettempdir(), flush=True)
    time.sleep(float(sys.argv[1]))
print(tempfile.gettempdir())
"""


@pytest.fixture
def started(tmp_path):
    """A function: seconds to live -> a process with a temporary file, and its folder."""
    processes = []

    def start(seconds):
        command = [sys.executable, "-c", BUSY, str(seconds)]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, env=environment, stdout=pipe, text=True))
        return processes[-1], processes[-1].stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_next_start_clears_what_a_killed_one_left(started, tmp_path):
    killed, left = started(600)
    alive, used = started(600)
    assert {left, used} == {str(path) for path in tmp_path.iterdir()}
    killed.kill()
    killed.wait()
    assert [name for name in os.listdir(left) if name.startswith("generated")]

    last, own = started(0)
    assert last.stdout.read().strip() == str(tmp_path)
    assert last.wait() == 0 and alive.poll() is None
    assert [str(path) for path in tmp_path.iterdir()] == [used]
    assert own not in (left, used) and len(os.listdir(used)) == 2


def test_what_is_not_ours_stays(started, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "lock").touch()
    (tmp_path / "rnascl_temporary_link").symlink_to(other, target_is_directory=True)
    (tmp_path / "rnascl_temporary_being_made").mkdir()
    process, _ = started(0)
    process.wait()
    assert {path.name for path in tmp_path.iterdir()} == {
        "other",
        "rnascl_temporary_link",
        "rnascl_temporary_being_made",
    }
    assert (other / "lock").exists()
