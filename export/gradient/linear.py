"""Rules of matrix products and of batch normalisation."""

from __future__ import annotations

from rnascl_keras.export.gradient.broadcasting import sum_to
from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, known_shape, rule


@rule("Gemm", inputs=None)
def gemm(step: Step) -> dict[int, Tensor]:
    """y = alpha a' b' + beta c, where ' is a transposition or none."""
    g, graph = step.gradient, step.graph
    alpha, beta = step.attribute("alpha"), step.attribute("beta")
    trans_a, trans_b = step.attribute("transA"), step.attribute("transB")
    gradients = {}
    if 0 in step.wanted:
        pair = (step.input(1), g) if trans_a else (g, step.input(1))
        flags = (trans_b, 1) if trans_a else (0, 1 - trans_b)
        gradients[0] = graph.op("Gemm", *pair, alpha=alpha, transA=flags[0], transB=flags[1])
    if 1 in step.wanted:
        pair = (g, step.input(0)) if trans_b else (step.input(0), g)
        flags = (1, trans_a) if trans_b else (1 - trans_a, 0)
        gradients[1] = graph.op("Gemm", *pair, alpha=alpha, transA=flags[0], transB=flags[1])
    if 2 in step.wanted:
        gradients[2] = sum_to(g if beta == 1 else g * beta, step.input(2), step.output())
    return gradients


@rule("MatMul", inputs=None)
def matrix_product(step: Step) -> dict[int, Tensor]:
    """A vector takes part as a matrix of one row or one column."""
    g, graph, a, b = step.gradient, step.graph, step.input(0), step.input(1)
    vectors = step.rank(0) == 1, step.rank(1) == 1
    if vectors[0]:
        g = graph.op("Unsqueeze", g, graph.integers([-1 if vectors[1] else -2]))
        a = _as_matrix(a, 0)
    if vectors[1]:
        g = graph.op("Unsqueeze", g, graph.integers([-1]))
        b = _as_matrix(b, 1)
    gradients = {}
    if 0 in step.wanted:
        gradients[0] = _sum_over_batch(graph.op("MatMul", g, _swapped(b)), a, b)
    if 1 in step.wanted:
        gradients[1] = _sum_over_batch(graph.op("MatMul", _swapped(a), g), b, a)
    return {
        i: graph.reshape_like(x, step.input(i)) if vectors[i] else x for i, x in gradients.items()
    }


def _as_matrix(x: Tensor, axis: int) -> Tensor:
    matrix = x.graph.op("Unsqueeze", x, x.graph.integers([axis]))
    shape = known_shape(x)
    matrix.shape = (1, *shape) if axis == 0 else (*shape, 1)
    return matrix


def _swapped(x: Tensor) -> Tensor:
    """Transpose the last two axes."""
    axes = list(range(len(known_shape(x))))
    return x.graph.op("Transpose", x, perm=[*axes[:-2], axes[-1], axes[-2]])


def _sum_over_batch(g: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """Sum over the leading axes along which `own` was broadcast to those of `other`."""
    (*lead, rows, columns), (*whole, _, _) = known_shape(own), known_shape(other)
    if not lead and not whole:
        return g
    # sizes of 1 in front make both equally long
    length = max(len(lead), len(whole))
    padded = [[1] * (length - len(sizes)) + sizes for sizes in (lead, whole)]
    batch = map(_broadcast_size, *padded)
    product = Tensor(g.graph, g.name, g.dtype, (*batch, rows, columns))
    return sum_to(g, own, product)


def _broadcast_size(own: int | str | None, other: int | str | None) -> int | str | None:
    """Return the common size of two axes, None where it is open which it is."""
    if own == other or other == 1:
        return own
    if own == 1:
        return other
    return next((size for size in (own, other) if isinstance(size, int)), None)


@rule("BatchNormalization")
def batch_normalization(step: Step) -> dict[int, Tensor]:
    if step.attribute("training_mode"):
        raise Unsupported("it is in training mode")
    graph, scale, variance = step.graph, step.input(1), step.input(4)
    factor = scale / graph.op("Sqrt", variance + step.attribute("epsilon"))
    # (channels,) -> (channels, 1, .., 1)
    return {0: step.gradient * factor.reshape([-1, *[1] * (step.rank() - 2)])}
