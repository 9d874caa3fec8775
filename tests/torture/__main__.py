"""Disturbs runs at random moments and in many ways, ends them, and says what was lost.

    make torture SECONDS=600 SEED=0

Each trial takes a copy of a finished run without one command's files, gives the command, and kills
it, stops it or fills its disk at a random moment of the time that it takes undisturbed. No file may
then be half, no traceback printed; the same command, given again, has to end with what the
undisturbed run ended with, bit for bit. Besides, `situations` and two workers. Trials are drawn by
the seed until the time is over, which begins with the first of them and leaves out what has to be
prepared; no command and no situation comes twice before each has come once. A whole round is some
sixty. Prints each, and a table.
"""

import argparse
import itertools
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.torture.commands import NAMES
from tests.torture.situations import SITUATIONS
from tests.torture.starter import Starter
from tests.torture.trials import HARMS, SIGNALS, NoDisk, Trials
from tests.torture.workers import VICTIMS, TwoWorkers


def all_trials(trials):
    """Return (what, harm, function) of every trial of a round; two workers start when needed."""
    one = [
        (name, harm, lambda name=name, harm=harm: trials.disturbed(name, harm))
        for name, harm in itertools.product(NAMES, HARMS)
    ]
    beside = [
        (function.__name__, "once", lambda function=function: (function(trials), None))
        for function in SITUATIONS
    ]
    made = []

    def by_two(harm, victims):
        made[:] = made or [TwoWorkers(trials)]
        return made[0].disturbed(harm, victims)

    several = [
        (
            f"worker {' and '.join(map(str, victims))} of 0, 1",
            harm,
            lambda h=harm, v=victims: by_two(h, v),
        )
        for harm, victims in itertools.product(("SIGKILL", "SIGTERM"), VICTIMS)
    ]
    return one + beside + several


def in_turn(everything, chance):
    """Return a round's trials in a random order in which each `what` comes once before any comes
    twice, so that a short time tries everything, though not with every harm."""
    everything, times = list(everything), Counter()
    chance.shuffle(everything)

    def turn(trial):
        times[trial[0]] += 1
        return times[trial[0]]

    return sorted(everything, key=turn)


def torture(seconds, seed, folder):
    """Do trials until the time is over; return (what, harm, fault) of each, and the `Trials`."""
    chance = random.Random(seed)
    # in the background a shell lets it be ignored, by what is started here too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    starter = Starter()
    try:
        trials = Trials(folder, starter, chance)
        # more is prepared, and left out of the time too, where two workers come for the first time
        end, done = time.monotonic() + seconds - trials.preparation, []
        for _ in itertools.count():
            for what, harm, do in in_turn(all_trials(trials), chance):
                if time.monotonic() > end + trials.preparation:
                    return done, trials
                done.append(_noted(what, harm, do))
    finally:
        starter.close()


def _noted(what, harm, do):
    try:
        fault, moment = do()
    except NoDisk as error:
        print(f"{what:24s} {harm:10s} left out: no small disk can be mounted ({error})", flush=True)
        return what, harm, "left out"
    at = "" if moment is None else f" at {100 * moment:2.0f} % of its time"
    print(f"{what:24s} {harm:10s}{at}: {fault or 'survived'}", flush=True)
    return what, harm, fault


def table(done, trials):
    """Print how many trials of each kind survived, and return how many did not."""
    columns = (*HARMS, "once")
    tried = Counter((what, harm) for what, harm, fault in done if fault != "left out")
    lost = Counter((what, harm) for what, harm, fault in done if fault not in (None, "left out"))
    print(f"\n{'survived of tried':24s} " + " ".join(f"{name:>9s}" for name in columns))
    for what in dict.fromkeys(what for what, _, _ in sorted(done, key=lambda one: one[0])):
        cells = [
            f"{tried[what, harm] - lost[what, harm]} of {tried[what, harm]}"
            if tried[what, harm]
            else "-"
            for harm in columns
        ]
        print(f"{what:24s} " + " ".join(f"{cell:>9s}" for cell in cells))
    for harm in SIGNALS:
        if harm in trials.slowest:
            print(f"from {harm} to the command's end, at most {trials.slowest[harm]:.1f} s")
    print(f"undisturbed runs, to compare with: {trials.preparation:.0f} s")
    total, gone = tried.total(), lost.total()
    print(f"tried {total}, survived {total - gone}, lost {gone}")
    return gone


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="of trials; none is begun after")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        sys.exit(table(*torture(options.seconds, options.seed, folder)) > 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
