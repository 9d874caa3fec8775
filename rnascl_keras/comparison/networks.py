"""`rnascl compare-networks`: networks by name under one protocol: table, picture and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from rnascl_keras.assignments import with_settings
from rnascl_keras.comparison.network_rows import Budget, network_row, planned
from rnascl_keras.comparison.network_spec import NetworkSpec
from rnascl_keras.comparison.plot import clean_against_robust
from rnascl_keras.comparison.published_results import TABLE_1, PublishedResult
from rnascl_keras.comparison.rival_rows import RIVALS
from rnascl_keras.console import PlainConsole
from rnascl_keras.errors import UserError
from rnascl_keras.files.lock import locked
from rnascl_keras.files.whole import atomic_write, write_json
from rnascl_keras.run.workdir import Run
from rnascl_keras.units import count, milliseconds, percent, radius, size


def compare_networks(
    run: Run, names: Sequence[str], budget: Budget, auto_attack: int, command: str = ""
) -> list[dict[str, Any]]:
    """Write `networks.json` and `networks.svg` into the run's folder, and print the table.

    All train on the same images by the recipe's `teacher`, by default N-FGSM, and are attacked on
    the same test images. A row that is there is not made again; one that was cut short goes on.

    Args:
        run: of the recipe.
        names: of networks, as `NetworkSpec.read` takes them.
        budget: what each may train.
        auto_attack: images for AutoAttack; 0: none.
        command: what was given on the command line.

    Raises:
        UserError: a name is none, or twice there, or the recipe trains without adversarial images,
            or a run is at work in the folder, or several workers; then nothing has been trained.
    """
    specs = [NetworkSpec.read(name) for name in names]
    if len({spec.key for spec in specs}) < len(specs):
        raise UserError(f"a network is named twice: {', '.join(names)}.")
    if run.recipe.teacher.method == "natural":
        raise UserError(
            "networks are compared after adversarial training; give --set teacher.method=n_fgsm."
        )
    run.check_one_host("compare-networks")
    run.recipe = with_settings(run.recipe, ["space=null"])  # nothing is searched
    run.open()
    try:
        with locked(run.path(".stages/lock")):
            rows = _rows(run, specs, budget, auto_attack)
            facts = {
                "recipe": run.recipe.name,
                "command": command or run.command_line("compare-networks"),
                "budget": vars(budget),
                "settings": run.recipe.model_dump(mode="json"),
            }
            write_json(run.path("networks.json"), facts | {"rows": rows})
            drawn = networks_picture(run.recipe.data.source, rows)
            atomic_write(run.path("networks.svg"), drawn)
    finally:
        run.leave()
    PlainConsole().print(_table(run.recipe.data.source, rows))
    run.say(f"compare-networks: {run.path('networks.json')}, {run.path('networks.svg')}")
    return rows


def _rows(
    run: Run, specs: Sequence[NetworkSpec], budget: Budget, auto_attack: int
) -> list[dict[str, Any]]:
    plans = [planned(run, spec, budget) for spec in specs]  # all, before the first is trained
    run.path("networks").mkdir(exist_ok=True)
    rows = []
    for plan in plans:
        run.say(f"compare-networks: {plan.spec.text}, {plan.epochs} epochs")
        rows.append(network_row(run, plan, auto_attack))
    return rows


def _table(source: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Return a table with two lines for each network; it fits into 80 columns."""
    first = rows[0]
    title = f"{source}, first {first['n']} test images, in %"
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("", no_wrap=True)
    strong = [row["auto_attack"] for row in rows if "auto_attack" in row]
    heads = ["Clean", f"PGD-20\n{radius(first['epsilon'])}"]
    heads += [f"AA\nn={strong[0]['n']}"] if strong else []
    for head in (*heads, "ONNX\nint8", "ms"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        cells = [_share(row["accuracy"][key], row["intervals"][key]) for key in ("clean", "pgd20")]
        if strong:
            own = row.get("auto_attack")
            cells.append(_share(own["accuracy"], own["interval"]) if own else Text())
        files = "\n".join(size(row[key]["bytes"]) for key in ("onnx", "int8"))
        speed = "\n".join(milliseconds(row[key]["latency_ms"]) for key in ("onnx", "int8"))
        network = Text.assemble(f"{row['network']}\n", (_weight(row), "dim"))
        table.add_row(network, *cells, files, speed)
    table.caption = "below an accuracy its 95 % interval; ms: onnxruntime, one thread, one image"
    return table


def _weight(row: dict[str, Any]) -> str:
    share = row["kept"] / row["weights"]
    kept = f", {percent(share)} % kept" if share < 1 else ""
    return f"{count(row['parameters'])}, {count(row['macs'])} MACs{kept}, {row['epochs']} ep."


def _share(share: float, interval: Sequence[float]) -> Text:
    low, high = interval
    return Text.assemble(f"{percent(share)}\n", (f"{100 * low:.0f}–{100 * high:.0f}", "dim"))


def networks_picture(source: str, rows: Sequence[dict[str, Any]]) -> str:
    """Draw what was measured filled, and on CIFAR-10 the published points hollow beside."""
    drawn = [
        {
            "method": row["network"],
            "name": row["network"],
            "adversarial": True,
            "macs": row["macs"],
            "accuracy": row["accuracy"]["clean"],
            "pgd20": {"accuracy": [row["accuracy"]["pgd20"]], "epsilon": [row["epsilon"]]},
        }
        for row in rows
    ]
    return clean_against_robust(drawn, _published() if source == "cifar10" else ())


def _published() -> tuple[PublishedResult, ...]:
    """Return the paper's points and those of the rivals that were trained adversarially."""
    known = {point.name for point in TABLE_1}
    rivals = [
        PublishedResult(r.title, r.adversarial.clean, r.adversarial.pgd20, r.macs or 0.0, True)
        for r in RIVALS
        if r.adversarial and r.macs and r.title not in known
    ]
    return (*TABLE_1, *rivals)
