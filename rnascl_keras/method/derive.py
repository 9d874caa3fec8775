"""From a searched supernet to an architecture, and its weights (section 3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.method import cost
from rnascl_keras.method.architecture import Architecture, Tutor
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.method.search import CrossLayerSearch
from rnascl_keras.method.spaces import SearchSpace
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.models.finite import check_finite

AGAIN = "search again with a lower learning rate (of a recipe: search.learning_rate)"

Partial = tuple[float, float, tuple[int, ...]]
"""A student's first blocks: their multiply-adds, log p, and the choices picked."""


def derive(search: CrossLayerSearch, max_macs: float | None = None) -> Architecture:
    """Return what the search has selected: for each choice the argmax of its Gumbel parameters.

    Args:
        search: a fitted search.
        max_macs: a budget of multiply-adds; the most probable architecture within it is selected.

    Raises:
        UserError: no student of the space is that small, or the search has diverged: its variables
            are not finite.
    """
    check_finite(search.supernet.variables, "the supernet of this search", AGAIN)
    return select(SearchOutcome.of(search), max_macs)


def select(outcome: SearchOutcome, max_macs: float | None = None) -> Architecture:
    """Return the architecture that a search's outcome stands for, see `derive`."""
    logits = [outcome.tutor_logits, *outcome.channel_logits.values()]
    check_finite(logits, "what this search has found", AGAIN)
    chosen = np.argmax(outcome.tutor_logits, axis=-1)
    widths = select_widths(
        outcome.space,
        outcome.channel_probabilities,
        outcome.input_shape,
        outcome.classes,
        max_macs,
    )
    return Architecture(
        space=outcome.space,
        widths=tuple(map(tuple, widths)),
        tutors=tuple(
            Tutor(layer, outcome.teacher_layers[j])
            for layer, j in zip(outcome.student_layers, chosen, strict=True)
        ),
        teacher=outcome.teacher,
        input_shape=outcome.input_shape,
        classes=outcome.classes,
    )


def select_widths(
    space: SearchSpace,
    probabilities: Sequence[np.ndarray],
    input_shape: Sequence[int],
    classes: int,
    max_macs: float | None = None,
) -> list[list[int]]:
    """Return the most probable widths, within `max_macs` multiply-adds where it is given.

    Args:
        space: the search space.
        probabilities: of each block's choices, in order.
        input_shape: (height, width, channels) of the images.
        classes: number of classes.
        max_macs: the budget, or None.
    """
    if max_macs is None:
        picks = [int(np.argmax(p)) for p in probabilities]
    else:
        picks = _most_probable_within(space, probabilities, input_shape, classes, max_macs)
    rows = iter(picks)
    return [[stage.widths[next(rows)] for _ in range(stage.depth)] for stage in space.stages]


def _most_probable_within(
    space: SearchSpace,
    probabilities: Sequence[np.ndarray],
    input_shape: Sequence[int],
    classes: int,
    max_macs: float,
) -> list[int]:
    """Dynamic programming over blocks.

    A block's cost depends on its own width and the one before, so it suffices to keep, for each
    width of the last block, the partial architectures that no other of the same last width beats
    in both cost and probability.
    """
    check_budget(space, input_shape, classes, max_macs)
    constant, per_width = cost.frame_macs(space, input_shape, classes)
    widths = [stage.widths for stage in space.stages for _ in range(stage.depth)]
    fronts: dict[int, list[Partial]] = {space.stem_width: [(constant, 0.0, ())]}  # by last width
    for block, choices, p in zip(
        cost.block_costs(space, input_shape), widths, probabilities, strict=True
    ):
        log_p = np.log(np.maximum(np.asarray(p, np.float64), 1e-300))
        fronts = {
            width: _front(
                (macs + block.macs(before, width), log + log_p[k], (*picks, k))
                for before, entries in fronts.items()
                for macs, log, picks in entries
            )
            for k, width in enumerate(choices)
        }
    complete = [
        (log, picks)
        for width, entries in fronts.items()
        for macs, log, picks in entries
        if macs + per_width * width <= max_macs
    ]
    return list(max(complete)[1])


def check_budget(
    space: SearchSpace, input_shape: Sequence[int], classes: int, max_macs: float
) -> None:
    """Raise UserError where no student of the space has at most `max_macs` multiply-adds."""
    smallest = cost.count_macs(space, space.widths_everywhere(min), input_shape, classes)
    if max_macs < smallest:
        raise UserError(
            f"max_macs is {max_macs:,.0f}, but the smallest student of space {space.name!r} has "
            f"{smallest:,} multiply-adds; give at least that."
        )


def _front(entries: Iterable[Partial]) -> list[Partial]:
    """Keep the entries (macs, log p, picks) that no cheaper one reaches in probability."""
    kept: list[Partial] = []
    for entry in sorted(entries, key=lambda e: (e[0], -e[1])):
        if not kept or entry[1] > kept[-1][1]:
            kept.append(entry)
    return kept


def copy_sliced_weights(supernet: Supernet, student: keras.Model) -> None:
    """Start the student from the supernet: its weights are the leading parts of the shared ones.

    Masks are prefixes, so the channels a student keeps are the first ones everywhere.

    Raises:
        UserError: the supernet's weights are not finite.
    """
    check_finite(supernet.variables, "the supernet", AGAIN)
    for layer in student.layers:
        if not layer.weights:
            continue
        shared = supernet.get_layer(layer.name).get_weights()
        own = [value.shape for value in layer.get_weights()]
        layer.set_weights(
            [
                value[tuple(slice(0, n) for n in shape)]
                for value, shape in zip(shared, own, strict=True)
            ]
        )
