"""Two workers that search together: one or both killed or told to stop, and started again."""

import json
import os

from tests.torture.wholeness import difference, half_file
from tests.workers import free_ports

VICTIMS = ((0,), (1,), (0, 1))


class TwoWorkers:
    """Trials of a search by two workers, and what it ends with undisturbed.

    Args:
        trials: of one process, whose teacher and cache they share.
    """

    def __init__(self, trials):
        self.trials, self.whole = trials, trials.folder / "whole_of_two"
        trials.undone("search", self.whole)
        with trials.preparing("search by two workers"):
            first, second = self._start(self.whole)
            codes = [code for code in (first.wait(), second.wait()) if code != 0]
        if codes:
            raise SystemExit(f"two workers ended with {codes}: {first.said()[-2000:]}")

    def disturbed(self, harm, victims):
        """Disturb these workers at a random moment; return what was lost, or None; and the moment.

        The others have to end by themselves: a worker alone cannot go on.
        """
        trials = self.trials
        work = trials.undone("search")
        moment = trials.random.uniform(0.05, 0.95)
        processes = self._start(work)
        processes[0].wait(moment * trials.seconds["search"])
        faults = [trials.stopped("search", processes[index], harm) for index in victims]
        for process in processes:
            if process.wait(trials.patience("search")) is None:
                faults.append("the other worker does not end")
                process.send(9)
            elif "Traceback" in process.said():
                faults.append(f"a traceback: {process.said()[-800:]}")
        fault = next(filter(None, faults), None) or half_file(work)
        return fault or self._ended(work), moment

    def _ended(self, work):
        processes = self._start(work)
        codes = [process.wait(self.trials.patience("search")) for process in processes]
        if codes != [0, 0]:
            return f"started again, they ended with {codes}: {processes[0].said()[-500:]}"
        return difference(work, self.whole)

    def _start(self, work):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        started = []
        for index in (0, 1):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            log = f"worker{index}_{os.getpid()}.log"
            started.append(self.trials.start("search", work, log, TF_CONFIG=config))
        return started
