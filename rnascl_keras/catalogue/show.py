"""The tables of the command line: what there is to choose from, and what is set."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from rnascl_keras.catalogue.kinds import KINDS, kind_of
from rnascl_keras.catalogue.settings_table import Setting, section_words, settings_table
from rnascl_keras.console import PlainConsole
from rnascl_keras.recipe import Recipe


def print_kinds(names: Iterable[str] = (), console: PlainConsole | None = None) -> None:
    """Print a table for each kind named.

    Raises:
        UserError: there is no such kind.
    """
    console = console or PlainConsole()
    for name in names:
        kind = kind_of(name)
        table = _table(f"{name}: {kind.title}", ("Name", "What it is"))
        for row in kind.entries().items():
            table.add_row(*row)
        console.print(table)


def print_short(console: PlainConsole | None = None, *, missing: str | None = None) -> None:
    """Print of every kind its names, and how to see more of them.

    Args:
        console: where to.
        missing: in place of names that only TensorFlow, which is not there, would tell.
    """
    console = console or PlainConsole()
    for name, kind in KINDS.items():
        console.print(Text(f"{name}: {kind.title}", style="bold"))
        names = missing if missing and kind.waits else ", ".join(kind.entries())
        console.print(Text(names), style="default")
    console.print(Text("A line on each: rnascl list KIND, e.g. rnascl list attacks", style="dim"))


def print_recipe(recipe: Recipe, console: PlainConsole | None = None) -> None:
    """Print every setting of a recipe, those marked that are not at their default."""
    console = console or PlainConsole()
    _print_settings(settings_table(recipe), console)
    words = "* is not the default. Change one: --set SECTION.SETTING=VALUE"
    console.print(Text(words, style="dim"))


def print_settings(console: PlainConsole | None = None) -> None:
    """Print every setting there is, with its default."""
    _print_settings(settings_table(), console or PlainConsole())


def _print_settings(table: dict[str, list[Setting]], console: PlainConsole) -> None:
    """Print a line for each setting: its name, its value, what it is for, its unit and default."""
    widest = max(len(_last(s)) for settings in table.values() for s in settings)
    for name, settings in table.items():
        console.print(Text(f"{name}: {section_words(name)}", style="bold"))
        lines = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        lines.add_column(no_wrap=True, min_width=widest + 2)
        lines.add_column(overflow="fold", min_width=12, max_width=22)
        lines.add_column()
        for setting in settings:
            mark = "* " if setting.changed else "  "
            cells = (mark + _last(setting), setting.value, _told(setting))
            lines.add_row(*cells, style="bold" if setting.changed else "")
        console.print(lines)
        console.print()


def _told(setting: Setting) -> str:
    default = f"default {setting.default}" if setting.changed else ""
    facts = "; ".join(filter(None, (setting.unit, default)))
    return f"{setting.meaning} [{facts}]" if facts else setting.meaning


def _last(setting: Setting) -> str:
    """Return a setting's name within its section, which stands above it."""
    return setting.key.rpartition(".")[2]


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
