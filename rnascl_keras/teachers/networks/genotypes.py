"""Cells written as text: which operation each node applies to which earlier state."""

from __future__ import annotations

from dataclasses import dataclass

Edge = tuple[str, int]
"""An operation, as `operations.OPERATIONS` names it, and the number of the state it takes."""


@dataclass(frozen=True)
class Cell:
    """A directed graph of feature maps.

    States 0 and 1 are the outputs of the last but one and of the last cell; each node adds what its
    edges give and becomes the next state. One without edges is a map of zeros.

    Attributes:
        nodes: the edges of each.
        concat: the states that the output strings together, along the channels.
    """

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]


def genotype(text: str, concat: tuple[int, ...] | None = None) -> Cell:
    """Read a cell with named states, e.g. ``s3.0 s3.1|k.0 d3.2``: nodes split by ``|``.

    Args:
        text: of each node the edges, operation and state with a point between.
        concat: by default all nodes.
    """
    nodes = tuple(tuple(_edge(word) for word in node.split()) for node in text.split("|"))
    return Cell(nodes, concat or _all(nodes))


def dense_code(text: str) -> Cell:
    """Read a cell in which every node may use all earlier states, e.g. ``RR 0Rs skR0 RsssR``.

    The letters of a node say what it does to state 0, 1, ...: ``s`` a separable convolution of
    3 x 3, ``k`` nothing, ``R`` the convolution and the state added, ``0`` no edge.
    """
    names = {"s": "s3", "k": "k", "R": "R"}
    nodes = tuple(
        tuple((names[letter], state) for state, letter in enumerate(word) if letter != "0")
        for word in text.split()
    )
    return Cell(nodes, _all(nodes))


def _edge(word: str) -> Edge:
    operation, _, state = word.partition(".")
    return operation, int(state)


def _all(nodes: tuple[tuple[Edge, ...], ...]) -> tuple[int, ...]:
    return tuple(range(2, 2 + len(nodes)))
