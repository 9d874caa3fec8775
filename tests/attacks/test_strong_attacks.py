"""APGD, FAB, Square, CW and AutoAttack on models whose nearest adversarial image is known."""

import numpy as np
import pytest
from classifiers import CLASSES, SHAPE, images_of, linear_classifier, two_layers
from scipy.optimize import brentq, linprog, minimize

from rnascl_keras.attacks import APGD, FAB, PGD, AutoAttack, CarliniWagnerL2, Square
from rnascl_keras.attacks.hyperplane import towards_hyperplane
from rnascl_keras.attacks.norms import NORMS, Linf
from rnascl_keras.attacks.squares import bump, window
from rnascl_keras.errors import UserError

PIXELS = int(np.prod(SHAPE))


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


@pytest.mark.parametrize("norm", NORMS.values())
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


def test_more_samples_add_up_the_gradients_of_a_random_model():
    class Noisy:
        rng = np.random.default_rng(0)
        asked = 0

        def logits(self, images):
            flat = images.reshape(len(images), -1)
            return np.stack([flat.sum(1), flat @ np.linspace(-1, 1, PIXELS), 0 * flat[:, 0]], 1)

        def logits_and_gradient(self, images, loss, labels, targets):
            self.asked += 1
            return self.logits(images), self.rng.normal(size=images.shape)

    model, images = Noisy(), images_of(4)
    AutoAttack(1e-4, version="rand").perturb(model, images, np.zeros(4, int))
    assert model.asked == 2 * 100 * 20


@pytest.mark.parametrize("norm", NORMS)
def test_square_asks_for_logits_only_and_never_goes_back(norm):
    shape, epsilon = (10, 10, 2), {"Linf": 0.02, "L2": 0.3}[norm]
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


@pytest.mark.parametrize("norm", NORMS)
def test_square_finds_the_same_however_far_it_looks_ahead(norm, monkeypatch):
    shape, epsilon = (10, 10, 2), {"Linf": 0.02, "L2": 0.3}[norm]
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


def test_windows_lie_in_the_image_and_reach_every_edge():
    rng = np.random.default_rng(0)
    _, rows, columns = window(rng.random((500, 2)), 3, 7, 9)
    assert rows.min() == columns.min() == 0 and rows.max() == 6 and columns.max() == 8
    assert rows.shape == (500, 3, 1) and columns.shape == (500, 1, 3)


@pytest.mark.parametrize("side", [1, 2, 3, 6, 7])
def test_a_bump_has_length_one_and_two_halves_of_opposite_sign(side):
    halves = bump(side)
    assert halves.shape == (side, side) and np.linalg.norm(halves) == pytest.approx(1)
    assert np.all(halves[: side // 2] > 0) and np.all(halves[side // 2 :] < 0)


def test_autoattack_has_the_members_of_its_versions():
    members = {
        version: [
            (attack.key, attack.restarts, attack.targets, attack.samples, attack.steps)
            for attack in AutoAttack(0.1, version=version).attacks
        ]
        for version in ("standard", "plus", "rand")
    }
    standard = [
        ("apgd_ce", 1, 0, 1, 100),
        ("apgd_t", 1, 9, 1, 100),
        ("fab_t", 1, 9, 1, 100),
        ("square", 1, 0, 1, 5000),
    ]
    assert members["standard"] == standard
    assert members["rand"] == [("apgd_ce", 1, 0, 20, 100), ("apgd_dlr", 1, 0, 20, 100)]
    assert members["plus"] == [
        ("apgd_ce", 5, 0, 1, 100),
        ("apgd_dlr", 5, 0, 1, 100),
        ("fab", 5, 0, 1, 100),
        standard[3],
        standard[1],
        standard[2],
    ]
    with pytest.raises(UserError, match="no version 'standart'.*Did you mean 'standard'"):
        AutoAttack(0.1, version="standart")


def test_members_attack_what_the_ones_before_have_left():
    model, images = two_layers(), images_of(40)
    labels = model.logits(images).argmax(1)
    attack, seen = AutoAttack(0.03), []
    for member in attack.attacks:
        run = member.run

        def watched(classifier, x, *rest, run=run, **settings):
            found = run(classifier, x, *rest, **settings)
            seen.append((len(x), int(found.robust.sum()), settings["indices"]))
            return found

        member.run = watched
    found = attack.perturb(model, images, labels)
    assert len(seen) == 4
    for (_, left, _), (given, _, indices) in zip(seen, seen[1:], strict=False):
        assert given == left == len(indices)
    robust = model.logits(found).argmax(1) == labels
    assert robust.sum() == seen[-1][1] and np.all(np.isin(np.flatnonzero(robust), seen[-1][2]))
