"""APGD, FAB and CW on models whose nearest adversarial image is known."""

import numpy as np
import pytest
from classifiers import CLASSES, images_of, linear_classifier, two_layers
from scipy.optimize import brentq, linprog, minimize

from rnascl_keras.attacks import APGD, FAB, PGD, AutoAttack, CarliniWagnerL2
from rnascl_keras.attacks.hyperplane import towards_hyperplane
from rnascl_keras.attacks.norms import L1, L2, Linf


def gains(model, images, labels, epsilon):
    """By how much each class can overtake the true one within the L-infinity ball and [0, 1]:
    every pixel goes to its end. A linear model, so this is exact: (n, classes)."""
    low, high = np.maximum(images - epsilon, 0), np.minimum(images + epsilon, 1)
    result = np.empty((len(images), CLASSES))
    for i, label in enumerate(labels):
        apart = model.weight - model.weight[:, [label]]  # (pixels, classes)
        ends = np.maximum(apart * low[i].reshape(-1, 1), apart * high[i].reshape(-1, 1))
        result[i] = ends.sum(0) + model.bias - model.bias[label]
        result[i, label] = -np.inf
    return result


LINF = {
    "apgd_ce": lambda epsilon: APGD(epsilon, loss="ce"),
    "apgd_dlr": lambda epsilon: APGD(epsilon, loss="dlr"),
    "apgd_t": lambda epsilon: APGD(epsilon, loss="targeted_dlr"),
    "fab": lambda epsilon: FAB(epsilon, targeted=False),
    "fab_t": FAB,
}


@pytest.mark.parametrize("epsilon", [0.01, 0.03])
@pytest.mark.parametrize("name", LINF)
def test_linf_attacks_break_exactly_what_can_be_broken(name, epsilon):
    model, images = linear_classifier(), images_of(60)
    labels = model.logits(images).argmax(1)
    expected = gains(model, images, labels, epsilon).max(1) < 0
    assert 0.2 < expected.mean() < 0.9
    robust = model.logits(LINF[name](epsilon).perturb(model, images, labels)).argmax(1) == labels
    wrong = robust != expected
    # What no image can reach, none may claim; untargeted losses may head for the wrong class.
    assert not np.any(wrong & expected)
    assert wrong.sum() <= (0 if name in ("apgd_t", "fab_t") else 2)


@pytest.mark.parametrize("epsilon", [0.03, 0.1])
@pytest.mark.parametrize("kind", [FAB, CarliniWagnerL2, APGD])
def test_l2_attacks_break_exactly_what_can_be_broken(kind, epsilon):
    """Far from 0 and 1, the distance to class k is the difference of logits over |w_k - w_y|."""
    model = linear_classifier()
    images = 0.4 + 0.2 * images_of(60)
    labels = model.logits(images).argmax(1)
    logits = model.logits(images)
    apart = logits[np.arange(60), labels][:, None] - logits
    lengths = np.linalg.norm(model.weight[:, None, :] - model.weight[:, labels][:, :, None], axis=0)
    distance = np.where(lengths > 0, apart / np.maximum(lengths, 1e-9), np.inf).min(1)
    clear = np.abs(distance - epsilon) > 0.01 * epsilon
    assert clear.sum() > 50 and 0.1 < np.mean(distance > epsilon) < 0.95
    found = kind(epsilon, norm="L2").perturb(model, images, labels)
    robust = model.logits(found).argmax(1) == labels
    np.testing.assert_array_equal(robust[clear], (distance > epsilon)[clear])


def test_fab_finds_the_nearest_point_of_the_boundary():
    """With 2 % more than the least distance it gets there, with less it claims nothing."""
    model, images = linear_classifier(), images_of(8)
    labels = model.logits(images).argmax(1)
    for i in range(8):
        one = slice(i, i + 1)
        least = brentq(lambda r, one=one: gains(model, images[one], labels[one], r).max(), 0, 1)
        for factor, broken in ((1.02, True), (0.999, False)):
            found = FAB(factor * least).perturb(model, images[one], labels[one])
            assert (model.logits(found).argmax(1)[0] != labels[i]) == broken


@pytest.mark.parametrize("norm", [Linf, L2, L1])
def test_the_shortest_way_to_a_hyperplane_in_the_unit_cube(norm):
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.2, 1.2, (8, 2, 3, 1)).clip(0, 1)
    normal = rng.normal(size=points.shape)
    normal[0, 0, 0] = 0
    distance = rng.uniform(-1.5, 1.5, 8)
    found = towards_hyperplane(points, normal, distance, norm)
    assert np.all(points + found >= -1e-12) and np.all(points + found <= 1 + 1e-12)
    for i in range(8):
        x, w, d = points[i].ravel(), normal[i].ravel(), distance[i]
        reach = np.where(w * d > 0, 1 - x, x) @ np.abs(w)
        change = found[i].ravel()
        if reach < abs(d):  # the nearest corner
            assert w @ change == pytest.approx(np.sign(d) * reach)
            continue
        assert w @ change == pytest.approx(d, abs=1e-10)
        if norm is Linf:
            # minimise t with |change| <= t
            bounds = [(-p, 1 - p) for p in x] + [(0, None)]
            limits = np.block([[np.eye(6), -np.ones((6, 1))], [-np.eye(6), -np.ones((6, 1))]])
            best = linprog([0] * 6 + [1], limits, np.zeros(12), [[*w, 0]], [d], bounds=bounds).fun
            assert np.abs(change).max() == pytest.approx(best, abs=1e-9)
        elif norm is L1:
            # minimise the sum of t with |change| <= t
            bounds = [(-p, 1 - p) for p in x] + [(0, None)] * 6
            limits = np.block([[np.eye(6), -np.eye(6)], [-np.eye(6), -np.eye(6)]])
            cost, equal = [0] * 6 + [1] * 6, [[*w, *[0] * 6]]
            best = linprog(cost, limits, np.zeros(12), equal, [d], bounds=bounds).fun
            assert np.abs(change).sum() == pytest.approx(best, abs=1e-9)
        else:
            best = minimize(
                lambda c: c @ c,
                change,
                jac=lambda c: 2 * c,
                bounds=[(-p, 1 - p) for p in x],
                constraints={"type": "eq", "fun": lambda c, w=w, d=d: w @ c - d},
                tol=1e-12,
            ).fun
            assert change @ change == pytest.approx(best, rel=1e-5)


def test_apgd_is_at_least_as_strong_as_pgd_on_a_bent_boundary():
    model, images = two_layers(), images_of(80)
    labels = model.logits(images).argmax(1)

    def robust(attack):
        return model.logits(attack.perturb(model, images, labels)).argmax(1) == labels

    pgd = robust(PGD(0.03))
    whole = robust(AutoAttack(0.03))
    assert 0 < whole.sum() <= pgd.sum() < 80
    assert np.all(whole <= pgd)
    assert robust(APGD(0.03)).sum() <= pgd.sum()


def test_apgd_halves_its_step_and_goes_back_to_the_best():
    model, images = two_layers(), images_of(30)
    labels = model.logits(images).argmax(1)
    steps, best = [], []

    class Watched(APGD):
        def advance(self, state, step):
            moved = super().advance(state, step)
            steps.append(state.step_size.ravel().max())
            best.append(state.best_loss.min())
            return moved

    Watched(0.001).perturb(model, images, labels)
    assert len(steps) == 100 and np.all(np.diff(best) >= 0)
    assert steps[0] == pytest.approx(0.002) and steps[21] == pytest.approx(0.002)
    # In so small a ball the best point is found at once, and nothing grows any more.
    assert steps[-1] <= 0.002 / 2**3
    changes = np.flatnonzero(np.diff(steps)) + 1
    assert set(changes) <= {22, 41, 57, 70, 80, 87, 93, 99}


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_apgd_starts_on_the_boundary_of_the_ball(norm):
    """x + epsilon t / max|t| of uniform t in L-infinity, of normal t / |t| in L2."""
    model, images = two_layers(), images_of(5)
    epsilon, started = 1e-4, []

    class Watched(APGD):
        def start(self, state):
            started.append(super().start(state))
            return started[0]

    Watched(epsilon, norm=norm, steps=1).perturb(
        model, images, model.logits(images).argmax(1), seed=7
    )
    for k, (found, image) in enumerate(zip(started[0], images, strict=True)):
        random = np.random.default_rng((7, k, 0))
        if norm == "Linf":
            t = random.uniform(-1, 1, image.shape)
            t /= np.abs(t).max()
        else:
            t = random.normal(size=image.shape)
            t /= np.sqrt(np.sum(t**2))
        np.testing.assert_allclose(found - image, epsilon * t, atol=1e-12)
