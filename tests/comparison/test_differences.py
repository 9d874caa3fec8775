"""Paired differences between methods: the interval's coverage, and what may be said of it."""

import io
import re

import numpy as np
import pytest
from scipy.stats import bootstrap

from rnascl_keras.comparison.differences import as_array, as_text, differences
from rnascl_keras.comparison.table import differences_table, in_words, points
from rnascl_keras.console import PlainConsole
from rnascl_keras.evaluation.intervals import paired_interval


def pairs(both, only_first, only_second, neither):
    """The outcomes of two students in those four cases."""
    counts = (both, only_first, only_second, neither)
    first, second = (1, 1, 0, 0), (1, 0, 1, 0)
    return (np.repeat(np.array(right, bool), counts) for right in (first, second))


def row(method, seed, *outcomes, adversarial=False):
    """A row of which clean and PGD-20 outcomes are given as text."""
    clean, attacked = outcomes
    return {
        "method": method,
        "name": method.capitalize(),
        "seed": seed,
        "adversarial": adversarial,
        "n": len(clean),
        "pgd20": {"epsilon": [8 / 255]},
        "right": {"clean": clean, "pgd20": [attacked]},
    }


def test_interval_of_published_counts():
    """Airway hyper-responsiveness before and after, Fagerland et al. (2014), Newcombe's method."""
    low, high = paired_interval(*pairs(1, 1, 7, 12))
    assert (round(low, 3), round(high, 3)) == (-0.507, -0.026)


@pytest.mark.parametrize("shares", [(0.5, 0.15, 0.1, 0.25), (0.01, 0.02, 0.01, 0.96)])
def test_interval_covers_the_true_difference(shares):
    counts = np.random.default_rng(0).multinomial(300, shares, size=1500)
    true, covered = shares[1] - shares[2], 0
    for drawn in counts:
        low, high = paired_interval(*pairs(*drawn))
        covered += low <= true <= high
    assert 0.93 <= covered / len(counts) <= 0.99


def test_interval_is_about_that_of_a_paired_bootstrap():
    first, second = pairs(300, 120, 60, 520)
    apart = np.float64(first) - np.float64(second)
    drawn = bootstrap((apart,), np.mean, method="percentile", rng=np.random.default_rng(0))
    low, high = paired_interval(first, second)
    assert low == pytest.approx(drawn.confidence_interval.low, abs=3e-3)
    assert high == pytest.approx(drawn.confidence_interval.high, abs=3e-3)


def test_interval_at_the_ends():
    low, high = paired_interval(*pairs(0, 0, 0, 500))  # nothing right: yet not certain
    assert low == pytest.approx(-high) and 0.003 < high < 0.02
    assert paired_interval(*pairs(0, 400, 0, 0))[1] <= 1
    first, second = pairs(10, 9, 4, 20)
    low, high = paired_interval(first, second)
    np.testing.assert_allclose(paired_interval(second, first), [-high, -low])


def test_outcomes_as_text_and_back():
    right = np.array([True, False, False, True])
    assert as_text(right) == "1001"
    np.testing.assert_array_equal(as_array("1001"), right)


def test_differences_pair_each_method_with_the_paper_s_own_of_its_kind_and_seed():
    rows = [
        row("searched", 0, "1" * 40, "1" * 40),
        row("searched", 1, "1" * 40, "1" * 40),
        row("random", 0, "1" * 40, "1" * 10 + "0" * 30),
        row("random", 1, "1" * 40, "1" * 20 + "0" * 20),
        row("uniform", 0, "1" * 40, "1" * 39 + "0"),
        row("ard", 0, "1" * 40, "0" * 40, adversarial=True),  # searched_trades is not there
    ]
    found = {(d["against"], d["measure"]): d for d in differences(rows)}
    assert {against for against, _ in found} == {"random", "uniform"}
    attacked = found["random", "pgd20"]
    assert [s["seed"] for s in attacked["seeds"]] == [0, 1]
    assert [s["only_first"] for s in attacked["seeds"]] == [30, 20]
    assert [s["only_second"] for s in attacked["seeds"]] == [0, 0]
    assert attacked["mean"] == pytest.approx(25 / 40) and attacked["n"] == 40
    assert attacked["verdict"] == "better" and attacked["epsilon"] == 8 / 255
    assert found["random", "clean"]["verdict"] == "undecided"
    assert found["uniform", "pgd20"]["verdict"] == "undecided"


def test_one_seed_that_does_not_agree_leaves_it_undecided():
    rows = [row("searched", seed, "1" * 40, "1" * 20 + "0" * 20) for seed in (0, 1)]
    rows += [row("random", seed, "1" * 40, "01"[seed] * 40) for seed in (0, 1)]
    attacked = differences(rows)[1]
    assert [np.sign(seed["interval"]).tolist() for seed in attacked["seeds"]] == [[1, 1], [-1, -1]]
    assert attacked["verdict"] == "undecided"


def test_what_is_said_of_them():
    rows = [row("searched", 0, "1" * 40, "1" * 40), row("random", 0, "1" * 40, "0" * 40)]
    found, names = differences(rows), {"searched": "Searched", "random": "Random"}
    sentence = in_words(names, found)
    assert sentence == (
        "Searched, against Random (one seed): better on PGD-20 at 8/255; not told apart on clean."
    )
    console = PlainConsole(width=80, file=io.StringIO())
    console.print(differences_table(names, found))
    printed = console.file.getvalue()
    assert "Searched - Random" in printed and "+100.0" in printed
    assert (points(-0.0123), points(0.02), points(-0.0001)) == ("−1.2", "+2.0", "0.0")


def test_a_method_s_name_is_no_markup_and_bold():
    rows = [row("searched", 0, "11", "11"), row("random", 0, "11", "01")]
    names = {"searched": "Searched[v1]", "random": ":cat:"}
    seen = {"force_terminal": True, "color_system": "standard"}
    console = PlainConsole(width=80, file=io.StringIO(), **seen)
    console.print(differences_table(names, differences(rows)))
    assert re.search(r"\x1b\[1mSearched\[v1\] - :cat: *\x1b\[0m", console.file.getvalue())
