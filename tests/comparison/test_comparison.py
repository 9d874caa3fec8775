"""Tutors that were not searched, the methods, and the rows of a comparison."""

import io

import keras
import pytest
from tiny_models import CLASSES, IMAGE, TINY, TUTORS, make_teacher

from rnascl_keras.assignments import with_settings
from rnascl_keras.comparison import methods
from rnascl_keras.comparison.methods import METHODS, find_methods
from rnascl_keras.comparison.networks import networks_picture
from rnascl_keras.comparison.plot import clean_against_robust, picture
from rnascl_keras.comparison.published_results import TABLE_1
from rnascl_keras.comparison.rows import Measures, _Row
from rnascl_keras.comparison.table import comparison_table, spread
from rnascl_keras.comparison.tutors import matched_tutors, random_tutors
from rnascl_keras.console import PlainConsole
from rnascl_keras.errors import UserError
from rnascl_keras.files.hashes import content_hash, digest
from rnascl_keras.files.whole import read_json
from rnascl_keras.method.architecture import Architecture, Tutor
from rnascl_keras.method.distiller import needs_of_teacher
from rnascl_keras.method.inner_attacks import GaussianNoise
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.workdir import Run
from rnascl_keras.settings import Finetune, Train

ARCHITECTURE = Architecture(TINY, ((2, 4), (6, 2)), TUTORS, "", IMAGE, CLASSES)


def test_tutors_matched_by_depth_and_drawn():
    student, teacher = [f"s{k}" for k in range(5)], [f"t{k}" for k in range(9)]
    assert [t.teacher_layer for t in matched_tutors(student, teacher)] == teacher[::2]
    assert [t.student_layer for t in matched_tutors(student, teacher)] == student
    assert matched_tutors(["s"], teacher) == [Tutor("s", "t0")]
    drawn = [t.teacher_layer for t in random_tutors(student * 200, teacher, seed=1)]
    counts = [drawn.count(layer) for layer in teacher]
    assert sum(counts) == 1000 and min(counts) > 70
    assert random_tutors(student, teacher, 1) == random_tutors(student, teacher, 1)
    assert random_tutors(student, teacher, 1) != random_tutors(student, teacher, 2)


def test_each_method_changes_what_its_name_says():
    searched = ARCHITECTURE, ["conv1", "conv2", "conv3"]
    for name, method in METHODS.items():
        found = method.architecture(searched, 3)
        assert (found.widths == ARCHITECTURE.widths) == (not name.endswith("_widths")), name
        kept = name in ("uniform", "searched", "searched_trades", "strong_attention", "combined")
        kept = kept or name.endswith("_widths")
        assert (found.tutors == TUTORS) == kept, name
    largest = METHODS["largest_widths"].architecture(searched, 0)
    assert largest.widths == ((4, 4), (6, 6))
    drawn = METHODS["random_widths"].architecture(searched, 0)
    assert drawn == METHODS["random_widths"].architecture(searched, 0)


def test_the_terms_of_eq_3_are_weighed_as_the_names_say():
    given = {name: METHODS[name].arguments(Train(gamma_t=0.5)) for name in METHODS if "kl" in name}
    assert given["kl"] == {"classification_weight": 0.0}  # the direction is the recipe's
    assert given["reversed_kl"] == {"kl": "teacher_student", "classification_weight": 0.0}
    assert given["reversed_kl_aligned"] == {**given["reversed_kl"], "gradient_weight": 1.0}
    noise = {"shown": GaussianNoise(0.1)}
    for name, own in {"softened": {"softening": 4.0}, "noisy": noise}.items():
        assert METHODS[name].arguments(Train()) == {**given["reversed_kl"], **own}
    strong = METHODS["strong_attention"].arguments(Train(gamma_t=0.5))
    assert strong == {**given["reversed_kl"], "gamma_t": 5.0}
    combined = METHODS["combined"].arguments(Train(gamma_t=0.5))
    assert combined == {**strong, "softening": 4.0, **noise}


ODD = {"classification_weight": 0.0, "kl_weight": 0.5, "gradient_weight": 2.0, "gamma_t": 0.5}
ODD |= {"kl": "teacher_student", "softening": 2.0}


def test_a_row_is_what_its_name_says_whatever_the_recipe_is(monkeypatch):
    """The weights of eq. 3 are the name's, and so is the divergence where the name has one."""
    monkeypatch.setattr(methods, "CrossLayerDistiller", lambda *given, **settings: settings)
    recipe = load_recipe("digits")

    def trained(method, **given):
        section = (Finetune if method.adversarial else Train)(**given)
        return method.distiller(None, None, ARCHITECTURE, recipe, section, 0)

    for name, method in METHODS.items():
        if method.composed:
            continue
        expected, found = trained(method, gamma_t=0.5), trained(method, **ODD)
        free = set() if "KL" in method.name else {"kl", "softening"}
        free |= {"gradient_weight"} if "align" in name else set()
        assert {key for key in found if found[key] != expected[key]} <= free | {"trades"}, name
        assert all(found[key] == ODD[key] for key in free), name


def test_rows_made_as_their_names_say_are_known_again_and_others_are_not(tmp_path):
    """A signature is what it has been, unless the recipe would make a row another method."""
    for name in ("architecture.json", "teacher.keras", "compare/searched_seed0.keras"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    recipe, odd = load_recipe("digits"), [f"train.{key}={value}" for key, value in ODD.items()]

    def origin(name, *changes):
        method, run = METHODS[name], Run(with_settings(recipe, changes), tmp_path)
        own = run.recipe.finetune if method.adversarial else run.recipe.train
        return _Row(run, name, method, own, 0, Measures((0.1,), 5))._origin()

    settings = recipe.model_dump(mode="json")
    shared = [settings["data"], recipe.views, recipe.seed, settings["evaluation"]]
    for name, method in METHODS.items():
        section = recipe.finetune if method.adversarial else recipe.train
        inputs = [content_hash(tmp_path / "teacher.keras")] * (3 if method.adversarial else 2)
        measures = {"radii": (0.1,), "auto_attack": 5}
        parts = [f"{name}_seed0", shared, section.made_from(), inputs, measures]
        assert origin(name).signature == digest(parts), name
    assert origin("cross_entropy", *odd).settings["train"]["classification_weight"] == 1
    made_as_told = Run(with_settings(recipe, odd), tmp_path).recipe.train.made_from()
    assert origin("last_layer", *odd).settings["train"] != made_as_told
    assert origin("rslad", *odd).settings["finetune"] == recipe.finetune.made_from()
    tuned = origin("searched", "train.kl=teacher_student", "train.softening=2").settings["train"]
    assert (tuned["kl"], tuned["softening"]) == ("teacher_student", 2)


def test_each_method_trains_by_its_own_terms():
    recipe = load_recipe("digits")
    searched = ARCHITECTURE, ["conv1", "conv2", "conv3"]
    plain, attacked = ["cross_entropy", "kl", "attention"], ["cross_entropy", "trades"]
    own = {
        "ard": ["kl", "cross_entropy"],
        "rslad": ["kl", "robust_kl"],
        "adaad": ["kl", "adaptive_kl"],
    }
    own |= {f"{name}_published": terms for name, terms in own.items()}
    own |= {"rslad_n_fgsm": own["rslad"], "adaad_entropy": own["adaad"]}
    own["n_fgsm"] = ["robust_cross_entropy"]
    own["igdm"] = [*own["adaad"], "indirect_gradients"]
    own |= {name: [*attacked, "kl", "attention"] for name in ("trades", "searched_trades")}
    own |= {name: [*plain, "gradient_alignment"] for name in METHODS if "align" in name}
    for name, method in METHODS.items():
        settings = recipe.finetune if method.adversarial else recipe.train
        architecture = method.architecture(searched, 0)
        models = make_teacher(), architecture.build()
        trainer = method.distiller(*models, architecture, recipe, settings, 3)
        assert [term.name for term in trainer.terms] == own.get(name, plain), name
        live = needs_of_teacher(trainer.terms, trainer.attack, trainer.shown)
        assert bool(live) == ("align" in name or "adaad" in name or name == "igdm"), name
        assert (trainer.attack is not None) == method.adversarial, name
        assert (trainer.shown is not None) == (name in ("noisy", "combined")), name
    attack = METHODS["ard"].distiller(*models, architecture, recipe, recipe.finetune, 3).attack
    assert (attack.epsilon, attack.steps) == (recipe.finetune.epsilon, recipe.finetune.steps)


def test_methods_come_with_what_they_start_from():
    assert list(find_methods(["rslad", "matched"])) == ["matched", "searched", "rslad"]
    with pytest.raises(UserError, match="Did you mean 'matched'"):
        find_methods(["mached"])


def test_sizes_are_those_of_all_seeds():
    rows = [
        {
            "method": "random_widths",
            "name": "Random widths",
            "seed": seed,
            "parameters": parameters,
            "macs": 5_000_000,
            "accuracy": 0.5,
            "pgd20": {"epsilon": [0.1], "accuracy": [0.3]},
        }
        for seed, parameters in enumerate((9_000, 12_000, 10_000))
    ]
    said = io.StringIO()
    PlainConsole(file=said, width=100).print(comparison_table("digits[v1]:cat:", rows))
    assert "digits[v1]:cat:" in said.getvalue()  # no markup
    assert "9.00 k to 12.0 k parameters, 5.00 M MACs" in said.getvalue()


def test_spread():
    assert spread([0.5]) == "50.0"
    assert spread([0.5, 0.6, 0.4]) == "50.0 (40.0 to 60.0)"


def test_the_published_points_are_marked_as_such():
    row = {"method": "ard", "name": "ARD", "adversarial": True, "macs": 7e6, "accuracy": 0.6}
    row["pgd20"] = {"epsilon": [8 / 255], "accuracy": [0.3]}
    text = clean_against_robust([row], TABLE_1)
    assert ">ARD<" in text and ">RNAS-CL-S3*<" in text and "as published" in text
    assert "published" not in clean_against_robust([row])


def drawn(epsilon):
    """The pictures of both comparisons on CIFAR-10, whose largest radius this is."""
    row = {"method": "ard", "name": "ARD", "adversarial": True, "macs": 7e6, "accuracy": 0.6}
    row["pgd20"] = {"epsilon": [epsilon / 2, epsilon], "accuracy": [0.4, 0.3]}
    network = {"network": "darts", "macs": 7e6, "epsilon": epsilon}
    network["accuracy"] = {"clean": 0.6, "pgd20": 0.3}
    return picture("cifar10", [row]), networks_picture("cifar10", [network])


def test_the_published_points_are_drawn_at_their_own_radius_only():
    for epsilon in (8 / 255, 0.031):
        assert all(">RNAS-CL-S3*<" in text for text in drawn(epsilon))
    for epsilon in (2 / 255, 0.03, 16 / 255):
        for text in drawn(epsilon):
            assert "*<" not in text and "what is published is at 8/255 and not shown" in text


@pytest.mark.parametrize(
    "methods", [("uniform", "rslad"), pytest.param(tuple(METHODS), marks=pytest.mark.slow)]
)
def test_a_comparison(methods, work, tiny, rnascl, snapshot):
    """From a finished run: every method once; a second call makes nothing again."""
    options = ("--workdir", work, "--radii", "0.05,0.1", "--methods", ",".join(methods))
    options += ("--auto-attack", "5")
    result = rnascl("compare", tiny, *options)
    assert result.code == 0, result.err
    assert all(METHODS[name].name.split()[0] in result.out for name in methods)
    found = read_json(work / "compare.json")
    assert [row["method"] for row in found["rows"]] == list(methods)
    for row in found["rows"]:
        assert row["n"] == 50 and row["pgd20"]["epsilon"] == [0.05, 0.1]
        assert row["pgd20"]["accuracy"][1] <= row["pgd20"]["accuracy"][0] <= row["accuracy"]
        assert row["auto_attack"]["n"] == 5
        clean, attacked = row["right"]["clean"], row["right"]["pgd20"][1]
        assert (len(clean), clean.count("1")) == (50, round(50 * row["accuracy"]))
        assert attacked.count("1") == round(50 * row["pgd20"]["accuracy"][1])
        model = keras.models.load_model(work / f"compare/{row['method']}_seed0.keras")
        assert sum(v.numpy().size for v in model.trainable_variables) == row["parameters"]
    before = snapshot(work)
    again = rnascl("compare", tiny, *options)
    assert again.code == 0
    assert again.err.count("_seed0: already done") == len({*methods, "searched"})
    assert snapshot(work) == before
    fewer = rnascl("compare", tiny, *options[:-2])
    assert fewer.code == 2 and "holds AutoAttack of 5 images" in fewer.err
    if len(methods) < len(METHODS):
        with_other_radii(options, work, tiny, rnascl)


def with_other_radii(options, work, tiny, rnascl):
    """The students stay, and are measured anew."""
    students = {path: path.read_bytes() for path in (work / "compare").glob("*.keras")}
    other = [*options[:2], "--radii", "0.1", *options[4:]]
    measured = rnascl("compare", tiny, *other)
    assert measured.code == 0 and measured.err.count("measured anew") == len(students)
    for row in read_json(work / "compare.json")["rows"]:
        assert row["pgd20"]["epsilon"] == [0.1] and row["auto_attack"]["n"] == 5
    assert {path: path.read_bytes() for path in students} == students
    assert "already done" in rnascl("compare", tiny, *other).err


def test_what_cannot_be_compared(refused, tiny, tmp_path):
    options = ("compare", tiny, "--workdir", tmp_path / "no")
    assert "method 'mached' is unknown" in refused(*options, "--methods", "mached")
    assert "--seeds wants integers" in refused(*options, "--seeds", "one")
    assert "from 0 to 4,294,967,295" in refused(*options, "--seeds", "4294967296")
    assert "--seeds names 0 twice" in refused(*options, "--seeds", "0,1,0")
    assert "--radii names 0.1 twice" in refused(*options, "--radii", "0.1,0.05,0.1")
    assert "--radii must be a number in (0, 1]" in refused(*options, "--radii", "8")
    line = refused(*options, "--set", "finetune=null", "--methods", "ard,matched")
    assert "ard take the settings of finetune, which is null" in line
    for setting, names, idle in (
        ("train.gamma_t=0", "last_layer,uniform,combined", "combined, uniform"),
        ("train.gamma_t=0", "rslad", "searched"),
        ("finetune.gamma_t=0", "searched_trades,rslad", "searched_trades"),
    ):
        line = refused(*options, "--set", setting, "--methods", names)
        assert f"{idle} learn from tutors, and gamma_t" in line
