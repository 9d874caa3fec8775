"""Networks of cells, as searches on CIFAR-10 publish them (DARTS, Liu et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.teachers.networks.blocks import (
    Tensor,
    convolution,
    normalization,
    pixels,
)
from rnascl_keras.teachers.networks.genotypes import Cell, Edge
from rnascl_keras.teachers.networks.operations import (
    OPERATIONS,
    every_second,
    factorized_reduction,
    relu_convolution,
)

Layer = Callable[[Tensor], Tensor]
AUXILIARY_SIZE = 8
"""Height and width of the map that the auxiliary classifier looks at."""


@dataclass(frozen=True)
class CellRow:
    """One network of cells.

    Attributes:
        widths: of a cell's maps in each of the three stages.
        cells: how many; two of them, after a third and two thirds, halve the map.
        normal: the cell of all the others, or one for each, in order.
        reduction: the cell of those that halve; None: they follow `normal`, too.
        unscaled: operations whose normalisations are without scale and offset; "preprocess" among
            them: so are those of a cell's two inputs.
    """

    widths: tuple[int, int, int]
    normal: tuple[Cell, ...]
    reduction: Cell | None = None
    cells: int = 20
    unscaled: frozenset[str] = frozenset()

    def slimmer(self, width: int | None, cells: int | None) -> CellRow:
        """Return the network with a first stage `width` wide, the others alike, and `cells` cells.

        Of a network that has a cell for each place, those at the same share of its depth stay.
        """
        base = self.widths[0]
        first, second, third = (w if width is None else width * w // base for w in self.widths)
        return replace(self, widths=(first, second, third), cells=cells or self.cells)

    @property
    def reductions(self) -> tuple[int, int]:
        """The cells, from 0, that halve the map."""
        return self.cells // 3, 2 * self.cells // 3

    def cell(self, place: int) -> Cell:
        """Return the cell at a place, from 0."""
        if self.reduction and place in self.reductions:
            return self.reduction
        return self.normal[place * len(self.normal) // self.cells]


def build_cell_network(
    row: CellRow,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "cell_network",
    drop_path: Callable[[], Layer] | None = None,
    auxiliary: bool = False,
) -> keras.Model:
    """Build the network of `row`; other arguments as for `build_teacher`.

    Args:
        drop_path: makes a layer that follows every operation but an identity; for training.
        auxiliary: whether to give a second output, the logits of a classifier on the maps after the
            second cell that halves them; for training.

    Raises:
        UserError: the image cannot be halved twice, there are fewer than 3 cells, or `auxiliary` is
            asked of maps that are not 8 x 8 there.
    """
    if any(size % 4 for size in input_shape[:2]) or row.cells < 3:
        raise UserError(
            f"{name} of {row.cells} cells halves images of {input_shape[0]} x {input_shape[1]} "
            "pixels twice; give a height and width that 4 divides, and at least 3 cells."
        )
    images, x = pixels(input_shape, mean, std)
    x = normalization(convolution(x, 3 * row.widths[0], 3, "stem_conv"), "stem_bn")
    before, last, was_reduction, stage = x, x, False, 0
    logits = []
    for place in range(row.cells):
        reduces = place in row.reductions
        stage += reduces
        cell = _CellBuilder(row, place, row.widths[stage], drop_path)
        before, last = last, cell.apply(before, last, was_reduction, reduces)
        was_reduction = reduces
        if auxiliary and place == row.reductions[1]:
            logits = [_auxiliary_logits(last, classes, name)]
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(last)
    logits = [keras.layers.Dense(classes, dtype="float32", name="logits")(pooled), *logits]
    return keras.Model(images, logits if auxiliary else logits[0], name=name)


@dataclass(frozen=True)
class _CellBuilder:
    """One cell at its place in a network."""

    row: CellRow
    place: int
    width: int
    drop_path: Callable[[], Layer] | None

    def apply(self, before: Tensor, last: Tensor, was_reduction: bool, reduces: bool) -> Tensor:
        """Return the cell's output: (batch, h, w, .) -> (batch, h, w, .), or halved.

        Args:
            before: output of the last but one cell; twice as high and wide where `was_reduction`.
            last: output of the last cell.
        """
        name, scaled = f"cell{self.place + 1}", "preprocess" not in self.row.unscaled
        adapt = factorized_reduction if was_reduction else relu_convolution
        states = [
            adapt(before, self.width, f"{name}_in0", scaled=scaled),
            relu_convolution(last, self.width, f"{name}_in1", scaled=scaled),
        ]
        cell = self.row.cell(self.place)
        for node, edges in enumerate(cell.nodes, start=2):
            given = [
                self._edge(states, edge, reduces, f"{name}_node{node}_{k}_{edge[0]}")
                for k, edge in enumerate(edges)
            ]
            states.append(_sum(given, states[0], 2 if reduces else 1, f"{name}_node{node}"))
        return keras.layers.Concatenate(name=f"{name}_out")([states[k] for k in cell.concat])

    def _edge(self, states: list[Tensor], edge: Edge, reduces: bool, name: str) -> Tensor:
        operation, state = edge
        strides = 2 if reduces and state < 2 else 1
        scaled = operation not in self.row.unscaled
        x = OPERATIONS[operation](states[state], strides, name, scaled)
        is_identity = operation == "k" and strides == 1
        return x if self.drop_path is None or is_identity else self.drop_path()(x)


def _sum(given: list[Tensor], like: Tensor, strides: int, name: str) -> Tensor:
    """Add maps; of none make one of zeros, of the shape of `like` at this stride."""
    if not given:
        return keras.layers.Rescaling(0.0, name=f"{name}_zeros")(every_second(like, strides))
    return given[0] if len(given) == 1 else keras.layers.Add(name=f"{name}_add")(given)


def _auxiliary_logits(x: Tensor, classes: int, name: str) -> Tensor:
    """A second classifier on maps (batch, 8, 8, c) -> (batch, classes)."""
    if tuple(x.shape[1:3]) != (AUXILIARY_SIZE, AUXILIARY_SIZE):
        raise UserError(
            f"the auxiliary classifier of {name} looks at maps of {AUXILIARY_SIZE} x "
            f"{AUXILIARY_SIZE}, there are {x.shape[1]} x {x.shape[2]}; give images of 32 x 32 or "
            "leave it out."
        )
    x = keras.layers.ReLU(name="auxiliary_relu")(x)
    x = keras.layers.AveragePooling2D(5, strides=3, name="auxiliary_pool")(x)  # 8 x 8 -> 2 x 2
    for number, filters, kernel in ((1, 128, 1), (2, 768, 2)):
        layer = keras.layers.Conv2D(filters, kernel, use_bias=False, name=f"auxiliary_conv{number}")
        x = normalization(layer(x), f"auxiliary_bn{number}")
        x = keras.layers.ReLU(name=f"auxiliary_relu{number}")(x)
    x = keras.layers.Flatten(name="auxiliary_flatten")(x)
    return keras.layers.Dense(classes, dtype="float32", name="auxiliary_logits")(x)
