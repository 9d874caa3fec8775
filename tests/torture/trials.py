"""A finished run, and trials on copies of it: disturbed, ended, compared with the undisturbed."""

import json
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

from rnascl_keras.files.temporary import PREFIX
from tests.torture.commands import NAMES, RECIPE, arguments, undo
from tests.torture.wholeness import difference, half_file

PATIENCE, TIMES = 240.0, 10
"""Seconds, and times as long as undisturbed, after which a command that does not end is lost."""
SIGNALS = {"SIGKILL": (-9,), "SIGTERM": (75, -15), "SIGINT": (130, -2)}
"""The exit codes that each may end with; the signal's own where all was done or nothing begun."""
HARMS = (*SIGNALS, "full disk")
DISK = 64 * 2**20


class Trials:
    """A finished run in `folder`, and what is done to copies of it.

    Attributes:
        whole: the finished run's folder.
        seconds: by command, how long it took undisturbed.
        preparation: seconds that all undisturbed runs took.
        slowest: by signal, the most seconds from it to the command's end.
    """

    def __init__(self, folder, starter, random):
        self.folder, self.starter, self.random = folder, starter, random
        self.recipe = folder / "tiny.py"
        self.recipe.write_text(RECIPE)
        self.whole, self.temporary = folder / "whole", folder / "temporary"
        self.temporary.mkdir()
        self.slowest = {}
        self.seconds = {}
        self.preparation = 0.0
        for name in NAMES:
            command = arguments(name, self.recipe, self.whole)
            with self.preparing(name):
                self.seconds[name] = starter.run(command, self.folder / "whole.log")

    @contextmanager
    def preparing(self, name):
        """Say and count how long the undisturbed run within takes."""
        begin = time.monotonic()
        yield
        seconds = time.monotonic() - begin
        self.preparation += seconds
        print(f"prepared {name}, undisturbed: {seconds:.0f} s", flush=True)

    def undone(self, name, at=None):
        """Return a copy of the run without what a command makes."""
        work = at or self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.whole, work)
        undo(name, work)
        return work

    def start(self, name, work, log="said.log", **environment):
        """Start a command; its temporary files go where they are looked for."""
        given = {"TMPDIR": str(self.temporary)} | environment
        command = arguments(name, self.recipe, work)
        return self.starter.start(command, self.folder / log, **given)

    def disturbed(self, name, harm):
        """Do a command, disturb it at a random moment, do it again; return what was lost, or None
        and the moment."""
        moment = self.random.uniform(0.05, 0.95)
        if harm == "full disk":
            with disk(self.folder / "disk") as place:
                return self._filled(name, place, moment), moment
        work = self.undone(name)
        process = self.start(name, work)
        process.wait(moment * self.seconds[name])
        fault = self.stopped(name, process, harm) or half_file(work)
        return fault or self.ended(name, work), moment

    def patience(self, name):
        return PATIENCE + TIMES * self.seconds[name]

    def stopped(self, name, process, harm):
        """Send a signal; return what is wrong with how the command ends."""
        begin = time.monotonic()
        process.send(getattr(signal, harm))
        code = process.wait(self.patience(name))
        if code is None:
            process.send(signal.SIGKILL)
            return f"does not end after {harm}"
        self.slowest[harm] = max(self.slowest.get(harm, 0), time.monotonic() - begin)
        if code not in (*SIGNALS[harm], 0):
            return f"ended with {code} after {harm}: {process.said()[-500:]}"
        return traceback_in(process)

    def ended(self, name, work, whole=None):
        """Do a command to its end; return in what the folder differs from the undisturbed run's."""
        process = self.start(name, work)
        code = process.wait(self.patience(name))
        if code is None:
            process.send(signal.SIGKILL)
            return "started again, it does not end"
        if code:
            return f"started again, it ended with {code}: {process.said()[-500:]}"
        left = [path.name for path in self.temporary.iterdir() if path.name.startswith(PREFIX)]
        if left:
            return f"left among the temporary files: {left}"
        return traceback_in(process) or difference(work, whole or self.whole)

    def _filled(self, name, place, moment):
        work = self.undone(name, place / "work")
        process = self.start(name, work)
        process.wait(moment * self.seconds[name])
        stuffing = place / "stuffing"
        fill(stuffing)
        code = process.wait(self.patience(name))
        last = process.said().splitlines()[-1:]
        if code not in (0, 2) or (code == 2 and not (last and last[0].startswith("rnascl: "))):
            process.send(signal.SIGKILL)
            return f"on a full disk, it ended with {code}: {process.said()[-500:]}"
        stuffing.unlink()
        return traceback_in(process) or half_file(work) or self.ended(name, work)


def traceback_in(process):
    """Return that a command printed one, or None."""
    said = process.said()
    return f"a traceback: {said[-800:]}" if "Traceback" in said else None


def fill(path):
    """Take all room that a disk has."""
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(bytes(2**16)) == 2**16:
                pass
        except OSError:
            return


class NoDisk(Exception):
    """A small disk cannot be mounted by this user."""


class disk:
    """A small disk while the context lasts; `options` are mount's, to mount it anew."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.path.mkdir(exist_ok=True)
        made = mount("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.path)
        if made.returncode:
            raise NoDisk(made.stderr.strip())
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)


def mount(*options):
    return subprocess.run(["mount", *map(str, options)], capture_output=True, text=True)


def spoil(path):
    """Cut a file in half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def json_files(work):
    """Return the JSON files of a run, relative to its folder."""
    found = sorted(str(path.relative_to(work)) for path in work.rglob("*.json"))
    return [name for name in found if isinstance(json.loads((work / name).read_text()), dict)]
