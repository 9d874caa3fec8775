"""Pages of the documentation that are made from the code: the command line's, and the settings'."""

from __future__ import annotations

from typing import Any

from mkdocs.structure.files import File, Files

COMMANDS, SETTINGS = "reference/commands.md", "reference/settings.md"


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for name, content in ((COMMANDS, commands()), (SETTINGS, settings())):
        files.append(File.generated(config, name, content=content))
    return files


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
    from rnascl_keras.recipe import Recipe
    from rnascl_keras.section import Settings

    parts = ["# Settings\n", "As `--set SECTION.NAME=VALUE` takes them.\n"]
    for section, field in Recipe.model_fields.items():
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        kind = next((kind for kind in kinds if _is(kind, Settings)), None)
        if kind is None:
            continue
        parts += [f"## {section}\n", f"{_plain(kind.__doc__)}\n"]
        parts += ["| setting | default |", "|---|---|"]
        for name, own in kind.model_fields.items():
            parts.append(f"| `{section}.{name}` | `{own.get_default(call_default_factory=True)}` |")
        parts.append("")
    return "\n".join(parts)


def _is(kind: Any, parent: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, parent)


def _plain(text: str | None) -> str:
    return "\n".join(line.strip() for line in (text or "").splitlines())
