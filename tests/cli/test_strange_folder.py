"""A folder that came with a model may hold Python files of any name: no command runs them."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from rnascl_keras.cli import app
from rnascl_keras.data import load_data
from rnascl_keras.export.convert import write_onnx
from rnascl_keras.run.pipeline import STAGE_NAMES

TRAP = "import pathlib\nwith open({mark!r}, 'a') as mark:\n    mark.write(__name__ + '\\n')\n"
CALLS = """
import json, sys
from rnascl_keras.cli import main
for arguments, expected in json.loads(sys.argv[1]):
    sys.argv = ["rnascl", *arguments]
    try:
        main()
    except SystemExit as stop:
        assert (stop.code or 0) == expected, (arguments, stop.code)
"""


@pytest.fixture
def strange_folder(tmp_path):
    """A folder with a Python file of each module's name that is installed here, and what a file
    that was run has left."""
    folder, mark = tmp_path / "strange", tmp_path / "run"
    folder.mkdir()
    for name in {*sys.stdlib_module_names, *importlib.metadata.packages_distributions()}:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(TRAP.format(mark=str(mark)))
    return folder, mark


def test_no_command_runs_a_python_file_of_the_folder_it_is_called_in(strange_folder, tiny):
    folder, mark = strange_folder
    images, labels = load_data("digits").test.first(20)
    np.savez(folder / "images.npz", x=images, y=labels)
    np.savez(folder / "nobodys.npz", weight=images)
    images = keras.Input((8, 8, 1))
    model = keras.Model(images, keras.layers.Dense(10)(keras.layers.Flatten()(images)))
    model.save(folder / "model.keras")
    write_onnx(model, folder / "model.onnx")
    attacked = ("--data", "images.npz", "--n", "10", "--check", "5", "--attacks", "fgsm")
    teacher = ("--architecture", "resnet20", "--out", "teacher.keras")
    short = [
        part for name in ("teacher", "search", "train") for part in ("--set", name + ".epochs=1")
    ]
    held_out = ("--set", "data.validation=60", "--workdir", "tuned")
    calls = {
        "list": (),
        "show": (str(tiny),),
        "settings": (),
        "new": ("digits", "--out", "drafted.py"),
        "attack": ("model.onnx", *attacked),
        "evaluate": ("model.keras", *attacked),
        "convert-teacher": ("nobodys.npz", *teacher),
        "rivals": (),
        "prune": ("model.keras", "--data", "digits", "--epochs", "0", "--keep", "0.5"),
        "run": (str(tiny), *short),
        "compare-networks": (str(tiny), *short, "--networks", "digits_cnn", "--quick"),
        "compare": (str(tiny), *short, "--methods", "kl"),
        "tune": (str(tiny), *short, *held_out, "--trials", "1", "--tune", "gamma_t"),
    }
    calls |= {stage: (str(tiny), *short) for stage in STAGE_NAMES if stage != "evaluate"}
    calls["clean"] = (str(tiny), "--yes")
    assert calls.keys() == {command.name or command.callback.__name__ for command in commands()}
    called = [
        ((name, *options), 2 if name == "convert-teacher" else 0) for name, options in calls.items()
    ]
    program = [sys.executable, "-P", "-c", CALLS, json.dumps(called)]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not mark.exists(), mark.read_text()


def commands():
    """All of the command line's."""
    return [c for group in app.registered_groups for c in group.typer_instance.registered_commands]
