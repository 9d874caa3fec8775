"""What a search selects, within a budget too, and the weights that a student may start from."""

import itertools
import math

import keras
import numpy as np
import pytest
from tiny_models import CLASSES, IMAGE, TINY, make_search

from rnascl_keras.errors import UserError
from rnascl_keras.method import cost
from rnascl_keras.method.derive import copy_sliced_weights, derive, select, select_widths
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.method.spaces import SPACES, SearchSpace, Stage

HEADED = SearchSpace("headed", (Stage(2, (3, 9, 5), 1), Stage(1, (2, 7))), 4, 2, head_width=12)


def students(space, image, classes):
    """Yield (picks, multiply-adds) of every student."""
    rows = [stage.widths for stage in space.stages for _ in range(stage.depth)]
    for picks in itertools.product(*(range(len(row)) for row in rows)):
        flat = iter(row[k] for row, k in zip(rows, picks, strict=True))
        widths = [[next(flat) for _ in range(stage.depth)] for stage in space.stages]
        yield picks, widths, cost.count_macs(space, widths, image, classes)


@pytest.mark.parametrize("space", [TINY, HEADED], ids=["tiny", "headed"])
@pytest.mark.parametrize("seed", range(4))
def test_the_most_probable_within_a_budget_equals_brute_force(space, seed):
    rng = np.random.default_rng(seed)
    image, classes = (9, 6, 3), 4
    everyone = list(students(space, image, classes))
    lengths = [len(stage.widths) for stage in space.stages for _ in range(stage.depth)]
    probabilities = [rng.dirichlet(np.full(n, 0.7)) for n in lengths]

    def log_p(picks):
        return sum(math.log(p[k]) for p, k in zip(probabilities, picks, strict=True))

    budgets = sorted({macs for *_, macs in everyone})
    for budget in [*budgets, *(b + 0.5 for b in budgets), 1e12]:
        best = max((log_p(picks), widths) for picks, widths, macs in everyone if macs <= budget)
        found = select_widths(space, probabilities, image, classes, budget)
        assert found == best[1]


def test_a_budget_that_all_keep_changes_nothing():
    rng = np.random.default_rng(5)
    space = SPACES["I"]
    probabilities = [
        rng.dirichlet(np.ones(len(s.widths))) for s in space.stages for _ in range(s.depth)
    ]
    free = select_widths(space, probabilities, (224, 224, 3), 100)
    assert select_widths(space, probabilities, (224, 224, 3), 100, 1e12) == free
    tight = select_widths(space, probabilities, (224, 224, 3), 100, 185e6)
    assert cost.count_macs(space, tight, (224, 224, 3), 100) <= 185e6 and tight != free


def outcome(channel_logits, **changes):
    names = [f"c{k}" for k in range(len(channel_logits))]
    settings = {
        "space": TINY,
        "input_shape": IMAGE,
        "classes": CLASSES,
        "teacher": "t",
        "student_layers": ["a", "b"],
        "teacher_layers": ["x", "y", "z"],
        "tutor_logits": np.float32([[0.1, 0.3, 0.2], [-1, -3, -2]]),
        "channel_logits": {
            name: np.float32(row) for name, row in zip(names, channel_logits, strict=True)
        },
    }
    return SearchOutcome(**{**settings, **changes})


def test_the_argmax_of_the_parameters_is_selected():
    found = select(outcome([[0, 1], [2, 1], [-3, -1, -2], [5, 4, 4.9]]))
    assert found.widths == ((2, 4), (4, 6))
    assert [(t.student_layer, t.teacher_layer) for t in found.tutors] == [("a", "y"), ("b", "x")]
    assert (found.teacher, found.input_shape, found.classes) == ("t", IMAGE, CLASSES)


def test_a_budget_with_parameters_far_apart():
    """After a long search a choice may be e^-150 as probable: still better than e^-300."""
    logits = [[0, -150], [0, -300], [0, -201, -410], [0, -200, -405]]
    probabilities = outcome(logits).channel_probabilities
    for budget in sorted({macs for *_, macs in students(TINY, IMAGE, CLASSES)}):
        best = max(
            (sum(row[k] for row, k in zip(logits, picks, strict=True)), widths)
            for picks, widths, macs in students(TINY, IMAGE, CLASSES)
            if macs <= budget
        )
        assert select_widths(TINY, probabilities, IMAGE, CLASSES, budget) == best[1]


def test_too_small_a_budget_is_told():
    smallest = min(macs for *_, macs in students(TINY, IMAGE, CLASSES))
    flat = outcome([[0, 0], [0, 0], [0, 0, 0], [0, 0, 0]])
    assert select(flat, smallest).widths == ((2, 2), (2, 2))
    with pytest.raises(UserError, match=f"smallest student of space 'tiny' has {smallest:,}"):
        select(flat, smallest - 1)


def test_deriving_from_a_search_and_from_its_file(tmp_path):
    search = make_search()
    rng = np.random.default_rng(0)
    for choice in search.gumbel_choices:
        choice.logits.assign(rng.normal(size=choice.logits.shape))
    found = derive(search)
    flat = [width for row in found.widths for width in row]
    for choice, width in zip(search.supernet.choices, flat, strict=True):
        assert choice.widths[int(np.argmax(choice.logits))] == width
    assert [t.student_layer for t in found.tutors] == search.student_layers
    chosen = np.argmax(search.tutor_choice.logits, -1)
    assert [t.teacher_layer for t in found.tutors] == [search.teacher_layers[j] for j in chosen]
    path = SearchOutcome.of(search).save(tmp_path / "outcome.json")
    assert select(SearchOutcome.load(path)) == found
    assert select(SearchOutcome.load(path), 60_000) == derive(search, 60_000)
    path.write_text('{"space": {}}')
    with pytest.raises(UserError, match="not the outcome of a search"):
        SearchOutcome.load(path)


def test_sliced_weights_are_leading_parts():
    search = make_search()
    supernet = search.supernet
    rng = np.random.default_rng(1)
    supernet.set_weights([rng.normal(size=w.shape) for w in supernet.get_weights()])
    student = derive(search).build()
    copy_sliced_weights(supernet, student)
    shared = {v.path.removeprefix("supernet/"): np.asarray(v) for v in supernet.variables}
    for variable in student.variables:
        whole = shared[variable.path.removeprefix("student/")]
        np.testing.assert_array_equal(variable, whole[tuple(slice(n) for n in variable.shape)])
    assert keras.models.clone_model(student).count_params() < supernet.count_params()


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("max_macs", [None, 1e9])
def test_a_search_that_has_diverged_is_refused(value, max_macs, tmp_path):
    """Whichever of its variables it is; and from the file that a search left."""
    search = make_search()
    derive(search, max_macs)
    for variable in (search.tutor_choice.logits, search.supernet.choices[1].logits):
        variable[0].assign(variable[0] * 0 + value)
        with pytest.raises(UserError, match="NaN or infinite.*search.learning_rate"):
            derive(search, max_macs)
        path = SearchOutcome.of(search).save(tmp_path / "outcome.json")
        with pytest.raises(UserError, match="NaN or infinite.*search.learning_rate"):
            select(SearchOutcome.load(path), max_macs)
        variable[0].assign(np.zeros(variable[0].shape))
    weights = search.supernet.trainable_variables[0]
    weights.assign(np.full(weights.shape, value))
    with pytest.raises(UserError, match="supernet of this search holds NaN"):
        derive(search, max_macs)
    with pytest.raises(UserError, match="supernet holds NaN"):
        copy_sliced_weights(search.supernet, derive(make_search()).build())
