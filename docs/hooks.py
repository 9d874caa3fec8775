"""What the documentation's build adds: the pages made from the code, and formulas as MathML."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

COMMANDS, SETTINGS = "reference/commands.md", "reference/settings.md"
FORMULA = re.compile(r'class="arithmatex">\\([(\[])(.*?)\\[)\]]<', re.DOTALL)
"""What pymdownx.arithmatex leaves of a formula: its LaTeX between \\( \\) or \\[ \\]."""


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for name, content in ((COMMANDS, commands()), (SETTINGS, settings())):
        files.append(File.generated(config, name, content=content))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Write formulas as MathML, which browsers draw without a script or a network."""

    def drawn(found: re.Match[str]) -> str:
        display = "block" if found[1] == "[" else "inline"
        return f'class="arithmatex">{convert(html.unescape(found[2]).strip(), display=display)}<'

    return FORMULA.sub(drawn, content)


def commands() -> str:
    """Return the page of all commands, from what `--help` says."""
    import typer
    from typer.main import get_command

    from rnascl_keras.cli import app

    root: Any = get_command(app)
    context = typer.Context(root, info_name="rnascl")
    parts = ["# Command line\n", "Each command says the same with `--help`.\n"]
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        own = type(context)(command, info_name=name, parent=context)
        parts += [f"## rnascl {name}\n", f"{(command.help or '').strip()}\n"]
        parts.append(_options(command, own))
    return "\n".join(parts)


def _options(command: Any, context: Any) -> str:
    rows = ["| | | |", "|---|---|---|"]
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        record = getattr(parameter, "help", "") or ""
        named = parameter.opts if "Option" in type(parameter).__name__ else [parameter.metavar]
        called = ", ".join(f"`{name or parameter.name.upper()}`" for name in named)
        default = parameter.default
        shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
        cells = (called, record, shown)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def settings() -> str:
    """Return the page of all settings, section by section."""
    from rnascl_keras.catalogue.settings_table import section_words, settings_table

    parts = [
        "# Settings\n",
        "As `--set NAME=VALUE` takes them, and `rnascl settings` prints them.\n",
    ]
    for section, rows in settings_table().items():
        parts += [f"## {section}\n", f"{section_words(section)}\n"]
        parts += ["| setting | default | unit | |", "|---|---|---|---|"]
        for row in rows:
            cells = (f"`{row.key}`", f"`{row.default}`", row.unit, row.meaning)
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)
