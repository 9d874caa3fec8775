"""What every attack shares: start, projection, loop, restarts, what is best so far, who has fallen.

An attack is a small class on `IteratedAttack` that says only how it differs: its loss, its start,
and where it goes next. The algorithms are NumPy on the host; the model's part of each step, logits
and input gradient, is the classifier's: one compiled function where it is a Keras model. Images
leave as they fall, so the model sees only those still classified right, in full batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.attack import Attack, Progress
from rnascl_keras.attacks.classifier import Classifier, check_can_be_attacked
from rnascl_keras.attacks.runs import Runs
from rnascl_keras.attacks.state import Found, State, margins
from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.attacks.whole_pixels import rounded_into_ball, takes_whole_pixels
from rnascl_keras.attacks.words import WHERE_IT_STARTS, counted_steps, runs_in_words
from rnascl_keras.errors import ModelFailed, UserError


class IteratedAttack(Attack):
    """An attack that looks at a point, moves, and looks again.

    A subclass sets `key`, `name` and those of the attributes that differ, and overrides `advance`;
    where it differs in more, these too:

    - `start`: the first points, and the arrays that the attack keeps in its state;
    - `project`: how points come back into the ball;
    - `look`: what the model is asked about the points;
    - `settle`: what is concluded from its answer;
    - `climb`: all of that, in another order.

    Attributes:
        loss: what is raised, see `losses`; in a class body a function of one's own stands as a
            `losses.Loss` or a `staticmethod`.
        state_type: the kind of `State` that holds the attack's own arrays.
        follows_gradient: whether `advance` wants `state.gradient`.
        best_so_far: whether an image that does not fall comes back at its point of largest loss
            (or as it was, where that has the larger margin), or where the run ended.
        least_classes: how many the loss needs.
        samples: gradients that are added up for one step: more than one where the model is random.
        confined: whether all points are projected into the ball; one that is not, is an adversarial
            image only where it lies inside.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf", "L2" or "L1".
        steps: number of moves.
        random_start: start from a uniform point of the ball instead of the image.
        restarts: number of runs, of which an image that does not fall keeps the best.
        targets: number of target classes, the most probable first, for each of which all restarts
            are run; 0 for an untargeted attack. The first run is made alone, for most images that
            fall, fall in it; then all others side by side, so that few images, too, fill a batch.
        stop_early: an image is done with as soon as it is misclassified. Without, it goes through
            all steps, and counts by where it ends.
    """

    loss: losses.LossFunction = losses.log_odds
    state_type: type[State] = State
    follows_gradient = True
    best_so_far = False
    confined = True
    least_classes = 2
    samples = 1

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "Linf",
        steps: int,
        random_start: bool = False,
        restarts: int = 1,
        targets: int = 0,
        stop_early: bool = True,
    ) -> None:
        super().__init__(epsilon, norm=norm)
        self.steps = steps
        self.random_start = random_start
        self.restarts = restarts
        self.targets = targets
        self.stop_early = stop_early

    @property
    def how(self) -> str:
        start = WHERE_IT_STARTS[self.random_start]
        runs = runs_in_words(self.restarts, self.targets)
        return f"{counted_steps(self.steps)}, {start}, {runs}"

    def start(self, state: State) -> np.ndarray:
        """Return the first points, (b, h, w, c); they will be projected."""
        if not self.random_start:
            return state.images
        shape = state.images.shape[1:]
        change = [self.norm.random_change(generator, shape) for generator in state.generators]
        return state.images + self.epsilon * np.stack(change).astype(state.images.dtype)

    def advance(self, state: State, step: int) -> np.ndarray:
        """Return the next points from what the model said at `state.x`; they will be projected."""
        raise NotImplementedError

    def project(self, state: State, points: np.ndarray) -> np.ndarray:
        """Return `points` moved into the ball around the images and into [0, 1]."""
        return self.norm.project(points, state.images, self.epsilon)

    def run(
        self,
        classifier: Classifier,
        images: np.ndarray,
        labels: np.ndarray,
        logits: np.ndarray,
        *,
        indices: np.ndarray | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Found:
        self.check(classifier, logits.shape[1])
        targets = np.repeat(self._targets(logits, labels), self.restarts, axis=0)  # (runs, n)
        indices = np.arange(len(images)) if indices is None else indices
        runs = Runs(classifier, images, labels, targets, self.restarts, indices, seed)
        found = Found.nothing(images, labels, logits)
        if self.best_so_far:
            found.margin = margins(logits, labels)
        for share in self._make(runs, found):
            if progress is not None:
                progress(share, float(found.robust.mean()))
        return found

    def _make(self, runs: Runs, found: Found) -> Iterator[float]:
        """Make all runs, into `found`; after each step, yield the share of all that is done."""
        for group in runs.groups():
            for share in self._make_group(runs, group, found):
                yield (group[0] + len(group) * share) / len(runs)

    def _make_group(self, runs: Runs, group: np.ndarray, found: Found) -> Iterator[float]:
        """Make these runs on all images that are still robust, so many at a time as fit; yield the
        share of that."""
        robust, done = np.flatnonzero(found.robust), 0
        for rows in runs.portions(group, robust):
            state = runs.begin(self.state_type, group, rows)
            try:
                for share in self.climb(state, found):
                    yield (done + share * len(rows)) / len(robust)
            except ModelFailed as error:
                raise error.on(runs.indices[rows].min(), runs.indices[rows].max()) from error
            done += len(rows)

    def climb(self, state: State, found: Found) -> Iterator[float]:
        """Make the runs of `state` from start to end, and note in `found` what falls; yield the
        share of their steps that is done."""
        state.x = self._confine(state, self.start(state))
        for step in range(self.steps + 1):
            last = step == self.steps
            self.look(state, gradient=self.follows_gradient and not last)
            self.settle(state, found, last)
            yield (step + 1) / (self.steps + 1)
            if last or not len(state):
                break
            state.x = self._confine(state, self.advance(state, step))
        self._offer(state, found)

    def look(self, state: State, gradient: bool) -> None:
        """Ask the model about `state.x`; for the gradient where `gradient` is true."""
        asked = state.x, self.loss, state.labels, state.targets
        if gradient:
            state.logits, state.gradient = state.classifier.logits_and_gradient(*asked)
            for _ in range(self.samples - 1):
                state.gradient += state.classifier.logits_and_gradient(*asked)[1]
        else:
            state.logits = state.classifier.logits(state.x)
        state.loss = self.loss(np, state.logits, state.labels, state.targets)[0]

    def settle(self, state: State, found: Found, last: bool = False) -> None:
        """Drop the images that have fallen at `state.x`, and note which points are best so far."""
        inside = self._inside(state)
        if self.stop_early or last:
            fallen = np.flatnonzero(inside & ~is_right(state.logits, state.labels))
            points, logits = state.x[fallen], state.logits[fallen]
            if len(fallen) and takes_whole_pixels(state.classifier):
                # rounded into the ball they may not have fallen: the attack then goes on
                points = rounded_into_ball(points, state.images[fallen], self)
                logits = state.classifier.logits(points)
                wrong = ~is_right(logits, state.labels[fallen])
                fallen, points, logits = fallen[wrong], points[wrong], logits[wrong]
            found.fell(state.rows[fallen], points, margins(logits, state.labels[fallen]))
            left = found.robust[state.rows]
            state.keep(left)
            inside = inside[left]
        if self.best_so_far:
            state.note_best(inside)

    def _offer(self, state: State, found: Found) -> None:
        """Tell where the images are best that have not fallen."""
        if self.best_so_far:
            found.offer(state.rows, state.best_x, state.best_margin)
        else:
            found.offer(state.rows, state.x, margins(state.logits, state.labels))

    def _confine(self, state: State, points: np.ndarray) -> np.ndarray:
        return self.project(state, points) if self.confined else points

    def _inside(self, state: State) -> np.ndarray:
        """Return which points lie in the ball, (b,)."""
        if self.confined:
            return np.ones(len(state), bool)
        return self.norm.length(state.x - state.images) <= self.epsilon

    def check(self, classifier: Classifier, classes: int) -> None:
        """Raise UserError where the model gives no gradient, or too few classes for the loss."""
        check_can_be_attacked(classifier, self.key, self.follows_gradient)
        if classes < self.least_classes:
            raise UserError(
                f"{self.key} needs a model of at least {self.least_classes} classes for its loss, "
                f"{losses.name_of(self.loss)}; this one has {classes}: attack it with pgd, cw and "
                "square."
            )

    def _targets(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the target classes, (targets, n); of an untargeted attack the labels, (1, n)."""
        if not self.targets:
            return labels[None]
        others = logits.copy()
        np.put_along_axis(others, labels[:, None], np.inf, axis=1)
        ranked = np.argsort(-others, axis=1)  # the true class first
        return ranked[:, 1 : self.targets + 1].T
