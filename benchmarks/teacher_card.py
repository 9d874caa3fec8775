"""Pack a teacher to come with the package, and write its card, so that no figure is typed.

    python -m benchmarks.teacher_card NAME RECIPE FILE    pack a recipe's trained teacher
    python -m benchmarks.teacher_card NAME                write its card

Packing copies the `.keras` file into recipes/teachers/, its weights in half precision where it
would be too large, and notes in results/teachers/NAME_run.json by which settings it was made: the
recipe's own, which is to make it again. The card says besides what these files hold, of the packed
teacher:

    NAME.json               rnascl evaluate recipes/teachers/NAME.keras --data cifar10 --n 1000
                                --attacks fgsm,pgd,mi_fgsm --json results/teachers/NAME.json
    NAME_softness.json      python -m benchmarks.teacher_softness recipes/teachers/NAME.keras
                                cifar10_s3 --json results/teachers/NAME_softness.json
    NAME_auto_attack.json   rnascl evaluate recipes/teachers/NAME.keras --data cifar10 --n 500
                                --attacks pgd,auto_attack
                                --json results/teachers/NAME_auto_attack.json; may be missing
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cards import ROOT, check_files, figure_rows, filled, pack_keras
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.models.saving import load_model
from rnascl_keras.models.size import model_macs, model_parameters
from rnascl_keras.recipe import load_recipe
from rnascl_keras.units import count, percent, radius

RESULTS, TEACHERS = ROOT / "results" / "teachers", ROOT / "recipes" / "teachers"
MOST_BYTES = 13 * 10**6
TEMPLATE = Path(__file__).with_name("teacher_card.md")


def pack(name: str, recipe_name: str, file: Path) -> None:
    """Copy a trained teacher, and note how it was made."""
    stored = pack_keras(file, TEACHERS / f"{name}.keras", MOST_BYTES)
    recipe = load_recipe(recipe_name)
    made = {
        "recipe": recipe_name,
        "seed": recipe.seed,
        "data": recipe.data.model_dump(mode="json"),
        "teacher": recipe.teacher.model_dump(mode="json"),
        "stored": stored,
    }
    write_json(RESULTS / f"{name}_run.json", made)


def card(name: str) -> str:
    """Return the card of a packed teacher, as Markdown."""
    file = TEACHERS / f"{name}.keras"
    run, evaluation, softness = (
        read_json(RESULTS / f"{name}{part}.json") for part in ("_run", "", "_softness")
    )
    measured = [evaluation, softness]
    rows, attacked = figure_rows(evaluation), None
    if (strong := RESULTS / f"{name}_auto_attack.json").exists():
        figures = read_json(strong)
        measured.append(figures)
        attacked = figures["n"]
        rows += [row for row in figure_rows(figures) if row["key"] == "auto_attack"]
    check_files(name, [file], measured)
    model = load_model(file)
    return filled(
        TEMPLATE,
        name=name,
        n=evaluation["n"],
        accuracy=evaluation["accuracy"],
        run=run,
        data=run["data"],
        teacher=run["teacher"],
        rows=rows,
        attacked=attacked,
        softness=softness,
        check=evaluation["check"]["verdict"],
        bytes=f"{count(file.stat().st_size)}B",
        size={"parameters": count(model_parameters(model)), "macs": count(model_macs(model).total)},
        radius=radius(evaluation["epsilon"]),
        percent=percent,
    )


def main() -> None:
    """Pack a teacher, or write its card."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("name")
    parser.add_argument("recipe", nargs="?")
    parser.add_argument("file", nargs="?", type=Path)
    chosen = parser.parse_args()
    if chosen.file:
        pack(chosen.name, chosen.recipe, chosen.file)
        return
    (TEACHERS / f"{chosen.name}.md").write_text(card(chosen.name))
    print(f"{chosen.name}: written")


if __name__ == "__main__":
    main()
