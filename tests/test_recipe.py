from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from rnascl_keras import Recipe, SearchSpace, Stage, UserError, settings
from rnascl_keras import recipe as recipe_module
from rnascl_keras.assignments import with_settings
from rnascl_keras.recipe import Data, Evaluation, Finetune, Search, Teacher, load_recipe


@pytest.fixture
def recipe():
    return Recipe(space="S3", teacher=Teacher(architecture="resnet20"))


def refused(recipe, assignment):
    """Return the one line with which an assignment is refused."""
    with pytest.raises(UserError) as caught:
        with_settings(recipe, [assignment])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "section", "key", "value"),
    [
        ("search.epochs=5", "search", "epochs", 5),
        ("search.learning_rate=1e-3", "search", "learning_rate", 0.001),
        ("evaluation.epsilon=8/255", "evaluation", "epsilon", 8 / 255),
        ("finetune.step_size=2/255", "finetune", "step_size", 2 / 255),
        ("search.map_size=[7, 6]", "search", "map_size", (7, 6)),
        ("search.map_size=none", "search", "map_size", None),
        ("data.augmentation=none", "data", "augmentation", "none"),
        ('evaluation.attacks=["pgd"]', "evaluation", "attacks", ("pgd",)),
        ("train.start=supernet", "train", "start", "supernet"),
        ("teacher.weights=a=b.keras", "teacher", "weights", "a=b.keras"),
        ("cache.views=3", "cache", "views", 3),
        ("derive.max_macs=7e5", "derive", "max_macs", 7e5),
        ("data.class_list=null", "data", "class_list", None),
    ],
)
def test_a_setting_changes_and_all_others_stay(recipe, assignment, section, key, value):
    changed = with_settings(recipe, [assignment])
    assert getattr(getattr(changed, section), key) == value
    before, after = recipe.model_dump(), changed.model_dump()
    before[section].pop(key), after[section].pop(key)
    assert before == after


def test_later_assignments_win_and_finetune_can_be_left_out(recipe):
    assert with_settings(recipe, ["seed=1", "seed=2"]).seed == 2
    assert with_settings(recipe, ["finetune=null"]).finetune is None


def test_a_section_keeps_what_is_not_named(recipe):
    own = with_settings(recipe, ["train.schedule=cosine", "train.average=0.9"])
    changed = with_settings(own, ['train={"epochs": 5, "average": 0.8}'])
    assert changed.train == own.train.model_copy(update={"epochs": 5, "average": 0.8})


def test_a_section_that_was_left_out_is_set_by_its_keys(recipe):
    without = with_settings(recipe, ["finetune=null"])
    assert with_settings(without, ["finetune.epochs=5"]).finetune == Finetune(epochs=5)
    assert with_settings(without, ['finetune={"epochs": 5}']).finetune == Finetune(epochs=5)


def test_every_section_is_to_be_had_where_recipe_files_look(recipe):
    names = [type(getattr(recipe, key)).__name__ for key in type(recipe).model_fields]
    for name in (
        "Cache",
        "Data",
        "Teacher",
        "Search",
        "Derive",
        "Train",
        "Finetune",
        "Export",
        "Evaluation",
    ):
        assert name in names
        assert getattr(recipe_module, name) is getattr(settings, name)
        assert name in recipe_module.__all__


def test_a_space_given_as_rows_survives_other_changes():
    space = SearchSpace("mine", (Stage(2, (8, 4), stride=1),), stem_width=4, head_width=32)
    recipe = Recipe(space=space, teacher=Teacher())
    assert with_settings(recipe, ["seed=3"]).search_space == space
    rows = json.dumps(space.to_dict())
    assert with_settings(recipe, ["space=S5", f"space={rows}"]).search_space == space


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("serach.epochs=5", "Did you mean 'search.epochs'?"),
        ("search.epoch=5", "Did you mean 'search.epochs'?"),
        ("search.epochs", "--set wants KEY=VALUE"),
        ("=5", "setting '' is unknown"),
        ("search.epochs=many", "search.epochs: Input should be a valid integer"),
        ("search.epochs=0", "greater than or equal to 1; got 0"),
        ("search.epochs=2.5", "search.epochs"),
        ("search.batch_size=1", "search.batch_size: Input should be greater than or equal to 2"),
        ("search.learning_rate=NaN", "search.learning_rate"),
        ("search.gamma_s=Infinity", "search.gamma_s: Input should be a finite number"),
        ("search.alpha=NaN", "search.alpha: Input should be a finite number"),
        ("search.kl=forward", "search.kl: Input should be 'student_teacher'"),
        ("search=5", "search: Input should be"),
        ("evaluation.epsilon=0", "evaluation.epsilon: must be above 0 and at most 1"),
        ("evaluation.epsilon=8", "such as 8/255; got 8; was 8/255 meant?"),
        ("train.step_size=2", "train.step_size: must be above 0 and at most 1, in pixels"),
        ("teacher.step_size=2", "teacher.step_size: must be above 0 and at most 1, in pixels"),
        ("finetune.step_size=2", "finetune.step_size: must be above 0 and at most 1, in pixels"),
        ('train={"epoch": 5}', "section train has no setting 'epoch'"),
        ("evaluation.epsilon=8/0", "evaluation.epsilon: Input should be a valid number"),
        ("evaluation.epsilon=a/b", "evaluation.epsilon"),
        ("evaluation.n=0", "evaluation.n: Input should be greater than or equal to 1"),
        ('evaluation.attacks=["pdg"]', "attack 'pdg' is unknown"),
        ('evaluation.attacks=["sparse_rs"]', "attacks within L0; got Linf"),
        ("evaluation.attacks=fgsm,pdg", "attack 'pdg' is unknown"),
        ("train.decay_epochs=3,many", "train.decay_epochs"),
        ("train.decay_epochs=5,3", "have to ascend; got 5,3"),
        ("train.adversarial_share=0.5", "but robust is none"),
        ("train.momentum=1", "train.momentum"),
        ("seed=-1", "seed: Input should be greater than or equal to 0"),
        ("cache.views=-1", "cache.views: Input should be greater than or equal to 0; got -1"),
        ("cache.view=2", "Did you mean 'cache.views'?"),
        ('space={"name": "x", "stages": []}', "space 'x' has no stages"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(recipe, assignment, says):
    assert says in refused(recipe, assignment)


@pytest.mark.parametrize(
    ("assignment", "section", "value"),
    [
        ("evaluation.attacks=fgsm", "evaluation", ("fgsm",)),
        ("evaluation.attacks=[fgsm]", "evaluation", ("fgsm",)),
        ("evaluation.attacks=fgsm,pgd", "evaluation", ("fgsm", "pgd")),
        ("evaluation.attacks=[fgsm, pgd]", "evaluation", ("fgsm", "pgd")),
        ('evaluation.attacks=["fgsm", "pgd"]', "evaluation", ("fgsm", "pgd")),
        ("evaluation.corruptions=fog,snow", "evaluation", ("fog", "snow")),
        ("train.decay_epochs=3,5", "train", (3, 5)),
        ("train.decay_epochs=3", "train", (3,)),
        ("train.decay_epochs=none", "train", None),
        ("train.decay_epochs=[]", "train", ()),
        ("train.map_size=null", "train", None),
        ("teacher.mean=0.4,0.5,0.6", "teacher", (0.4, 0.5, 0.6)),
    ],
)
def test_lists_are_given_with_commas_or_as_json(assignment, section, value):
    changed = getattr(load_recipe("digits", [assignment]), section)
    assert getattr(changed, assignment.partition("=")[0].partition(".")[2]) == value


def test_a_wrong_argument_in_python_is_refused_too():
    with pytest.raises(ValidationError, match="epoch"):
        Search(epoch=5)
    with pytest.raises(ValidationError, match="epsilon"):
        Evaluation(epsilon=2)
    with pytest.raises(ValidationError, match="frozen"):
        Data().source = "digits"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("recipe = Recipe(", "SyntaxError"),
        ("x = 1\n", "defines no `recipe`"),
        ("recipe = 1\n", "must define recipe = Recipe"),
        ("recipe = {'space': 'S3'}\n", "got dict"),
        ("import no_such_module\n", "ModuleNotFoundError"),
        ("widths = ()\nwidest = max(widths)\n", "(line 2)"),
        (
            "from rnascl_keras import Recipe\nrecipe = Recipe(space='S3')\n",
            "teacher is missing. Give teacher=Teacher(...).",
        ),
        (
            "from rnascl_keras.recipe import *\n"
            "recipe = Recipe(space='S3', teacher=Teacher(epochs=0))",
            "teacher.epochs: Input should be greater than or equal to 1",
        ),
        (
            "from rnascl_keras.recipe import *\nrecipe = Recipe(space='S4', teacher=Teacher())",
            "search space 'S4' is unknown",
        ),
        (
            "from rnascl_keras.method.spaces import Stage\nStage(1, (8, 8))\n",
            "widths must be different positive integers",
        ),
    ],
)
def test_a_recipe_file_with_a_mistake_is_refused_in_one_line(tmp_path, text, says):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_recipe(str(path))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("train=Train(epoch=5)", "section train has no setting 'epoch'"),
        ("train=Train(epoch=5)", "Did you mean 'epochs'?"),
        ("train={'epoch': 5}", "section train has no setting 'epoch'"),
        ("dat=Data(source='digits')", "a recipe has no setting 'dat'"),
        ("evaluation=Evaluation(eps=1, n=-5)", "section evaluation has no setting 'eps'"),
    ],
)
def test_a_wrong_keyword_is_named_with_its_section_and_the_nearest(wrong, says, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(f"from rnascl_keras.recipe import *\nrecipe = Recipe(space='S3', {wrong})")
    with pytest.raises(UserError) as caught:
        load_recipe(str(path))
    assert says in str(caught.value) and "expected some of" in str(caught.value)


def test_a_recipe_file_is_named_after_itself_unless_it_has_a_name(tmp_path):
    path = tmp_path / "mine.py"
    text = "from rnascl_keras.recipe import *\nrecipe = Recipe(space='S3', teacher=Teacher()"
    path.write_text(text + ")")
    assert load_recipe(str(path)).name == "mine"
    path.write_text(text + ", name='other')")
    assert load_recipe(str(path)).name == "other"
    assert load_recipe(str(path), ["name=third"]).name == "third"


def test_unknown_recipes_are_named_with_the_nearest(tmp_path):
    with pytest.raises(
        UserError, match=r"recipe 'digit' is unknown; expected one of .*Did you mean 'digits'\?"
    ):
        load_recipe("digit")
    with pytest.raises(UserError, match="there is no recipe file"):
        load_recipe(str(tmp_path / "none.py"))
