"""The table of `rnascl compare-networks`: each network under one protocol, in the order run."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import markdown
from rnascl_keras.units import count, milliseconds, percent, size


def networks(content: dict[str, Any]) -> str:
    """One row for each network; below an accuracy's share its 95 % interval."""
    rows = content["rows"]
    strong = [row["auto_attack"]["n"] for row in rows if "auto_attack" in row]
    head = ["% right", "weights", "MACs", "epochs", "compute", f"clean, n = {rows[0]['n']}"]
    head += ["PGD-20", *(f"AutoAttack, n = {n}" for n in strong[:1]), "ONNX", "int8", "ms"]
    lines = [_line(row) for row in rows]
    return f"`{content['command']}`\n\n" + markdown(head, lines)


def _line(row: dict[str, Any]) -> list[str]:
    weights = count(row["parameters"])
    if row["kept"] < row["weights"]:
        weights += f", {percent(row['kept'] / row['weights'])} % kept"
    strong = row.get("auto_attack")
    return [
        f"`{row['network']}`",
        weights,
        count(row["macs"]),
        str(row["epochs"]),
        f"{row['compute']:.1e}",
        *(_share(row["accuracy"][key], row["intervals"][key]) for key in ("clean", "pgd20")),
        *([_share(strong["accuracy"], strong["interval"])] if strong else []),
        *(size(row[form]["bytes"]) for form in ("onnx", "int8")),
        milliseconds(row["onnx"]["latency_ms"]),
    ]


def _share(share: float, interval: list[float]) -> str:
    low, high = interval
    return f"{percent(share)} ({100 * low:.0f} to {100 * high:.0f})"
