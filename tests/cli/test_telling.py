"""How much a command tells: bars on a terminal only, nothing with `--quiet`."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from files_of_images import file_of_images, linear_model_of_digits

from rnascl_keras import __version__
from rnascl_keras.cli import app
from rnascl_keras.progress import Telling, fit_verbosity, progress_bar, shows_bars, telling


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "how_much", "drawn", "verbosity"),
    [
        (Terminal, Telling.BARS, True, 1),
        (Terminal, Telling.LINES, False, 2),
        (Terminal, Telling.NOTHING, False, 0),
        (io.StringIO, Telling.BARS, False, 2),
        (io.StringIO, Telling.NOTHING, False, 0),
    ],
)
def test_bars_are_drawn_where_somebody_watches(monkeypatch, stream, how_much, drawn, verbosity):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    err, out = stream(), stream()
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setattr("sys.stdout", out)
    with telling(how_much):
        assert shows_bars(err) == drawn
        assert fit_verbosity() == verbosity
        list(progress_bar(range(3), "counting"))
    assert ("counting" in err.getvalue()) == drawn
    before = err.getvalue()
    list(progress_bar(range(3), "counting", wanted=False))
    assert err.getvalue() == before


def test_an_evaluation_into_a_file_draws_no_bars_and_a_quiet_one_says_its_result(rnascl, tmp_path):
    data = file_of_images(tmp_path / "d.npz")
    model = linear_model_of_digits(tmp_path / "linear.keras")
    asked = ["evaluate", model, "--data", data, "--n", 20, "--attacks", "fgsm", "--check", 10]
    result = rnascl(*asked)
    assert result.code == 0 and "it/s" not in result.err and "\r" not in result.err
    quiet = rnascl(*asked, "--quiet")
    (doubt,) = quiet.err.splitlines()  # without it the result would be taken for more than it is
    assert quiet.code == 0 and doubt.endswith("make its figures too high")
    assert "FGSM" in quiet.out


def test_a_quiet_command_says_nothing_but_its_error(rnascl, tiny, work):
    result = rnascl("derive", tiny, "--workdir", work, "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")
    result = rnascl("run", "digitz", "--quiet")
    assert result.code == 2 and "Did you mean 'digits'?" in result.err


def test_every_command_has_both_options(rnascl):
    names = {
        c.name or c.callback.__name__
        for g in app.registered_groups
        for c in g.typer_instance.registered_commands
    }
    assert {"run", "attack", "list", "tune"} <= names
    for name in ("attack", "compare", "evaluate", "show"):
        shown = rnascl(name, "--help").out
        assert "--quiet" in shown and "--no-progress" in shown


def test_the_version(rnascl):
    result = rnascl("--version")
    assert (result.code, result.out) == (0, f"rnascl-keras {__version__}\n")


def test_the_package_is_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "rnascl_keras", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"rnascl-keras {__version__}\n")


def test_the_shell_completes_recipes_and_kinds():
    for words, expected in (("rnascl run digi", "digits"), ("rnascl list att", "attacks")):
        asked = {"_RNASCL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
        done = subprocess.run(
            [sys.executable, "-m", "rnascl_keras"],
            env=os.environ | asked,
            capture_output=True,
            text=True,
        )
        assert done.stdout.split() == [expected], done.stderr
