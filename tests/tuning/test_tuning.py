"""Tuning: what is tried, in which order, how it is ranked, and that nothing is done twice."""

import ast
import json
from types import SimpleNamespace

import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine.base_tuner import BaseTuner

from rnascl_keras.assignments import with_settings
from rnascl_keras.errors import Diverged, UserError
from rnascl_keras.files.whole import read_json
from rnascl_keras.recipe import load_recipe, recipe_names
from rnascl_keras.recipe_file import recipe_file
from rnascl_keras.run.workdir import Run
from rnascl_keras.tuning import tuner as tuner_module
from rnascl_keras.tuning.hyper_model import RecipeHyperModel
from rnascl_keras.tuning.hyperparameters import HYPERPARAMETERS, find_names
from rnascl_keras.tuning.oracles import METHODS, make_oracle
from rnascl_keras.tuning.ranking import ranked, score
from rnascl_keras.tuning.trial_runs import shortened, trial_run

IMAGE = (32, 32, 3)
DIGITS = load_recipe("digits")


def hyper_model(recipe=DIGITS, names=()):
    return RecipeHyperModel(recipe, find_names(names, recipe), IMAGE)


def built(model, **values):
    """The recipe that a hypermodel builds for these values, the others at their defaults."""
    hp = keras_tuner.HyperParameters()
    for _ in range(2):  # the first build declares what the second gets
        hp.values.update(values)
        recipe = model.build(hp)
    return recipe


def test_students_that_are_clean_enough_come_first_and_then_count_by_their_robustness():
    rng = np.random.default_rng(0)
    pairs = rng.choice([0.0, 0.1, 0.49, 0.5, 0.51, 0.9, 1.0], (60, 2))
    trials = [
        {"trial": f"{k:02}", "clean": c, "score": score(c, r, 0.5), "robust": r}
        | {"settings": k, "epochs": {"train": 1}}
        for k, (c, r) in enumerate(pairs)
    ]
    enough = [t for t in trials if t["clean"] >= 0.5]
    short = [t for t in trials if t["clean"] < 0.5]
    expected = sorted(enough, key=lambda t: (t["robust"], t["clean"]), reverse=True)
    expected += sorted(short, key=lambda t: t["clean"], reverse=True)
    found = ranked(trials)
    assert [(t["clean"], t["score"]) for t in found] == [(t["clean"], t["score"]) for t in expected]
    assert [t["robust"] for t in found[: len(enough)]] == [
        t["robust"] for t in expected[: len(enough)]
    ]


def test_the_longest_trial_stands_for_its_settings():
    short = {"trial": "0", "settings": {"kl": "a"}, "score": 0.9, "clean": 0.9}
    other = {"trial": "1", "settings": {"kl": "b"}, "score": 0.5, "clean": 0.9}
    long = short | {"trial": "2", "score": 0.4}
    trials = [
        trial | {"epochs": {"train": epochs}}
        for trial, epochs in ((short, 2), (other, 2), (long, 6))
    ]
    assert [trial["trial"] for trial in ranked(trials)] == ["1", "2"]


def test_every_value_is_a_setting_that_the_recipe_takes():
    model = hyper_model()
    for name, values in model.choices.items():
        parent, needed = HYPERPARAMETERS[name].only_with or ("kl", model.own["kl"])
        assert model.own[name] in values and len(values) > 1
        for value in values:
            recipe = built(model, **{parent: needed, name: value})
            for setting in HYPERPARAMETERS[name].settings:
                section, key = setting.split(".")
                found = getattr(getattr(recipe, section), key)
                if name == "map_size":
                    found = "x".join(map(str, found or (8, 8)))
                assert found == value, setting
    assert model.choices["gamma_t"] == model.choices["gamma_s"] == [0.01, 0.1, 1, 10, 100]
    assert model.choices["map_size"] == ["4x4", "8x8", "16x16"]


def test_without_a_change_it_is_the_recipe_and_its_own_values_are_among_those_tried():
    recipe = with_settings(
        DIGITS, ["search.gamma_s=3", "finetune=null", "search.map_size=[6,6]", "train.softening=3"]
    )
    model = hyper_model(recipe)
    assert built(model) == recipe
    assert model.choices["gamma_s"] == [0.01, 0.1, 1, 3, 10, 100]
    assert model.choices["map_size"] == ["3x3", "6x6", "12x12"]
    changed = built(model, softening=4.0)
    assert changed.search.softening == changed.train.softening == 4


def test_beta_counts_where_it_multiplies_and_alpha_where_it_adds():
    model = hyper_model(names=["combine", "beta", "alpha"])
    added = built(model, combine="add", alpha=3.2, beta=2.4)
    assert (added.search.combine, added.search.alpha, added.search.beta) == ("add", 3.2, 0.6)
    multiplied = built(model, combine="multiply", alpha=3.2, beta=2.4)
    assert (multiplied.search.alpha, multiplied.search.beta) == (0.2, 2.4)
    with pytest.raises(UserError, match="--tune alpha: it counts only with combine=add"):
        find_names(["alpha"], DIGITS)
    assert built(hyper_model(names=["beta"]), beta=0.3).search.beta == 0.3


def test_an_unknown_name_is_told():
    with pytest.raises(UserError, match="Did you mean 'gamma_s'"):
        find_names(["gama_s"], DIGITS)


class Quick(BaseTuner):
    """A tuner whose trials are over at once, or end it."""

    def __init__(self, folder, method, trials=8, ends_at=None, epochs=9, names=(), settings=99):
        self.ends_at, self.done = ends_at, []
        oracle = make_oracle(method, trials, epochs, seed=0, settings=settings)
        arguments = {"directory": str(folder), "project_name": "quick"}
        super().__init__(oracle, hyper_model(names=names), **arguments)

    def reload(self):
        self.oracle.reload()

    def run_trial(self, trial):
        if len(self.done) == self.ends_at:
            raise KeyboardInterrupt
        recipe = self.hypermodel.build(trial.hyperparameters)
        self.done.append(recipe)
        return {"score": -abs(np.log10(recipe.train.gamma_t) - 1) - recipe.search.gamma_s / 1e3}


@pytest.mark.parametrize(
    ("trials", "names", "settings"), [(20, (), 500), (50, (), 500), (20, ("gamma_t",), 4)]
)
def test_hyperband_prolongs_the_best_of_its_trials(trials, names, settings, tmp_path):
    """Keras Tuner alone would begin with 98 trials of 2 epochs, however few there are to be."""
    tuner = Quick(tmp_path, "hyperband", trials, epochs=100, names=names, settings=settings)
    tuner.search()
    begun = [tuner.oracle.trials[name].hyperparameters.values for name in tuner.oracle.start_order]
    epochs = [values["tuner/epochs"] for values in begun]
    assert len(epochs) <= trials and max(epochs) == 100
    assert settings == 4 or (len(epochs) == trials and min(epochs) < 100)


def test_neighbouring_seeds_draw_other_settings(tmp_path):
    def drawn(seed):
        oracle = make_oracle("random", 30, 9, seed, settings=99)
        oracle._set_project_dir(str(tmp_path), f"seed_{seed}")
        oracle.hyperparameters.Choice("x", list(range(99)))
        return [oracle.create_trial(f"{k}").hyperparameters.values["x"] for k in range(20)]

    first, second = drawn(0), drawn(1)
    assert not any(first[k:] == second[: 20 - k] for k in range(10))
    assert not any(second[k:] == first[: 20 - k] for k in range(10))


def test_a_short_trial_lowers_its_rate_where_the_whole_training_does():
    changes = ["train.epochs=20", "train.decay_epochs=10,15", "train.schedule=step"]
    recipe = with_settings(DIGITS, changes)
    assert shortened(recipe, 0, 0.2).train.decay_epochs == (2, 3)
    assert shortened(recipe, 0, 0.05).train.decay_epochs == (1,)
    assert shortened(recipe, 0, 1.0).train.decay_epochs == (10, 15)


@pytest.mark.parametrize("method", METHODS)
def test_a_tuning_that_was_cut_short_goes_on_as_if_it_had_not_been(method, tmp_path):
    whole = Quick(tmp_path / "whole", method)
    whole.search()
    assert whole.done[0] == DIGITS
    different = len({repr(recipe) for recipe in whole.done})
    assert len(whole.done) == 8
    assert different == 8 or method == "hyperband"  # whose longer trials have the same settings
    first = Quick(tmp_path / "cut", method, ends_at=5)
    with pytest.raises(KeyboardInterrupt):
        first.search()
    again = Quick(tmp_path / "cut", method)
    again.search()
    if method == "bayesian":  # its own random restarts begin anew
        assert len(first.done + again.done) == 8
    else:
        assert first.done + again.done == whole.done
    more = Quick(tmp_path / "cut", method, trials=10)
    more.search()
    assert len(more.done) == 2


def test_bayesian_trials_do_not_repeat_themselves(tmp_path):
    tuner = Quick(tmp_path, "bayesian", trials=30, names=("gamma_t", "kl"))
    tuner.search()
    assert (
        len(tuner.done) == len({repr(recipe) for recipe in tuner.done}) == 10
    )  # there are no more


def test_files_of_a_killed_process_are_no_obstacle(tmp_path):
    tuner = Quick(tmp_path, "random", trials=2)
    tuner.search()
    folder = tmp_path / "quick"
    # killed between the trial's file and the oracle's, and in the middle of the tuner's own
    orphan = read_json(folder / "trial_1/trial.json") | {"trial_id": "2", "status": "RUNNING"}
    (folder / "trial_2").mkdir()
    (folder / "trial_2/trial.json").write_text(json.dumps(orphan))
    (folder / "tuner0.json").write_text("")
    again = Quick(tmp_path, "random", trials=4)
    again.search()
    assert len(again.done) == 2
    assert [t.status for t in again.oracle.trials.values()] == ["COMPLETED"] * 4


def test_no_trial_begins_after_the_deadline(tmp_path):
    tuner = Quick(tmp_path, "random")
    tuner.oracle.deadline = 0.0
    tuner.search()
    assert tuner.done == []


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_being_written(name, tmp_path):
    recipe = load_recipe(name).model_copy(update={"name": ""})
    path = tmp_path / "again.py"
    told = 'All "quotes", \\backslashes and """ survive.'
    path.write_text(recipe_file(recipe, told))
    assert load_recipe(str(path)) == recipe.model_copy(update={"name": "again"})
    assert ast.get_docstring(ast.parse(path.read_text())) == told
    assert max(map(len, path.read_text().splitlines())) <= 100


def test_trials_share_what_they_have_in_common(tmp_path):
    run = Run(with_settings(DIGITS, ["cache.views=7"]), tmp_path)

    def trial(share=1.0, **values):
        return trial_run(run, shortened(built(hyper_model(run.recipe), **values), 7, share))

    plain, weighted, tapped = trial(), trial(gamma_t=10.0), trial(taps="block")
    for name in ("teacher.keras", "cache/cache.json"):
        assert plain.path(name) == weighted.path(name) == run.path(name)
    assert plain.path("search/outcome.json") == weighted.path("search/outcome.json")
    assert plain.path("architecture.json").parent == plain.path("search").parent
    assert plain.path("student.keras") != weighted.path("student.keras")
    assert tapped.path("teacher.keras") == run.path("teacher.keras")
    assert tapped.path("cache") not in (plain.path("cache"), tapped.path("."))
    assert tapped.path("search") != plain.path("search")
    short = trial(share=0.15)
    assert (short.recipe.search.epochs, short.recipe.train.epochs) == (2, 3)
    assert short.recipe.views == plain.recipe.views == 7  # the same cache serves
    assert short.path("search") != plain.path("search")


def test_a_students_numbers_that_are_none_are_no_accuracy(tmp_path):
    import keras

    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.layers[-1].set_weights([np.full((16, 3), np.nan), np.zeros(3)])
    images = np.zeros((5, 4, 4, 1), "float32")
    found = tuner_module._attacked(model, images, np.zeros(5, int), 0.1, 0)
    assert (found["clean"], found["pgd20"]) == (0, 0)
    assert found["intervals"]["clean"][0] == pytest.approx(0)


def test_a_trial_that_diverges_counts_last_and_ends_nothing(tmp_path, monkeypatch):
    def diverges(run, names):
        raise Diverged("search has diverged.")

    said = []
    run = Run(with_settings(DIGITS, ["evaluation.n=40"]), tmp_path, listener=said.append)
    tuner = object.__new__(tuner_module.RecipeTuner)
    tuner.run = run
    monkeypatch.setattr(tuner, "recipe_of", lambda trial: run.recipe, raising=False)
    monkeypatch.setattr(tuner_module, "run_stages", diverges)
    made = tuner.made(None)
    assert (made["clean"], made["pgd20"], made["macs"]) == (0, 0, 0)
    assert made["epochs"] == {"search": 10, "train": 20}
    assert made["intervals"]["pgd20"][1] == pytest.approx(0.0876, abs=1e-3)  # Wilson's, 0 of 40
    assert said == ["tune: search has diverged. It counts as 0 %."]
    monkeypatch.setattr(tuner_module, "run_stages", None)
    assert tuner.figures_of(None) == made


def test_a_trial_is_shown_with_the_figures_of_its_own_radius_and_images(tmp_path, monkeypatch):
    """Measured at one radius, then at another in the same folder, then asked for again."""
    attacked = []

    def attack(model, images, labels, epsilon, seed):
        attacked.append((len(images), epsilon))
        return {"clean": 0.75, "pgd20": epsilon, "intervals": {"clean": [], "pgd20": []}}

    def tuner(*changes):
        made = object.__new__(tuner_module.RecipeTuner)
        made.run = Run(with_settings(DIGITS, ["evaluation.n=40", *changes]), tmp_path)
        made.recipe_of = lambda trial: made.run.recipe
        return made

    student = trial_run(tuner().run, DIGITS).path("student.keras")
    student.parent.mkdir(parents=True)
    student.touch()
    size = SimpleNamespace(parameters=1, macs=1, widths=[])
    monkeypatch.setattr(tuner_module, "run_stages", lambda run, names: None)
    monkeypatch.setattr(tuner_module, "_attacked", attack)
    monkeypatch.setattr(tuner_module.SharingRun, "architecture", size)
    monkeypatch.setattr(tuner_module.SharingRun, "student", lambda run, name: None)
    near, far = tuner("evaluation.epsilon=0.02"), tuner("evaluation.epsilon=0.1")
    assert far.made(None)["pgd20"] == 0.1 and near.made(None)["pgd20"] == 0.02
    monkeypatch.setattr(tuner_module, "run_stages", None)  # nothing is trained
    assert far.figures_of(None)["pgd20"] == far.figures_of(None)["pgd20"] == 0.1
    fewer = tuner("evaluation.epsilon=0.1", "evaluation.n=30")
    assert fewer.figures_of(None)["pgd20"] == 0.1
    assert attacked == [(40, 0.1), (40, 0.02), (40, 0.1), (30, 0.1)]


def test_what_cannot_be_tuned(refused, tiny, tmp_path):
    options = ("tune", tiny, "--workdir", tmp_path / "no", "--set", "data.validation=60")
    assert "--method 'bayes' is unknown; expected one of hyperband, bayesian, random." in refused(
        *options, "--method", "bayes"
    )
    assert "--tune 'gama' is unknown" in refused(*options, "--tune", "gama")
    assert "--trials must be at least 1" in refused(*options, "--trials", 0)
    assert "--hours must be above 0" in refused(*options, "--hours", -1)
    assert "--least-clean is a share from 0 to 1" in refused(*options, "--least-clean", 80)
    line = refused("tune", tiny, "--workdir", tmp_path / "no")
    assert "recipe tiny holds none back; give e.g. --set data.validation=1000" in line
