"""Square: what it asks for, what it finds, and the squares it tries."""

import numpy as np
import pytest
from classifiers import images_of, two_layers

from rnascl_keras.attacks import AutoAttack, Square
from rnascl_keras.attacks.norms import L1, L2
from rnascl_keras.attacks.squares import bump, window

EPSILONS = {"Linf": 0.02, "L2": 0.3, "L1": 1.5}


@pytest.mark.parametrize("norm", EPSILONS)
def test_square_asks_for_logits_only_and_never_goes_back(norm):
    shape, epsilon = (10, 10, 2), EPSILONS[norm]
    model, images = two_layers(shape=shape), images_of(30, shape=shape)
    labels = model.logits(images).argmax(1)
    margins, lengths, numbers = [], [], []

    class LogitsOnly:
        logits = model.logits

    class Watched(Square):
        def propose(self, state, image, number):
            moved = super().propose(state, image, number)
            margins.append(dict(zip(state.rows, state.best_margin, strict=True)))
            lengths.append(self.norm.length(moved - state.images[image]))
            numbers.append(number)
            return moved

    attack = Watched(epsilon, norm=norm, queries=300)
    found = attack.perturb(LogitsOnly(), images, labels)
    for before, after in zip(margins, margins[1:], strict=False):
        assert all(after[row] >= before[row] for row in after)
    assert set(np.concatenate(numbers)) == set(range(300))
    assert 0 < np.mean(model.logits(found).argmax(1) == labels) < 1
    # the whole radius is used, but where [0, 1] ends
    assert np.median(np.concatenate(lengths)) > 0.8 * epsilon
    assert np.concatenate(lengths).max() <= epsilon + 1e-9


@pytest.mark.parametrize("norm", EPSILONS)
def test_square_finds_the_same_however_far_it_looks_ahead(norm, monkeypatch):
    shape, epsilon = (10, 10, 2), EPSILONS[norm]
    model, images = two_layers(shape=shape), images_of(30, shape=shape)
    labels, found = model.logits(images).argmax(1), []
    for full in (1, 30, 500):
        monkeypatch.setattr("rnascl_keras.attacks.square.FULL", full)
        found.append(Square(epsilon, norm=norm, queries=300).perturb(model, images, labels))
    np.testing.assert_allclose(found[1], found[0], atol=1e-12)
    np.testing.assert_allclose(found[2], found[0], atol=1e-12)


def test_squares_shrink_as_published():
    """Shares of the image after 0, 11, 51, ... of 10,000 queries, halved each time."""
    attack, steps = Square(0.1, queries=10_000), (0, 10, 11, 50, 51, 201, 501, 1001, 2001, 4001)

    class State:
        images = best_x = np.full((1, 32, 32, 1), 0.5)
        drawn = np.full((1, 64, 6), 0.3)

    number = np.array([*steps, 6001, 8001])
    changed = attack.propose(State, np.zeros(len(number), int), number) != 0.5
    sides = np.sqrt(changed.sum(axis=(1, 2, 3))).astype(int).tolist()
    shares = [0.8 / 2**k for k in (0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert sides == [max(1, round((share * 1024) ** 0.5)) for share in shares]


@pytest.mark.parametrize("norm", EPSILONS)
def test_in_auto_attack_squares_shrink_by_the_number_of_queries(norm):
    """The authors' code with its schedule as it is for 10,000 queries, of which it makes 5,000."""

    def share(query):  # from 1; the start is query 0
        share = 0.8
        for limit in (10, 50, 200, 500, 1000, 2000, 4000):
            share /= 2 if query > limit else 1
        return share

    members = [AutoAttack(0.1, norm=norm, version=v).attacks for v in ("standard", "plus")]
    squares = [member for m in members for member in m if member.key == "square"]
    number = np.arange(5000)
    expected = [round((share(query) * 1024) ** 0.5) for query in number + 1]
    for attack in squares:
        assert attack.steps == 5000
        assert attack._sides(number, 32 * 32).tolist() == expected
    alone = Square(0.1, norm=norm)._sides(number, 32 * 32)
    assert np.all(alone <= expected) and np.mean(alone < expected) > 0.3


def test_windows_lie_in_the_image_and_reach_every_edge():
    rng = np.random.default_rng(0)
    _, rows, columns = window(rng.random((500, 2)), 3, 7, 9)
    assert rows.min() == columns.min() == 0 and rows.max() == 6 and columns.max() == 8
    assert rows.shape == (500, 3, 1) and columns.shape == (500, 1, 3)


@pytest.mark.parametrize("norm", [L2, L1])
@pytest.mark.parametrize("side", [1, 2, 3, 6, 7])
def test_a_bump_has_length_one_and_two_halves_of_opposite_sign(side, norm):
    halves = bump(side, norm)
    order = {L2: 2, L1: 1}[norm]
    assert halves.shape == (side, side)
    assert np.linalg.norm(halves.ravel(), order) == pytest.approx(1)
    assert np.all(halves[: side // 2] > 0) and np.all(halves[side // 2 :] < 0)
