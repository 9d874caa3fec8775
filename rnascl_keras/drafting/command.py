"""`rnascl new`: look at images, choose, say why and how long, write."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from rnascl_keras.data.image_files import shown_path
from rnascl_keras.drafting.choices import Draft, draft
from rnascl_keras.drafting.facts import Facts, look_at
from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import atomic_write, check_writable
from rnascl_keras.hardware import hardware
from rnascl_keras.recipe import load_recipe
from rnascl_keras.recipe_file import recipe_file
from rnascl_keras.units import duration, with_capital


def new_recipe(source: str, out: Path, data_dir: str | None, say: Callable[[str], object]) -> None:
    """Write a recipe for the images of `source` to `out`.

    Args:
        source: a folder, an `.npz`, or the name of a data set.
        out: a `.py` file that is not there yet.
        data_dir: where TensorFlow Datasets keeps its data.
        say: is told what was found, what was chosen and why, and how long it will take.

    Raises:
        UserError: the file is there or cannot be written, or the images cannot be used.
    """
    if out.suffix != ".py":
        raise UserError(f"--out takes a .py file, such as my_recipe.py; got {out}.")
    if out.exists():
        raise UserError(f"{out} is there already; give another --out, or move it away.")
    check_writable(out)
    facts = look_at(source, data_dir, say)
    for line in facts.told():
        say(line)
    drafted = draft(facts, out.stem)
    say("chosen:")
    for choice in drafted.choices:
        say(f"  {_chosen(drafted, choice.key)}: {choice.reason}")
    from rnascl_keras.drafting.duration import seconds

    took = duration(seconds(drafted.recipe, facts))
    atomic_write(out, _text(drafted, facts, out, took))
    load_recipe(str(out))
    say(f"{out} is written; it takes about {took} here: {_command(out, data_dir)}")


def _chosen(drafted: Draft, key: str) -> str:
    from rnascl_keras.catalogue.settings_table import settings_table

    found = (s for rows in settings_table(drafted.recipe).values() for s in rows)
    return next(f"{s.key}={s.value}" for s in found if s.key == key)


def _command(out: Path, data_dir: str | None) -> str:
    places = ["--data-dir", data_dir] if data_dir else []
    return shlex.join(["rnascl", "run", str(out), *places])


def _text(drafted: Draft, facts: Facts, out: Path, took: str) -> str:
    found = "\n".join(f"{with_capital(line)}." for line in facts.told())
    docstring = (
        f"A robust small classifier for the images of {shown_path(Path(facts.source).name)}.\n\n"
        f"Command:   rnascl run {out.name}\n"
        f"Hardware:  {hardware()}\n"
        f"Duration:  about {took}, as estimated\n"
        f"Measured:  not yet run\n\n{found}"
    )
    reasons = {choice.key: choice.reason for choice in drafted.choices}
    recipe = drafted.recipe.model_copy(update={"name": ""})  # the file's own
    return recipe_file(recipe, docstring, reasons)
