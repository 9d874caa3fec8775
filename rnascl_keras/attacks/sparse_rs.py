"""Sparse-RS: random search over few pixels, from the logits alone (Croce et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.attacks.state import State, choose, per_image
from rnascl_keras.attacks.words import runs_in_words

SCHEDULE = {0: 2, 50: 4, 200: 5, 500: 6, 1000: 8, 2000: 10, 4000: 12, 6000: 15, 8000: 20}
"""Of 10,000 queries, those after which the first share is divided by so much (appendix A.1)."""

DRAWN_AT_ONCE = 4096
"""Random numbers that each image draws together: calls cost more than numbers."""


@dataclass(slots=True)
class PixelsState(State):
    """What Sparse-RS remembers.

    Attributes:
        order: (b, h * w) the pixels of each image, first those changed in the best one.
        tried: (b, h * w) the same of the last proposal.
        drawn: (b, proposals, numbers) the random numbers of the next ones, of U(0, 1).
        used: of how many of these proposals they have been taken.
    """

    order: np.ndarray = per_image()
    tried: np.ndarray = per_image()
    drawn: np.ndarray = per_image()
    used: int = 0


class SparseRS(IteratedAttack):
    """Exchanges some of the k changed pixels (L0), and keeps what raises the margin.

    A changed pixel is 0 or 1 in each of its channels, at random.

    Args:
        epsilon: k, the number of pixels that may change, in all their channels.
        norm: "L0".
        queries: number of images that the model is asked about in each run.
        restarts: number of runs.
        first_share: of the k pixels, of which so much is exchanged first (the paper's alpha_init);
            half of it to begin with, and ever less.

    Raises:
        UserError: `norm` is another, or `epsilon` no number of pixels.
    """

    norms = ("L0",)
    key, name = "sparse_rs", "Sparse-RS"
    loss = losses.margin
    state_type = PixelsState
    follows_gradient = False
    best_so_far = True

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "L0",
        queries: int = 10_000,
        restarts: int = 1,
        first_share: float = 0.3,
    ):
        super().__init__(epsilon, norm=norm, steps=queries - 1, restarts=restarts)
        self.queries = queries
        self.first_share = first_share

    @property
    def how(self) -> str:
        runs = f", {runs_in_words(self.restarts)}" if self.restarts > 1 else ""
        return f"{self.queries:,} queries of the logits, no gradient{runs}"

    def start(self, state: PixelsState) -> np.ndarray:
        """k pixels anywhere."""
        _, h, w, c = state.images.shape
        changed = min(int(self.epsilon), h * w)
        state.order = np.stack([random.permutation(h * w) for random in state.generators])
        state.tried = state.order
        points = state.images.copy()
        flat = points.reshape(len(state), h * w, c)
        for row, random in enumerate(state.generators):
            flat[row, state.order[row, :changed]] = random.integers(0, 2, (changed, c))
        return points

    def advance(self, state: PixelsState, step: int) -> np.ndarray:
        state.order = choose(state.improved, state.tried, state.order)
        state.tried, points = state.order.copy(), state.best_x.copy()
        b, h, w, c = points.shape
        changed = min(int(self.epsilon), h * w)
        number = self._exchanged(step + 1, changed)
        # where nearly all pixels are changed, there are not as many others: the rest is recoloured
        others = min(number, h * w - changed)
        drawn = _next_drawn(state, number * (2 + c))
        _to_the_front(state.tried[:, :changed], drawn[:, :number])
        _to_the_front(state.tried[:, changed:], drawn[:, number : number + others])
        inside, beyond = state.tried[:, :others], state.tried[:, changed : changed + others]
        leaving = inside.copy()
        inside[:], beyond[:] = beyond.copy(), leaving
        row = np.arange(b)[:, None]
        new, old = points.reshape(b, h * w, c), state.images.reshape(b, h * w, c)
        new[row, leaving] = old[row, leaving]
        colours = drawn[:, 2 * number : number * (2 + c)].reshape(b, number, c)
        new[row, state.tried[:, :number]] = colours < 0.5
        return points

    def project(self, state: State, points: np.ndarray) -> np.ndarray:
        """All proposals lie in the ball."""
        return points

    def _exchanged(self, query: int, changed: int) -> int:
        """Return how many of the changed pixels the proposal of this number, from 1 on, has
        others in the place of."""
        made = query * 10_000 // self.queries
        divisor = max((by for after, by in SCHEDULE.items() if made > after), default=1)
        return min(max(int(self.first_share / divisor * changed), 1), changed)


def _next_drawn(state: PixelsState, numbers: int) -> np.ndarray:
    """Return the random numbers of one proposal, (b, so many or more): never more than before."""
    if state.drawn is None or state.used == state.drawn.shape[1]:
        shape = max(1, min(64, DRAWN_AT_ONCE // max(numbers, 1))), numbers
        state.drawn = np.stack([random.random(shape) for random in state.generators])
        state.used = 0
    state.used += 1
    return state.drawn[:, state.used - 1]


def _to_the_front(block: np.ndarray, uniform: np.ndarray) -> None:
    """Bring entries of each row of a block, (b, size), to its front, chosen at random by as many
    numbers of U(0, 1), (b, chosen)."""
    row, size = np.arange(len(block)), block.shape[1]
    for j, drawn in enumerate(uniform.T):
        at = j + (drawn * (size - j)).astype(int)
        block[row, at], block[row, j] = block[row, j], block[row, at]
