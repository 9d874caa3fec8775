"""What a command calls is handed numbers and names, never the text of the options."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from rnascl_keras.cli.measurement import Measurement
from rnascl_keras.comparison import command
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation import keras_file, onnx_file
from rnascl_keras.evaluation.request import Request
from rnascl_keras.settings import Evaluation
from rnascl_keras.units import parse_number, parse_radii, parse_radius

OPTIONS = [
    *("--data", "d.npz", "--data-dir", "dd", "--attacks", "fgsm,cw", "--eps", "3/2"),
    *("--norm", "L2", "--sweep", "0.5,7/4", "--plot", "p.svg", "--check", "7", "--n", "9"),
    *("--seed", "4", "--json", "o.json"),
]
ASKED = Request(
    data="d.npz",
    data_dir="dd",
    attacks=["fgsm", "cw"],
    epsilon=1.5,
    norm="L2",
    radii=[0.5, 1.75],
    plot=Path("p.svg"),
    check=7,
    n=9,
    seed=4,
    out=Path("o.json"),
)


@pytest.fixture
def called(monkeypatch):
    """The arguments with which what the commands call was called, in place of its work."""
    calls = []

    def note(*arguments, **options):
        calls.append((arguments, options))

    monkeypatch.setattr(keras_file, "evaluate_file", note)
    monkeypatch.setattr(onnx_file, "attack_files", note)
    monkeypatch.setattr(command, "compare_run", note)
    return calls


def test_evaluate_and_attack_ask_the_same_by_the_same_options(rnascl, called):
    assert rnascl("evaluate", "m.keras", *OPTIONS, "--strategy", "one").code == 0
    others = ("--mean", "0.5", "--std", "1,2,3", "--layout", "NCHW", "--output", "z")
    others += ("--providers", "a,b")
    assert rnascl("attack", "m.onnx", *OPTIONS, *others).code == 0
    (evaluated, _), (attacked, settings) = called
    assert evaluated == (Path("m.keras"), ASKED, "one")
    assert attacked == ([Path("m.onnx")], ASKED)
    del settings["say"]
    assert settings == {
        "mean": (0.5,),
        "std": (1.0, 2.0, 3.0),
        "layout": "NCHW",
        "output": "z",
        "trust": False,
        "providers": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("options", "mean", "std"),
    [
        (("--pixels", "0..255"), (0.0,), (1 / 255,)),
        (("--pixels", "-1..1"), (0.5,), (0.5,)),
        (("--mean", "51/255,0", "--std", "1/255"), (0.2, 0.0), (1 / 255,)),
    ],
)
def test_the_range_of_pixels_is_a_mean_and_a_deviation(options, mean, std, rnascl, called):
    assert rnascl("attack", "m.onnx", *OPTIONS, *options).code == 0
    ((_, settings),) = called
    assert (settings["mean"], settings["std"]) == (pytest.approx(mean), pytest.approx(std))
    pixels = np.linspace(0, 1, 5)
    low, high = (0, 255) if "0..255" in options else (-1, 1)
    if "--pixels" in options:
        given = (pixels - settings["mean"][0]) / settings["std"][0]
        np.testing.assert_allclose(given, np.linspace(low, high, 5), atol=1e-9)


@pytest.mark.parametrize("pixels", ["255", "1..0", "a..b", "0..", "0..1..2", "0..8/255/2"])
def test_what_is_no_range_of_pixels(pixels, rnascl, called):
    result = rnascl("attack", "m.onnx", *OPTIONS, "--pixels", pixels)
    assert result.code == 2 and "--pixels takes a range such as 0..255" in result.err
    both = rnascl("attack", "m.onnx", *OPTIONS, "--pixels", "0..255", "--mean", "0.5")
    assert both.code == 2 and "give the one or the others" in both.err


@pytest.mark.parametrize("option", ["--mean", "--std"])
def test_what_is_no_number_a_channel(option, rnascl, called):
    result = rnascl("attack", "m.onnx", *OPTIONS, option, "0.5,125/255/2")
    assert result.code == 2 and f"{option} takes one number per channel" in result.err


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--fail-below", "--fail-below '' is unknown; expected one of what is run: clean, fgsm,"),
        ("--sweep", "--sweep must be a number above 0"),
        ("--corruptions", "--corruptions '' is unknown; expected all, or some of"),
    ],
)
def test_an_empty_text_is_not_left_out(option, told, rnascl, called):
    """A gate of a variable that is not set would let every file pass."""
    result = rnascl("attack", "m.onnx", *OPTIONS, option, "")
    assert (result.code, called) == (2, []) and told in result.err


def test_what_is_not_said_is_as_the_request_has_it():
    asked = Measurement(data="digits").request("attack m.onnx")
    assert asked == Request("digits", None, ["fgsm", "pgd", "mi_fgsm"], 8 / 255, 1000, 0, radii=[])
    names = [field.name for field in dataclasses.fields(Measurement)]
    assert sorted(names) == sorted(field.name for field in dataclasses.fields(Request))


@pytest.mark.parametrize("norm", ["L2", "L1", "L0"])
def test_the_radius_of_linf_is_no_other_norms_default(norm, rnascl, called):
    """Within 8/255 in L2 next to nothing changes, and any model would look robust."""
    result = rnascl("attack", "m.onnx", "--data", "d.npz", "--norm", norm)
    assert (result.code, called) == (2, [])
    assert f"--norm {norm} needs --eps" in result.err


def test_compare_is_handed_numbers_and_what_makes_it_again(rnascl, tiny, called):
    options = ("--seeds", "0,2", "--radii", "8/255,0.1", "--auto-attack", 5, "--set", "seed=3")
    assert rnascl("compare", tiny, *options, "--methods", "kl,ard").code == 0
    ((run, *measured), _) = called[0]
    assert run.recipe.seed == 3
    again = f"rnascl compare {tiny} --set seed=3 --methods kl,ard --seeds 0,2 --radii 8/255,0.1"
    assert measured == [["kl", "ard"], [0, 2], [8 / 255, 0.1], 5, f"{again} --auto-attack 5"]


@pytest.mark.parametrize(("text", "radius"), [("8/255", 8 / 255), ("0.031", 0.031), ("1", 1.0)])
def test_a_radius_is_read(text, radius):
    assert parse_radius(text) == radius


@pytest.mark.parametrize("text", ["0", "1.01", "-8/255", "8/0", "eight", "", "nan", "inf", "1e999"])
def test_a_radius_outside_0_to_1_is_refused(text):
    with pytest.raises(UserError, match="in \\(0, 1\\] such as 8/255; got"):
        parse_radius(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("8/255", 8 / 255), ("0.031", 0.031), ("-1", -1.0)]
    + [(text, None) for text in ("8/0", "a/b", "", "8/", "8/255/2")],
)
def test_a_number_is_read_alike_by_options_and_settings(text, number):
    assert parse_number(text) == number
    if number is not None and number > 0:
        assert Evaluation(epsilon=text).epsilon == number
        assert parse_radii(f"{text},1") == [number, 1]
    else:
        with pytest.raises(ValueError, match="epsilon"):
            Evaluation(epsilon=text)
        with pytest.raises(UserError, match="--radii must be a number in"):
            parse_radii(f"{text},1")


def test_no_radii_are_none():
    assert parse_radii(None) == []
    with pytest.raises(UserError, match="--radii must be a number"):
        parse_radii("")
