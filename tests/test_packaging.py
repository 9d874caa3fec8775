from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rnascl_keras

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def setuptools():
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["tool"]["setuptools"]


def folder_of(package, places):
    """Return the folder that `package` is installed from, as setuptools finds it."""
    parts = package.split(".")
    for cut in range(len(parts), 0, -1):
        if ".".join(parts[:cut]) in places:
            return ROOT.joinpath(places[".".join(parts[:cut])], *parts[cut:])
    return ROOT.joinpath(*parts)


def test_every_folder_with_modules_is_a_listed_package(setuptools):
    listed = {folder_of(name, setuptools["package-dir"]) for name in setuptools["packages"]}
    assert len(listed) == len(setuptools["packages"])
    places = [ROOT / "rnascl_keras", ROOT / "export", ROOT / "recipes"]
    assert listed == {p.parent for place in places for p in place.rglob("*.py")}
    for folder in listed:
        assert (folder / "__init__.py").is_file()


def test_every_other_file_of_the_packages_is_listed_as_data(setuptools):
    listed = {
        path
        for package, patterns in setuptools["package-data"].items()
        for pattern in patterns
        for path in folder_of(package, setuptools["package-dir"]).glob(pattern)
    }
    found = {
        path
        for name in setuptools["packages"]
        for path in folder_of(name, setuptools["package-dir"]).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert found
    assert found == listed


def test_the_version_is_said_once_and_again_alike():
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["version"] == rnascl_keras.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [rnascl_keras.__version__]


def test_every_python_that_is_promised_is_checked():
    with open(ROOT / "pyproject.toml", "rb") as file:
        promised = tomllib.load(file)["project"]["classifiers"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    (checked,) = re.findall(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    language = "Programming Language :: Python :: "
    assert checked == ", ".join(
        f'"{name.removeprefix(language)}"' for name in promised if name.startswith(language)
    )


@pytest.mark.parametrize("name", rnascl_keras.__all__)
def test_a_public_name_resolves_to_what_it_names(name):
    assert getattr(rnascl_keras, name).__name__ == name
    assert name in dir(rnascl_keras)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="No rnascl_keras attribute Searh"):
        rnascl_keras.Searh  # noqa: B018


HEAVY = (
    "numpy",
    "tensorflow",
    "keras",
    "keras_tuner",
    "onnxruntime",
    "onnx",
    "matplotlib",
    "sklearn",
)


@pytest.mark.parametrize(
    "start",
    [
        "import rnascl_keras",
        "import rnascl_keras.cli, sys; sys.argv = ['rnascl', '--help']; "
        "call(rnascl_keras.cli.main)",
        "import rnascl_keras.cli, sys; sys.argv = ['rnascl', 'run', 'digit']; "
        "call(rnascl_keras.cli.main)",
    ],
)
def test_starting_imports_nothing_heavy(start):
    program = f"""
import sys
def call(main):
    try:
        main()
    except SystemExit:
        pass
{start}
print("heavy:", [name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_the_command_is_installed_under_its_name():
    with open(ROOT / "pyproject.toml", "rb") as file:
        module, function = tomllib.load(file)["project"]["scripts"]["rnascl"].split(":")
    program = f"import {module} as m; print(callable(m.{function}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "True\n"
