"""Kills a run (kill -9) at random moments of its stages and starts it again: what is lost?

    python tests/killing_script.py --kills 4 --seed 0 --stages cache,search

Each trial takes a copy of a finished run without one stage's files and all that follow, does the
stage again, and kills it at a moment drawn evenly from the time that it takes undisturbed. No file
may then be half; the same command, given again, has to end as the undisturbed run did. `attack` is
`rnascl attack` of the exported file, the others are stages. Prints a line for each trial and, at
last, how many were tried, survived and lost.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np

MAIN = "from rnascl_keras.cli import main; main()"
STAGES = ("cache", "search", "train", "export", "evaluate", "attack")
RECIPE = """
from rnascl_keras.recipe import Cache, Data, Evaluation, Recipe, Search, Teacher, Train
from rnascl_keras.method.spaces import SearchSpace, Stage

batches = {"batch_size": 60, "learning_rate": 0.05}
recipe = Recipe(
    space=SearchSpace("tiny", (Stage(2, (12, 8)),), stem_width=8),
    data=Data(source="digits", augmentation="shift", limit_train=480),
    teacher=Teacher(architecture="digits_cnn", epsilon=0.1, epochs=2, **batches),
    cache=Cache(views=20),
    search=Search(epochs=20, **batches),
    train=Train(epochs=20, **batches),
    finetune=None,
    evaluation=Evaluation(n=50, epsilon=0.1),
)
"""
FIRST_FILES = {  # of each stage, what makes it undone
    "teacher": ("teacher.keras", ".stages/teacher.json"),
    "cache": ("cache", ".stages/cache.json"),
    "search": ("search", ".stages/search.json"),
    "derive": ("architecture.json", ".stages/derive.json"),
    "train": ("student.keras", ".stages/train.json"),
    "finetune": ("student_trades.keras", ".stages/finetune.json"),
    "export": ("export", ".stages/export.json"),
    "evaluate": ("evaluation.json", ".stages/evaluate.json"),
    "report": ("report.json", "report.html", ".stages/report.json"),
    "attack": ("attack.json",),
}
EXACT = ("architecture.json", "search/outcome.json", "search/choices.csv", "cache/cache.json")


class Trials:
    """A finished run in `folder`, and trials on copies of it."""

    def __init__(self, folder, seed, stages):
        self.folder, self.random = folder, random.Random(seed)
        self.recipe = folder / "tiny.py"
        self.recipe.write_text(RECIPE)
        self.whole = folder / "whole"
        self.seconds = {}
        self.run("run", self.whole)
        self.run("attack", self.whole)
        for stage in stages:  # how long each takes by itself
            work = self.undone(stage)
            begin = time.monotonic()
            self.run(stage, work)
            self.seconds[stage] = time.monotonic() - begin

    def command(self, stage, work):
        if stage == "attack":
            options = ["--data", "digits", "--eps", "0.1", "--n", "300"]
            file = work / "export" / "student.onnx"
            options += ["--attacks", "pgd,cw,square"]
            arguments = ["attack", file, *options, "--json", work / "attack.json"]
        else:
            saving = ["--set", "distribution.save_every_steps=3"]
            arguments = [stage, self.recipe, "--workdir", work, *saving]
        return [sys.executable, "-c", MAIN, *map(str, arguments)]

    def started(self, stage, work):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(stage, work), env=environment, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, stage, work):
        with self.started(stage, work) as process:
            said = process.communicate()[1]
        if process.returncode:
            raise SystemExit(f"{stage} ended with {process.returncode}: {said[-2000:]}")

    def undone(self, stage):
        """Return a copy of the run before a stage."""
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.whole, work)
        undo(stage, work)
        return work

    def killed(self, stage):
        """Kill a stage; return the folder and the moment in seconds."""
        while True:
            work = self.undone(stage)
            after = self.random.uniform(0, self.seconds[stage])
            with self.started(stage, work) as process:
                try:
                    process.communicate(timeout=after)  # it was faster: once more
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    return work, after

    def trial(self, stage):
        """Return what was lost, or None."""
        work, after = self.killed(stage)
        fault = half_file(work)
        if fault is None:
            again = "attack" if stage == "attack" else "run"
            with self.started(again, work) as process:
                said = process.communicate()[1]
            failed = f"started again, it ended with {process.returncode}: {said[-1000:]}"
            fault = failed if process.returncode else difference(work, self.whole)
        of = f"{after:4.1f} s of {self.seconds[stage]:.1f}"
        print(f"{stage:8s} killed after {of}: {fault or 'survived'}", flush=True)
        return fault


def undo(stage, work):
    """Remove a stage's files."""
    for name in FIRST_FILES[stage]:
        path = work / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def half_file(work):
    """Return the name of a file that stands under its final name and is not whole, or None."""
    for path in sorted(p for p in work.rglob("*") if p.is_file()):
        if path.name.startswith("part_") or ".part" in str(path.relative_to(work)):
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix in (".keras", ".npz"):
                assert zipfile.ZipFile(path).testzip() is None
            elif path.suffix == ".h5":
                h5_arrays(path)
            elif path.suffix == ".onnx":
                import onnx

                onnx.checker.check_model(str(path))
        except Exception as error:
            return f"{path.relative_to(work)} is not whole: {error}"
    return None


def difference(work, whole):
    """Return in what two finished runs differ, or None."""
    ours, theirs = names(work), names(whole)
    if ours != theirs:
        return f"other files: {sorted(ours ^ theirs)}"
    for name in EXACT:
        if (work / name).read_bytes() != (whole / name).read_bytes():
            return f"{name} differs"
    for name in sorted(ours):
        one, other = work / name, whole / name
        if one.suffix == ".shard" and one.read_bytes() != other.read_bytes():
            return f"{name} differs"
        if one.suffix in (".keras", ".h5"):
            for a, b in zip(h5_arrays(one), h5_arrays(other), strict=True):
                if not np.allclose(a, b, rtol=1e-5, atol=1e-7):
                    return f"weights of {name} differ by {np.abs(a - b).max():.1e}"
    one, other = (json.loads((folder / "attack.json").read_text()) for folder in (work, whole))
    if one["accuracy"] != other["accuracy"]:
        return "attack.json differs"
    return None


def names(work):
    files = (str(p.relative_to(work)) for p in work.rglob("*") if p.is_file())
    return {name for name in files if "tfevents" not in name}


def h5_arrays(path):
    """Return the arrays of an HDF5 file, or of the one in a `.keras` file."""
    found = []
    with contextlib.ExitStack() as opened:
        if path.suffix == ".keras":
            path = opened.enter_context(zipfile.ZipFile(path)).open("model.weights.h5")
        file = opened.enter_context(h5py.File(path))
        file.visititems(lambda _, x: found.append(x[()]) if isinstance(x, h5py.Dataset) else None)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1, help="of each stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", default=",".join(STAGES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = options.stages.split(",")
        trials = Trials(Path(folder), options.seed, chosen)
        lost = [trials.trial(stage) for _ in range(options.kills) for stage in chosen]
    survived = lost.count(None)
    print(f"tried {len(lost)}, survived {survived}, lost {len(lost) - survived}")
    sys.exit(survived < len(lost))


if __name__ == "__main__":
    main()
