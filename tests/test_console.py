"""What is printed in tables stands there as it is."""

import io

from rich.table import Table

from rnascl_keras.console import PlainConsole


def test_neither_brackets_nor_colons_are_markup():
    name = "[bold]net[/bold] [v1] :cat:"
    table = Table(name, title=name, caption=name)
    table.add_row(name)
    console = PlainConsole(width=80, file=io.StringIO())
    console.print(table)
    console.print(name)
    assert console.file.getvalue().count(name) == 5
