"""What happens to a work folder beside a command: another command, another place, another time."""

import os
import shutil
import signal
import time

from tests.torture.commands import remove
from tests.torture.trials import disk, json_files, mount, spoil, traceback_in
from tests.torture.wholeness import difference, names

YEARS = 5 * 365 * 86400


def two_commands(trials):
    """The second one says which process holds the folder; the first one ends as ever."""
    work = trials.undone("search")
    first = trials.start("search", work)
    _wait_for(work / ".stages" / "lock_holder", first)
    second = trials.start("train", work, "second.log")
    if (code := second.wait()) != 2 or f"process {first.pid} on" not in second.said():
        return f"the second ended with {code}: {second.said()[-500:]}"
    if first.wait() != 0:
        return f"the first ended with {first.code}: {first.said()[-500:]}"
    return difference(work, trials.whole)


def read_only(trials):
    """One line says so, and nothing has changed."""
    with disk(trials.folder / "disk") as place:
        work = trials.undone("search", place / "work")
        before = names(work)
        mount("-o", "remount,ro", place)
        process = trials.start("search", work)
        code, said = process.wait(), process.said()
        mount("-o", "remount,rw", place)
        if code != 2 or "cannot be written to" not in said or "Traceback" in said:
            return f"ended with {code}: {said[-500:]}"
        if names(work) != before:
            return f"other files: {sorted(names(work) ^ before)}"
        return trials.ended("search", work)


def moved(trials):
    """A search that was killed goes on where its folder now is."""
    work, there = _killed(trials), trials.folder / "elsewhere"
    shutil.rmtree(there, ignore_errors=True)
    shutil.move(work, there)
    return trials.ended("search", there)


def clock_set_back(trials):
    """All files of a search that was killed are from a time that is still to come."""
    return _from(trials, time.time() + YEARS)


def clock_set_on(trials):
    """All files of a search that was killed are five years old."""
    return _from(trials, time.time() - YEARS)


def half_json(trials):
    """A JSON file of a finished run is cut in half: one line names it, or it is made anew."""
    work = trials.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(trials.whole, work)
    name = trials.random.choice(json_files(work))
    spoil(work / name)
    maker = name.split("/")[0] if name.startswith(("tune/", "compare/")) else "run"
    process = trials.start(maker, work)
    code = process.wait()
    if code == 2 and str(work / name) in (line := process.said().splitlines()[-1]):
        remove(next((p for p in (work / name).parents if f"delete {p}," in line), work / name))
        process = trials.start(maker, work)
        code = process.wait()
    if code:
        return f"{name} in half: ended with {code}: {process.said()[-500:]}"
    fault = traceback_in(process) or difference(work, trials.whole)
    return fault and f"{name} in half: {fault}"


SITUATIONS = (two_commands, read_only, moved, clock_set_back, clock_set_on, half_json)


def _from(trials, when):
    work = _killed(trials)
    for path in work.rglob("*"):
        os.utime(path, (when, when))
    return trials.ended("search", work)


def _killed(trials):
    """Return the folder of a search that was killed when it had saved something."""
    work = trials.undone("search")
    process = trials.start("search", work)
    _wait_for(work / ".stages" / "search_checkpoint.npz", process)
    process.send(signal.SIGKILL)
    process.wait()
    return work


def _wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)
