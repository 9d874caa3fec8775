"""`rnascl rivals`: the rows of the paper's tables: what was published, counted and measured."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from rnascl_keras.comparison.kept_rows import NETWORKS
from rnascl_keras.comparison.rival_rows import RIVALS
from rnascl_keras.comparison.rivals import Figures, Rival
from rnascl_keras.console import PlainConsole
from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import read_json
from rnascl_keras.units import count, percent, radius

RESULTS = Path("results/networks.json")
"""Where `compare-networks` of this repository leaves its figures."""


def print_rivals(measured: Path | None = None) -> None:
    """Print the rows, and below them what `compare-networks` measured, where its JSON is there.

    Args:
        measured: the JSON; by default `RESULTS`, where it is there.

    Raises:
        UserError: it is given and not there, or it is none of `compare-networks`.
    """
    console = PlainConsole()
    console.print(_table())
    for rival in RIVALS:
        said = [text for text in (rival.remark, rival.command) if text]
        if said:
            console.print(Text(f"{rival.title}: {'; '.join(said)}", style="dim"))
    path = measured or (RESULTS if RESULTS.is_file() else None)
    if path is None:
        console.print(f"Measured here: none yet; there is no {RESULTS}, and no --measured FILE.")
    else:
        console.print(_measured(path))


def _table() -> Table:
    """Return it with a line for each training of a rival; it fits into 80 columns."""
    table = Table(
        title="As published on CIFAR-10, in %; in millions as published / counted here",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    for head in ("Clean", "FGSM", "PGD-20", "MI-FGSM", "Parameters", "MACs"):
        table.add_column(head, justify="right", no_wrap=True)
    for rival in RIVALS:
        sizes = _sizes(rival)
        trained = [(rival.title, rival.adversarial), ("  no adv. training", rival.natural)]
        if rival.adversarial is None:
            table.add_row(rival.title, *[""] * 4, *sizes)
            sizes = ["", ""]
        for title, figures in trained:
            if figures is not None:
                table.add_row(title, *_accuracies(figures), *sizes)
                sizes = ["", ""]
    return table


def _sizes(rival: Rival) -> list[str]:
    """Return parameters and multiply-adds, both in millions: ``3.3 / 3.35``, ``500 / 528``."""
    parameters, macs = rival.counted or (None, None)
    counted = "-" if parameters is None else f"{parameters / 1e6:.2f}"
    published = ["-" if v is None else f"{v:g}" for v in (rival.parameters, rival.macs)]
    return [f"{published[0]} / {counted}", f"{published[1]} / {'-' if macs is None else macs}"]


def _accuracies(figures: Figures) -> list[str]:
    values = (figures.clean, figures.fgsm, figures.pgd20, figures.mi_fgsm)
    return ["-" if value is None else f"{value:.2f}" for value in values]


def _measured(path: Path) -> Table:
    if not path.is_file():
        raise UserError(f"there is no {path}; `rnascl compare-networks` writes such a file.")
    rows = read_json(path, NETWORKS)["rows"]
    first = rows[0]
    table = Table(
        title=f"Measured here, first {first['n']} images, radius {radius(first['epsilon'])}"
    )
    for head in ("", "Clean", "PGD-20", "Params", "MACs", "Epochs"):
        table.add_column(head, justify="right" if head else "left")
    for row in rows:
        shares = [percent(row["accuracy"][key]) for key in ("clean", "pgd20")]
        sizes = [count(row["parameters"]), count(row["macs"])]
        table.add_row(row["network"], *shares, *sizes, str(row["epochs"]))
    return table
