"""Attacks in L1: on models whose worst case is known, and Auto-PGD's way through three balls."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers import CLASSES, images_of, linear_classifier, two_layers

from rnascl_keras.attacks import APGD, CW, FAB, FGSM, PGD, AutoAttack, Square
from rnascl_keras.attacks.apgd_l1 import SparseSteps
from rnascl_keras.attacks.norms import L1


def gains(model, images, labels, epsilon):
    """By how much each class can overtake the true one within the L1 ball and [0, 1], (n, classes):
    the radius goes to the largest weights first, to each as far as 0 or 1 (a fractional knapsack).
    A linear model, so this is exact."""
    result = np.full((len(images), CLASSES), -np.inf)
    for i, label in enumerate(labels):
        for k in set(range(CLASSES)) - {label}:
            apart = model.weight[:, k] - model.weight[:, label]
            image, left = images[i].ravel(), epsilon
            value = image @ apart + model.bias[k] - model.bias[label]
            for j in np.argsort(-np.abs(apart)):
                move = min(left, 1 - image[j] if apart[j] > 0 else image[j])
                value, left = value + move * abs(apart[j]), left - move
            result[i, k] = value
    return result


ATTACKS = {
    "apgd_ce": lambda epsilon: APGD(epsilon, norm="L1"),
    "apgd_dlr": lambda epsilon: APGD(epsilon, norm="L1", loss="dlr"),
    "apgd_t": lambda epsilon: APGD(epsilon, norm="L1", loss="targeted_dlr"),
    "fab": lambda epsilon: FAB(epsilon, norm="L1", targeted=False),
    "fab_t": lambda epsilon: FAB(epsilon, norm="L1"),
}


@pytest.mark.parametrize("epsilon", [0.3, 1.0])
@pytest.mark.parametrize("name", ATTACKS)
def test_l1_attacks_break_exactly_what_can_be_broken(name, epsilon):
    model, images = linear_classifier(), images_of(60)
    labels = model.logits(images).argmax(1)
    worst = gains(model, images, labels, epsilon).max(1)
    expected = worst < 0
    assert 0.15 < expected.mean() < 0.9
    found = ATTACKS[name](epsilon).perturb(model, images, labels)
    assert L1.length(found - images).max() <= epsilon + 1e-9
    robust = model.logits(found).argmax(1) == labels
    # What no image can reach, none may claim; untargeted losses may head for the wrong class.
    assert not np.any(~robust & expected)
    clear = np.abs(worst) > 0.02
    assert np.sum((robust & ~expected)[clear]) <= (0 if name == "fab_t" else 2)


@pytest.mark.parametrize(("epsilon", "least"), [(0.2, 0.8), (1.0, 0.85), (4.0, 0.95)])
def test_apgd_comes_to_the_worst_point_of_a_linear_model(epsilon, least):
    """The whole of what can be gained but for a part: a step that goes along two values equally far
    cannot leave the second for the first, so the radius may stay divided between them.

    Two classes, so that there is one way, and images that cannot be broken. Values come to 0 or 1
    on it, but do not begin there: steps go along those of large gradients all the same.
    """
    weight = np.random.default_rng(3).normal(size=(40, 1))
    model = linear_classifier(classes=2)
    model.weight, model.bias = np.hstack([weight, -weight]), np.array([25.0, -25.0])
    images = 0.3 + 0.4 * images_of(20)
    found = APGD(epsilon, norm="L1").perturb(model, images, np.zeros(20, int))
    gained = (found - images).reshape(20, -1) @ (-2 * weight[:, 0])
    best = np.array([best_gain(x.ravel(), -2 * weight[:, 0], epsilon) for x in images])
    assert np.all(gained <= best + 1e-9) and np.all(gained >= least * best)


def best_gain(image, slope, epsilon):
    """What a change of length epsilon gains at most along a slope, largest entries first."""
    gain = 0.0
    for j in np.argsort(-np.abs(slope)):
        move = min(epsilon, 1 - image[j] if slope[j] > 0 else image[j])
        gain, epsilon = gain + move * abs(slope[j]), epsilon - move
    return gain


def test_in_l1_stronger_attacks_leave_fewer_images():
    model, images = two_layers(), images_of(60)
    labels = model.logits(images).argmax(1)

    def left(attack):
        found = attack.perturb(model, images, labels)
        assert L1.length(found - images).max() <= 0.6 + 1e-9
        return int(np.sum(model.logits(found).argmax(1) == labels))

    by_steps = [left(kind(0.6, norm="L1")) for kind in (FGSM, PGD, CW)]
    by_apgd, by_square = left(APGD(0.6, norm="L1")), left(Square(0.6, norm="L1", queries=500))
    assert by_apgd < min(by_steps) and max(by_steps) < 50 and by_square < 50
    assert left(AutoAttack(0.6, norm="L1")) <= by_apgd


def test_auto_attack_has_the_authors_members_in_l1():
    members = [
        (attack.key, attack.restarts, attack.targets, attack.norm)
        for attack in AutoAttack(12, norm="L1").attacks
    ]
    assert members == [
        ("apgd_ce", 5, 0, L1),
        ("apgd_t", 1, 5, L1),
        ("fab_t", 1, 9, L1),
        ("square", 1, 0, L1),
    ]
    assert "but 5 runs of the first" in AutoAttack(12, norm="L1").how
    assert "but" not in AutoAttack(0.1).how


@pytest.mark.parametrize(
    ("steps", "lengths"),
    [(1, (0, 0, 1)), (2, (0, 0, 2)), (3, (1, 1, 1)), (4, (1, 1, 2)), (100, (30, 30, 40))],
)
def test_apgd_goes_through_three_balls_whatever_the_steps(steps, lengths):
    assert SparseSteps(1.0, steps).lengths == lengths
    model, images = two_layers(), images_of(5)
    labels = model.logits(images).argmax(1)
    balls, inside = [], []

    class Watched(APGD):
        def settle(self, state, found, last=False):
            balls.append(state.ball)
            inside.append(L1.length(state.x - state.images).max() / 1e-3)
            super().settle(state, found, last)

    found = Watched(1e-3, norm="L1", steps=steps).perturb(model, images, labels)
    # one look more than there are moves, for each ball begins with one
    assert [balls.count(ball) for ball in range(3)] == [length + 1 for length in lengths]
    assert balls == sorted(balls)
    assert np.all(np.array(inside) <= np.array([3, 2, 1])[balls] + 1e-6)
    assert L1.length(found - images).max() <= 1e-3 + 1e-12


def test_apgd_counts_nothing_that_falls_outside_the_ball():
    """At three times the radius all fall, at the radius none."""
    weight = np.ones((40, 1))
    model = linear_classifier(classes=2)
    model.weight, model.bias = np.hstack([weight, -weight]), np.zeros(2)
    images = np.full((3, 5, 4, 2), 0.025)  # the sum of all pixels is 1
    found = APGD(0.99, norm="L1").perturb(model, images, np.zeros(3, int))
    assert np.all(model.logits(found).argmax(1) == 0)
    assert L1.length(found - images).max() <= 0.99 + 1e-9
    found = APGD(1.0 + 1e-6, norm="L1").perturb(model, images - 1e-3, np.zeros(3, int))
    assert np.all(L1.length(found - images + 1e-3) <= 1.0 + 1e-5)
