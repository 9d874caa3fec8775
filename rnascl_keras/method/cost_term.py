"""n_f of eq. 2 for a supernet: of its expected multiply-adds, or of an expected latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnascl_keras.errors import UserError
from rnascl_keras.method import cost
from rnascl_keras.method.latency_table import LatencyTable
from rnascl_keras.method.supernet import Supernet

Tensor = Any


class CostTerm:
    """The latency term of a search, and the costs that are reported with it.

    Args:
        supernet: whose students are weighed.
        alpha, beta, combine: see `cost.latency_term`.
        latency_table: with one, n_f is of the expected latency on the device it was measured on,
            not of the expected multiply-adds.

    Attributes:
        largest_macs: multiply-adds of the widest student.

    Raises:
        UserError: it is no supernet, `combine` is unknown, or the table is of other students.
    """

    def __init__(
        self,
        supernet: Supernet,
        alpha: float,
        beta: float,
        combine: str,
        latency_table: LatencyTable | None = None,
    ) -> None:
        if not isinstance(supernet, Supernet):
            raise UserError(f"supernet must be a Supernet; got a {type(supernet).__name__}.")
        self.space, self.classes = supernet.space, supernet.classes
        self.input_shape = supernet.input_shape[1:]
        if latency_table:
            latency_table.check_fits(self.space, self.input_shape, self.classes)
        cost.check_combine(combine)
        self.settings = {"alpha": alpha, "beta": beta, "combine": combine}
        self.latency_table = latency_table
        self.largest_macs = cost.largest_macs(self.space, self.input_shape, self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the costs."""
        return ("expected_macs", "expected_latency") if self.latency_table else ("expected_macs",)

    def __call__(self, widths: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return n_f and the costs by name, scalars.

        Args:
            widths: Gumbel weights of each block's widths, in order, each of shape (choices,).
        """
        macs = cost.expected_macs(self.space, widths, self.input_shape, self.classes)
        if self.latency_table is None:
            n_f = cost.latency_term(macs, largest=self.largest_macs, **self.settings)
            return n_f, {"expected_macs": macs}
        latency = self.latency_table.expected(widths)
        n_f = self.latency_table.n_f(latency, **self.settings)
        return n_f, {"expected_macs": macs, "expected_latency": latency}
