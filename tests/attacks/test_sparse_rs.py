"""Sparse-RS: what it asks for, what it finds, and how many pixels it exchanges."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from classifiers import images_of, linear_classifier, two_layers

from rnascl_keras.attacks import SparseRS
from rnascl_keras.attacks.state import margins

SHAPE = (4, 3, 2)


class LogitsOnly:
    """A classifier that gives nothing else, and counts what it is asked."""

    def __init__(self, model):
        self.model, self.asked = model, 0

    def logits(self, images):
        self.asked += len(images)
        return self.model.logits(images)


def largest_margins(model, images, labels, changed):
    """The largest margin of each image with so many pixels at corners of the colour cube, of all
    there are."""
    corners = np.array(list(product((0.0, 1.0), repeat=SHAPE[2])))
    best = np.full(len(images), -np.inf)
    for pixels in combinations(range(SHAPE[0] * SHAPE[1]), changed):
        for colours in product(corners, repeat=changed):
            tried = images.reshape(len(images), -1, SHAPE[2]).copy()
            tried[:, pixels] = np.array(colours)
            logits = model.logits(tried.reshape(images.shape))
            best = np.maximum(best, margins(logits, labels))
    return best


@pytest.mark.parametrize(
    ("kind", "changed", "ahead"),
    [(linear_classifier, 1, 4.0), (two_layers, 1, 0.0), (linear_classifier, 2, 8.0)],
)
def test_what_falls_is_what_exhaustive_search_says(kind, changed, ahead):
    model, images = kind(shape=SHAPE, classes=3), images_of(20, shape=SHAPE)
    model.bias = np.array([ahead, 0, 0])  # so that not all fall
    labels = model.logits(images).argmax(1)
    expected = largest_margins(model, images, labels, changed)
    attack = SparseRS(changed, queries=500)
    found = attack.perturb(LogitsOnly(model), images, labels)
    margin = margins(model.logits(found), labels)
    assert attack.norm.length(found - images).max() <= changed
    assert np.all(margin <= np.maximum(expected, margins(model.logits(images), labels)) + 1e-9)
    assert 0.1 < np.mean(expected > 0) < 1
    # the search exchanges one pixel at a time, and may end where only two at once would help
    assert np.mean((margin > 0) == (expected > 0)) >= 0.9
    robust = (expected < 0) & (margin < 0)
    assert np.mean(margin[robust] > expected[robust] - 1e-9) >= 0.6


@pytest.mark.parametrize("changed", [1, 5, 11, 12, 100])
def test_any_number_of_pixels_up_to_all(changed):
    model, images = two_layers(shape=SHAPE), images_of(6, shape=SHAPE)
    labels = model.logits(images).argmax(1)
    watched = LogitsOnly(model)
    attack = SparseRS(changed, queries=40)
    found = attack.perturb(watched, images, labels)
    lengths = attack.norm.length(found - images)
    assert lengths.max() <= changed and set(np.unique(found[found != images])) <= {0, 1}
    assert watched.asked <= 6 * (1 + 40)


def test_every_proposal_has_k_pixels_and_changes_as_many_as_scheduled():
    model, images = two_layers(shape=(12, 12, 3)), images_of(4, shape=(12, 12, 3))
    images = 0.1 + 0.8 * images  # so that a changed pixel is seen to be one
    labels = model.logits(images).argmax(1)
    exchanged = []

    class Watched(SparseRS):
        def advance(self, state, step):
            before, points = state.best_x, super().advance(state, step)
            assert np.all(self.norm.length(points - state.images) == 40)
            was, now = (np.any(x != state.images, axis=3) for x in (before, points))
            exchanged.append(np.sum(now & ~was, axis=(1, 2)).max())
            return points

        def settle(self, state, found, last=False):
            """Whatever falls stays, so that the whole schedule is seen."""
            state.note_best(np.ones(len(state), bool))

    Watched(40, queries=10_000 // 50).perturb(model, images, labels)
    # of 200 queries the number 1 is the 50th of 10,000, and so on
    thresholds = ((8000, 20), (6000, 15), (4000, 12), (2000, 10), (1000, 8), (500, 6), (200, 5))
    thresholds = (*thresholds, (50, 4), (0, 2))
    expected = [
        max(1, int(0.3 / next(by for after, by in thresholds if 50 * query > after) * 40))
        for query in range(1, 200)
    ]
    assert exchanged == expected


def test_it_needs_no_gradient_and_is_the_same_again():
    model, images = two_layers(shape=SHAPE), images_of(8, shape=SHAPE)
    labels = model.logits(images).argmax(1)
    first, again = (
        SparseRS(1, queries=50).perturb(LogitsOnly(model), images, labels, seed=3) for _ in "12"
    )
    np.testing.assert_array_equal(first, again)
    other = SparseRS(1, queries=50).perturb(LogitsOnly(model), images, labels, seed=4)
    assert np.any(other != first)
