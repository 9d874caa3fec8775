"""Starts `rnascl` quickly: one process imports everything, and a fork of it is each command.

Each is a process of its own, with its own id, signals, folder for temporary files and end; only the
ten seconds in which TensorFlow is imported are not spent, nor disturbed, again and again.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Starter:
    """The process that forks; `start` and `run` give commands."""

    def __init__(self):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        # models as small as these are slower on several threads
        environment |= {f"TF_NUM_{kind}_THREADS": "1" for kind in ("INTRAOP", "INTEROP")}
        command = [sys.executable, "-m", "tests.torture.starter"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
        )

    def ask(self, **asked):
        """Send a line, return what comes back."""
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def start(self, arguments, log, **environment):
        """Start a command; what it prints goes to `log`."""
        given = {"start": list(map(str, arguments)), "log": str(log), "environment": environment}
        return Started(self.ask(**given), Path(log), self)

    def run(self, arguments, log, **environment):
        """Do a command that has to succeed; return its seconds."""
        begin = time.monotonic()
        done = self.start(arguments, log, **environment)
        if (code := done.wait(3600)) != 0:
            raise SystemExit(f"{arguments} ended with {code}: {done.said()[-2000:]}")
        return time.monotonic() - begin

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Started:
    """A command under way, and what it printed."""

    def __init__(self, pid, log, starter):
        self.pid, self.log, self._starter = pid, log, starter
        self.code = None

    def poll(self):
        if self.code is None:
            self.code = self._starter.ask(poll=self.pid)
        return self.code

    def wait(self, seconds=600.0):
        """Return the exit code, negative for a signal; None where it does not end in time."""
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        return self.code

    def send(self, signal):
        if self.poll() is None:
            os.kill(self.pid, signal)

    def said(self):
        return self.log.read_text(errors="replace")


def main():
    import rnascl_keras.comparison.command
    import rnascl_keras.run.pipeline
    import rnascl_keras.tuning.command  # noqa: F401
    from rnascl_keras.cli import main as rnascl

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        if "poll" in asked:
            pid, status = os.waitpid(asked["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif answer := os.fork():
            pass
        else:
            become(asked, rnascl)
        print(json.dumps(answer), file=answers, flush=True)


def become(asked, rnascl):
    """Be the command: nothing of this process's own is open any more."""
    for number, place, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(place, flags), number)
    os.dup2(1, 2)
    os.environ.update(asked["environment"])
    tempfile.tempdir = None
    sys.argv = ["rnascl", *asked["start"]]
    rnascl()
    sys.exit()


if __name__ == "__main__":
    main()
