"""Where tables are printed: what stands in them are names and figures, never markup."""

from __future__ import annotations

from typing import Any

from rich.console import Console


class PlainConsole(Console):
    """A console that prints brackets and colons as they are.

    Names of files, classes, recipes and layers may hold both. What is to be bold, dim or coloured
    is said by a style, or by a `rich.text.Text`.

    Args:
        settings: of `rich.console.Console`; by default it prints to standard output.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)
