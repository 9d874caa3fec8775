from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from rnascl_keras import Architecture
from rnascl_keras.attacks import ATTACKS
from rnascl_keras.data.augmentation import find_augmentation
from rnascl_keras.recipe import load_recipe, recipe_names
from rnascl_keras.teachers.included import included_teachers
from rnascl_keras.teachers.networks.architectures import CELL_NETWORKS, SCALED, TEACHERS

NAMES = recipe_names()
CIFAR = {f"cifar10_{space}_wrt34": space.upper() for space in ("s3", "s5", "s7", "m", "l")}
IMAGENET = {
    f"imagenet100_{space}_{teacher}": space.upper()
    for space in ("is", "im", "i")
    for teacher in ("r18", "r50", "wrt50")
}

OF_TEACHERS = {"cifar10_teacher", "cifar10_teacher_small"}
RIVALS = {
    f"rival_{name}"
    for name in (*CELL_NETWORKS, *SCALED, "darts_natural", "resnet18", "resnet34", "resnet50")
    if name not in ("darts_v1", "digits_cnn")
}


def docstring(name):
    spec = importlib.util.find_spec(f"rnascl_keras.recipes.{name}")
    return ast.get_docstring(ast.parse(Path(spec.origin).read_text()))


def field(text, label):
    """Return what a docstring says after `label:`, its continuation lines joined."""
    match = re.search(rf"^{label}:((?: +.*\n?)(?:^ +.*\n?)*)", text, re.MULTILINE)
    assert match, f"the docstring has no {label}:"
    return " ".join(match[1].split())


def test_the_papers_recipes_and_ours_are_all_there():
    ours = {"demo", "digits", "cifar10_s3_quick", *OF_TEACHERS, "imagefolder_is_tiny"}
    ours |= {"cifar10_s3_robust", "cifar10_s3_clean", "cifar10_s7_robust"}
    assert set(NAMES) == {*CIFAR, *IMAGENET, *ours, *RIVALS}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_whole(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert (recipe.space is None) == (name in RIVALS)
    if recipe.space is not None:
        space = recipe.search_space
        assert Architecture(space=space, widths=space.widths_everywhere(min)).macs > 0
    assert find_augmentation(recipe.data.augmentation)
    assert set(recipe.evaluation.attacks) <= set(ATTACKS)
    # A teacher is trained, or the user is told which one to bring.
    teacher = recipe.teacher
    assert teacher.architecture or teacher.expected or teacher.weights in included_teachers()


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_is_a_contract(name):
    text = docstring(name)
    for label in ("Hardware", "Duration", "Measured"):
        assert field(text, label)
    words = shlex.split(field(text, "Command").split("   ")[0])
    assert words[:3] == ["rnascl", "teacher" if name in OF_TEACHERS else "run", name]


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_in_a_docstrings_command_exist(name):
    text = field(docstring(name), "Command")
    changes = re.findall(r"--set (\S+)", text)
    recipe = load_recipe(name, changes)
    for change in changes:
        key, value = change.split("=")
        section, last = key.split(".")
        assert str(getattr(getattr(recipe, section), last)) == value


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_is_trained_alone(name):
    recipe = load_recipe(name)
    assert [section for section, _ in recipe.trainings()] == ["teacher"]
    assert recipe.teacher.architecture in TEACHERS
    assert recipe.evaluation.epsilon == 8 / 255
    assert field(docstring(name), "Published")


@pytest.mark.parametrize(("name", "space"), CIFAR.items())
def test_cifar10_as_in_appendix_a1(name, space):
    recipe = load_recipe(name)
    assert (recipe.space, recipe.data.source) == (space, "cifar10")
    for phase in (recipe.search, recipe.train):
        assert (phase.epochs, phase.batch_size) == (100, 128)
        assert (phase.learning_rate, phase.schedule) == (0.1, "step")
        assert (phase.momentum, phase.weight_decay) == (0.9, 2e-4)
    check_shared_settings(recipe)


@pytest.mark.parametrize(("name", "space"), IMAGENET.items())
def test_imagenet100_as_in_appendix_a1(name, space):
    recipe = load_recipe(name)
    assert (recipe.space, recipe.data.image_size) == (space, 224)
    assert (recipe.search.epochs, recipe.train.epochs) == (100, 200)
    for phase in (recipe.search, recipe.train):
        assert phase.batch_size == 256
        assert (phase.learning_rate, phase.schedule) == (0.05, "cosine")
        assert (phase.momentum, phase.weight_decay) == (0.9, 4e-5)
    check_shared_settings(recipe)


def check_shared_settings(recipe):
    assert recipe.search.gamma_s == recipe.train.gamma_t == recipe.finetune.gamma_t == 1
    assert recipe.search.architecture_fraction == 0.2
    assert (recipe.search.combine, recipe.search.kl) == ("multiply", "student_teacher")
    assert recipe.train.start == "scratch"
    # TRADES as its own script has it, and the paper's radius of attack (section 4).
    trades = recipe.finetune
    assert (trades.trades_beta, trades.epsilon) == (6, 0.031)
    assert (trades.step_size, trades.steps) == (0.007, 10)
    assert recipe.evaluation.epsilon == 8 / 255
