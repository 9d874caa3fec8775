"""The rule of Einsum."""

from __future__ import annotations

import string
from collections.abc import Sequence

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, known_shape, rule


@rule("Einsum", inputs=None)
def einsum(step: Step) -> dict[int, Tensor]:
    """By each operand, the sum of products of the gradient and all other operands.

    An axis that is summed over in one operand only takes the same gradient all along.
    """
    graph = step.graph
    operands = [step.input(i) for i in range(len(step.node.input))]
    terms, result = _terms(
        step.attribute("equation").decode(), [step.rank(i) for i, _ in enumerate(operands)]
    )
    _check(terms, result, operands)
    gradients = {}
    for i in step.wanted:
        others = [k for k in range(len(operands)) if k != i]
        letters = "".join([result, *(terms[k] for k in others)])
        kept = "".join(letter for letter in terms[i] if letter in letters)
        equation = f"{','.join([result, *(terms[k] for k in others)])}->{kept}"
        g = graph.op("Einsum", step.gradient, *(operands[k] for k in others), equation=equation)
        missing = [axis for axis, letter in enumerate(terms[i]) if letter not in letters]
        if missing:
            g = graph.op("Unsqueeze", g, graph.integers(missing))
            g = graph.op("Expand", g, graph.shape_of(operands[i]))
        gradients[i] = g
    return gradients


def _terms(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Return one letter an axis, of each operand and of the result, also for what "..." means and
    where the result is not given."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:
        letters = sorted(set(left) - set(",."))
        result = "..." * ("..." in left) + "".join(x for x in letters if left.count(x) == 1)
    free = [letter for letter in string.ascii_letters if letter not in equation]
    most = 0
    for k, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        if "..." in term:
            count = rank - len(term) + 3
            most = max(most, count)
            terms[k] = term.replace("...", "".join(free[-count:] if count else ""))
        if len(terms[k]) != rank:
            raise Unsupported("its equation does not fit its operands")
    return terms, result.replace("...", "".join(free[-most:] if most else ""))


def _check(terms: Sequence[str], result: str, operands: Sequence[Tensor]) -> None:
    """Raise Unsupported for diagonals, and for axes of size 1 that stand for longer ones."""
    sizes: dict[str, object] = {}
    for term, operand in zip(terms, operands, strict=True):
        if len(set(term)) < len(term):
            raise Unsupported("it takes a diagonal")
        for letter, size in zip(term, known_shape(operand), strict=True):
            if 1 in (size, sizes.setdefault(letter, size)) and size != sizes[letter]:
                raise Unsupported("it broadcasts an axis of size 1")
    if not set(result) <= sizes.keys():
        raise Unsupported("its equation does not fit its operands")
