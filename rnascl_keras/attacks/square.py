"""Square: random search by squares, from the logits alone (Andriushchenko et al., 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.attacks.norms import PIXELS, TINY
from rnascl_keras.attacks.squares import bump, channel_length, signs, tiled_bumps, window
from rnascl_keras.attacks.state import Found, State, choose, per_image
from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.attacks.words import runs_in_words

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Of 10,000 queries, those after which the squares' share of the image is halved."""

DRAWN_AT_ONCE = 64
"""Steps whose random numbers each image draws together: calls cost more than numbers."""

FULL = 128
"""Points in a batch that are worth filling up: on two CPU cores 8 times as many points as 13 take
a small network 2.2 times as long."""


@dataclass(slots=True)
class SquaresState(State):
    """What Square remembers.

    Attributes:
        queries: (b,) number of squares tried of each image.
        drawn: (b, DRAWN_AT_ONCE, c + 5) the random numbers of the next squares, of U(0, 1).
        ahead: number of squares of each image that are tried at once.
    """

    queries: np.ndarray = per_image()
    drawn: np.ndarray = per_image()
    ahead: int = 1


class Square(IteratedAttack):
    """Changes a random square of the best image so far, and keeps what raises the margin.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf", "L2" or "L1".
        queries: number of squares tried in each run, one after the other. Where few images are
            left, the model is asked about several at once, and sees more points than that.
        restarts: number of runs.
        first_share: of the image, that the first squares cover (the paper's p).
        rescaled: whether the squares shrink by the share of the queries made, as the paper has it
            for other numbers than 10,000, or by their number whatever `queries` is: AutoAttack's.
    """

    key, name = "square", "Square"
    loss = losses.margin
    state_type = SquaresState
    follows_gradient = False
    best_so_far = True

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "Linf",
        queries: int = 5000,
        restarts: int = 1,
        first_share: float = 0.8,
        rescaled: bool = True,
    ):
        super().__init__(epsilon, norm=norm, steps=queries, restarts=restarts)
        self.first_share = first_share
        self.rescaled = rescaled

    @property
    def how(self) -> str:
        runs = f", {runs_in_words(self.restarts)}" if self.restarts > 1 else ""
        return f"{self.steps:,} queries of the logits, no gradient{runs}"

    def start(self, state: SquaresState) -> np.ndarray:
        """L-infinity: vertical stripes of +-epsilon; L2 and L1: bumps everywhere."""
        _, h, w, c = state.images.shape
        if self.norm.name == "Linf":
            change = signs(np.stack([random.random((1, w, c)) for random in state.generators]))
        else:
            side = max(1, min(h, w) // 5)
            change = tiled_bumps(state.generators, (h, w, c), side, self.norm)
        # in L1 the bumps keep their length, and the projection makes few of them of many
        length = 1.0 if self.norm.name == "L1" else self.epsilon
        if self.norm.name == "L2":
            change = self.norm.steepest(change)
        return state.images + (length * change).astype(state.images.dtype)

    def climb(self, state: SquaresState, found: Found) -> Iterator[float]:
        """As of any attack, but a batch holds several squares of each image where few are left."""
        state.x = self.project(state, self.start(state))
        self.look(state, gradient=False)
        state.queries = np.zeros(len(state), int)
        state.drawn = np.empty((len(state), DRAWN_AT_ONCE, state.images.shape[3] + 5))
        while True:
            self.settle(state, found)
            self._retire(state, found)
            yield state.queries.min(initial=self.steps) / self.steps
            if not len(state):
                break
            self._look_ahead(state)

    def _retire(self, state: SquaresState, found: Found) -> None:
        """Let go the images that have had all their queries."""
        done = state.queries >= self.steps
        found.offer(state.rows[done], state.best_x[done], state.best_margin[done])
        state.keep(~done)

    def _look_ahead(self, state: SquaresState) -> None:
        """Try the next squares of each image at once, and go to the first that helps, else to the
        last. Those behind it are tried again from there: what is found is what trying one after
        the other would find, which takes a call of the model for each.
        """
        self._draw(state)
        number = state.queries[:, None] + np.arange(min(state.ahead, max(1, FULL // len(state))))
        # no further than numbers are drawn, nor than there are queries
        tried = (number // DRAWN_AT_ONCE == number[:, :1] // DRAWN_AT_ONCE) & (number < self.steps)
        image, _ = np.nonzero(tried)
        points = self.propose(state, image, number[tried])
        logits = state.classifier.logits(points)
        values = self.loss(np, logits, state.labels[image], state.targets[image])[0]
        helps = np.zeros_like(tried)
        falls = ~is_right(logits, state.labels[image])
        helps[tried] = (values > state.best_loss[image]) | falls
        used = np.where(helps.any(axis=1), helps.argmax(axis=1) + 1, tried.sum(axis=1))
        at = np.searchsorted(image, np.arange(len(state))) + used - 1
        state.x, state.logits, state.loss = points[at], logits[at], values[at]
        state.queries = state.queries + used
        state.ahead = round(2 * used.mean())

    def _draw(self, state: SquaresState) -> None:
        """Draw the random numbers of the next steps of each image that has used up its own."""
        for row in np.flatnonzero(state.queries % DRAWN_AT_ONCE == 0):
            state.drawn[row] = state.generators[row].random(state.drawn.shape[1:])

    def propose(self, state: SquaresState, image: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Return the best point so far of each `image`, (m,), with its square of this `number`,
        (m,), changed."""
        best, images = state.best_x[image], state.images[image]
        drawn = state.drawn[image, number % DRAWN_AT_ONCE]
        sides = self._sides(number, images.shape[1] * images.shape[2])
        changed = np.empty_like(best)
        for side in np.unique(sides):
            these = sides == side
            changed[these] = self._change(best[these], images[these], drawn[these], int(side))
        return self.norm.project(changed, images, self.epsilon)

    def _sides(self, number: np.ndarray, pixels: int) -> np.ndarray:
        """Return the side of each square, (m,), in pixels."""
        # AutoAttack counts the start as query 0
        made = number * 10_000 // self.steps if self.rescaled else number + 1
        halved = np.searchsorted(HALVINGS, made)
        return np.rint(np.sqrt(self.first_share / 2.0**halved * pixels)).astype(int)

    def _change(
        self, best: np.ndarray, images: np.ndarray, drawn: np.ndarray, side: int
    ) -> np.ndarray:
        _, h, w, _ = images.shape
        if self.norm.name != "Linf":
            return self._move_mass(best, images, drawn, min(max(side, 3) | 1, h, w))
        square = window(drawn[:, :2], min(max(side, 1), h, w), h, w)
        change = 2 * self.epsilon * signs(drawn[:, 5:])[:, None, None]  # (m, c) -> (m, 1, 1, c)
        points = best.copy()
        points[square] += change.astype(points.dtype)
        return points

    def _move_mass(
        self, best: np.ndarray, images: np.ndarray, drawn: np.ndarray, side: int
    ) -> np.ndarray:
        """Empty one window and put its mass, and what the radius leaves, into another as a bump.

        Algorithm 3, but that each channel of the bump gets the mass of all channels, as in
        AutoAttack's own code: more images fall to it than where each gets its own.
        """
        _, h, w, _ = images.shape
        change = best - images
        target, source = (window(drawn[:, k : k + 2], side, h, w) for k in (0, 2))
        old = change[target]
        rest = change.copy()
        rest[target] = rest[source] = 0
        square = bump(side, self.norm)[None, :, :, None]
        square = choose(drawn[:, 4] < 0.5, square, square.transpose(0, 2, 1, 3))
        square = signs(drawn[:, 5:])[:, None, None] * square
        square = square + old / (channel_length(old, self.norm) + TINY)
        length = self._length_l1 if self.norm.name == "L1" else self._length_l2
        rest[target] = square / (channel_length(square, self.norm) + TINY) * length(change, rest)
        if self.norm.name == "L1":
            return images + rest
        return images + self.epsilon * self.norm.steepest(rest)

    def _length_l2(self, change: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Return how long each channel of a new bump is, (m, 1, 1, 1).

        Args:
            change: (m, h, w, c) of the best images.
            rest: the same without both windows.
        """
        unused = np.maximum(self.epsilon**2 - np.square(change).sum(PIXELS, keepdims=True), 0)
        mass = (np.square(change) - np.square(rest)).sum(PIXELS, keepdims=True)
        return np.sqrt(unused / change.shape[3] + mass)

    def _length_l1(self, change: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Return the same for L1, (m, 1, 1, c): as in AutoAttack's code each channel has its own
        mass, times the number of channels; the projection takes back what is too much."""
        unused = np.maximum(self.epsilon - np.abs(change).sum(PIXELS, keepdims=True), 0)
        mass = (np.abs(change) - np.abs(rest)).sum((1, 2), keepdims=True)
        return unused + change.shape[3] * mass
