"""One self-contained HTML page of what a run found.

Everything is inside the page: style, tables, pictures. It asks the network for nothing, and its
links to the run's files are relative, so a run's folder can be moved or sent as it is.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2

from rnascl_keras import units
from rnascl_keras.files.whole import atomic_write
from rnascl_keras.report import corruption_words, keys
from rnascl_keras.report.pictures import ReportPictures
from rnascl_keras.report.style import MODEL_COLOURS
from rnascl_keras.report.view import View

TEMPLATE = "report.html"
WORDS = ("attack_keys", "attack_name", "attack_how", "short_layer", "shown_keys", "sign_name")
CORRUPTION_WORDS = ("corruption_name", "corruption_words")
MEASURES = ("percent", "count", "radius", "duration", "size", "milliseconds")


def write_report(workdir: Path, report: dict[str, Any], pictures: ReportPictures) -> Path:
    """Write `workdir`/report.html and return its path.

    Args:
        workdir: the run's folder.
        report: the content of `report.json`.
        pictures: what the pictures are drawn from.
    """
    page = page_environment().get_template(TEMPLATE).render(vars(View.of(report, pictures)))
    return write_page(Path(workdir) / "report.html", page)


def write_page(path: Path, page: str) -> Path:
    """Write a page and return its path; what UTF-8 cannot hold, as the names of files in other
    bytes, becomes a question mark."""
    return atomic_write(path, page.encode(errors="replace"))


def page_environment() -> jinja2.Environment:
    """Return what the template is rendered in: besides a view's fields, what is never another."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rnascl_keras.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(keys, name) for name in WORDS}
    environment.filters |= {name: getattr(units, name) for name in MEASURES}
    environment.filters |= {name: getattr(corruption_words, name) for name in CORRUPTION_WORDS}
    environment.filters["picture"] = _data_uri
    environment.globals |= {
        "colours": MODEL_COLOURS,
        "latencies": keys.LATENCIES,
        "transfer": keys.TRANSFER,
    }
    return environment


def _data_uri(svg: str) -> str:
    """Return a picture's address that holds the picture itself."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
