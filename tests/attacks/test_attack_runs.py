"""The runs of an attack: restarts, what they find, and which images are still looked at."""

import itertools

import numpy as np
import pytest
from classifiers import CLASSES, images_of, two_layers

from rnascl_keras.attacks import FGSM, PGD
from rnascl_keras.attacks.state import Found

IMAGES = images_of()


def test_restarts_start_elsewhere_and_break_no_fewer_images():
    model, images = two_layers(), images_of(60)
    labels = model.logits(images).argmax(1)

    class Recording(PGD):
        def start(self, state):
            self.starts.append((state.rows, super().start(state)))
            return self.starts[-1][1]

    attack = Recording(0.05, steps=2, step_size=0.01, restarts=3)
    attack.starts = []
    found = model.logits(attack.perturb(model, images, labels)).argmax(1) == labels
    first = PGD(0.05, steps=2, step_size=0.01)
    once = model.logits(first.perturb(model, images, labels)).argmax(1) == labels
    assert len(attack.starts) == 2
    assert np.all(found <= once) and found.sum() < once.sum()
    rows, points = attack.starts[1]
    # the second and third run start, side by side, with what the first has left, elsewhere
    np.testing.assert_array_equal(rows, np.tile(np.flatnonzero(once), 2))
    starts = attack.starts[0][1][once], *np.split(points, 2)
    for one, other in itertools.combinations(starts, 2):
        assert not np.any(np.isclose(one, other, atol=1e-6).all((1, 2, 3)))


def test_of_runs_side_by_side_the_first_to_fall_and_the_largest_margin_count():
    images, labels = np.zeros((3, 1, 1, 1)), np.zeros(3, int)
    found = Found.nothing(images, labels, np.array([[1.0, 0.0]] * 3))
    points = np.arange(1.0, 5.0).reshape(4, 1, 1, 1)
    found.fell(np.array([1, 2, 1]), points[:3], np.array([0.1, 0.2, 0.3]))
    assert found.robust.tolist() == [True, False, False]
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2] and found.margin[1] == 0.1
    found.offer(np.array([0, 0, 0]), points[:3], np.array([-3.0, -1.0, -2.0]))
    assert found.images[0, 0, 0, 0] == 2 and found.margin[0] == -1


def test_runs_side_by_side_find_what_runs_one_by_one_find():
    """Of each image that a later run breaks, the run that needs the fewest steps counts."""
    model, images = two_layers(), images_of(60)
    labels = model.logits(images).argmax(1)
    together = PGD(0.05, steps=4, step_size=0.01, restarts=5).perturb(model, images, labels)
    broken, seen = model.logits(together).argmax(1) != labels, np.zeros(60, bool)
    logits = model.logits(images)
    for run in range(5):

        class Only(PGD):
            def start(self, state, run=run):
                numbers = [np.random.default_rng((0, int(i), run)) for i in state.rows]
                state.generators = np.array(numbers)
                return super().start(state)

        alone = Only(0.05, steps=4, step_size=0.01).run(model, images, labels, logits)
        fallen = ~alone.robust
        seen |= fallen
        if run == 0:
            np.testing.assert_array_equal(together[fallen], alone.images[fallen])
    np.testing.assert_array_equal(broken, seen)
    assert 0 < seen.sum() < 60


def test_seed_moves_pgd_and_nothing_else():
    model = two_layers()
    labels = model.logits(IMAGES).argmax(1)
    one_step = PGD(0.1, steps=1, stop_early=False)
    first = one_step.perturb(model, IMAGES, labels, seed=0)
    assert not np.allclose(first, one_step.perturb(model, IMAGES, labels, seed=1))
    np.testing.assert_array_equal(first, one_step.perturb(model, IMAGES, labels, seed=0))
    fgsm = [FGSM(0.1).perturb(model, IMAGES, labels, seed=seed) for seed in (0, 1)]
    np.testing.assert_array_equal(*fgsm)


def test_only_what_is_unbroken_is_looked_at_in_full_batches():
    model, images = two_layers(), images_of(50)
    labels = model.logits(images).argmax(1)
    labels[:7] = (labels[:7] + 1) % CLASSES  # wrong already
    model.asked.clear()
    PGD(0.05).perturb(model, images, labels, batch_size=100)
    clean, *asked = model.asked
    assert clean == 50 and asked[0] == 43 and asked[-1] < 30
    assert np.all(np.diff(asked) <= 0)
    model.asked.clear()
    PGD(0.05).perturb(model, images, labels, batch_size=8)
    assert len(model.asked) == 7 + sum(-(-count // 8) for count in asked)


def test_progress_tells_what_is_done_and_what_is_left():
    model = two_layers()
    labels = model.logits(IMAGES).argmax(1)
    told = []
    found = PGD(0.06, restarts=2).perturb(
        model, IMAGES, labels, progress=lambda *seen: told.append(seen)
    )
    done, right = np.array(told).T
    assert np.all(np.diff(done) > 0) and done[-1] == pytest.approx(1) and len(told) == 2 * 21
    assert np.all(np.diff(right) <= 0)
    assert right[-1] == np.mean(model.logits(found).argmax(1) == labels)
