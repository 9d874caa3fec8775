"""What the sections of a recipe give to what they configure."""

import inspect

import pytest

from rnascl_keras import CrossLayerDistiller, CrossLayerSearch, evaluate
from rnascl_keras.data import load_data
from rnascl_keras.errors import UserError
from rnascl_keras.export import quantise
from rnascl_keras.method.derive import select
from rnascl_keras.method.gumbel import decayed_temperature
from rnascl_keras.method.robust_distillation import ROBUST, make_robust
from rnascl_keras.method.trades import Trades
from rnascl_keras.recipe import load_recipe
from rnascl_keras.settings import (
    Data,
    Derive,
    Evaluation,
    Export,
    Finetune,
    Search,
    Teacher,
    Train,
)
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

OTHER_NAMES = {"beta": "trades_beta", "least_agreement": "agreement", "teacher_taps": "taps"}
OTHER_NAMES |= {"name": "robust"}
OTHER_NAMES |= {"start": "gumbel_temperature", "rate": "gumbel_decay"}


@pytest.mark.parametrize(
    ("section", "arguments", "configured"),
    [
        (Data(limit_train=7), Data.arguments, load_data),
        (Teacher(average=0.9), Teacher.arguments, AdversarialTrainer),
        (Teacher(architecture="resnet20"), Teacher.network_arguments, build_teacher),
        (Search(alpha=0.7), Search.arguments, CrossLayerSearch),
        (Search(gumbel_decay=0.1), Search.temperature_arguments, decayed_temperature),
        (Derive(max_macs=8e5), Derive.arguments, select),
        (Train(gamma_t=3), Train.arguments, CrossLayerDistiller),
        (Train(robust="rslad", steps=3), Train.robust_arguments, make_robust),
        (Finetune(gamma_t=3), Finetune.arguments, CrossLayerDistiller),
        (Finetune(trades_beta=2), Finetune.trades_arguments, Trades),
        (Export(agreement=0.5), Export.arguments, quantise),
        (Evaluation(check=9), Evaluation.arguments, evaluate),
    ],
)
def test_arguments_are_known_to_what_they_are_for(section, arguments, configured):
    given = arguments(section)
    inspect.signature(configured).bind_partial(**given)
    for name, value in given.items():
        if name == "robust_at":  # the radius, where the best epoch is kept
            continue
        # beta of the search is its own; that of TRADES is the section's trades_beta
        own = name if name in type(section).model_fields else OTHER_NAMES[name]
        assert value == getattr(section, own), name
    assert all(getattr(section, key) in given.values() for key in section.model_fields_set)


@pytest.mark.parametrize("name", ["none", *ROBUST])
def test_every_robust_method_is_a_setting_of_the_training(name):
    changes = [f"train.robust={name}", "train.epsilon=4/255", "train.steps=3"]
    train = load_recipe("digits", changes).train
    given = train.robust_arguments()
    name = None if name == "none" else name
    attack = {"epsilon": 4 / 255, "step_size": 2 / 255, "steps": 3}
    assert given == {"name": name, "adversarial_share": None, **attack}
    assert (make_robust(**given) is None) == (name is None)


def test_the_attack_of_no_robust_method_changes_no_result():
    assert Train(steps=3).made_from() == Train().made_from()
    robust = Train(robust="rslad", steps=3).made_from()
    changed = {key: robust[key] for key in robust.keys() - Train().made_from().keys()}
    attack = {"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 3}
    assert changed == {"robust": "rslad", **attack}
    assert (
        Train(keep="best", epsilon=0.1).made_from().items()
        >= {"keep": "best", "epsilon": 0.1}.items()
    )
    recipe = load_recipe("digits")
    kept = {
        name: without_unset(name, value) for name, value in recipe.model_dump(mode="json").items()
    }
    assert recipe.made_from() == {**kept, "train": recipe.train.made_from()}


UNSET = {"decay_epochs": None, "clip_norm": None, "held_out": None, "gradients": False}
UNSET_OF = {
    "evaluation": {"corruptions": [], "engine": "keras"},
    "teacher": {"cells": None, "auxiliary": 0.0, "drop_path": 0.0, "start": None},
    "finetune": {"robust": None, "adversarial_share": None, "average": 0.0, "keep": "last"},
}


def without_unset(name, section):
    """What is not given of settings that were not always there: so it is as before."""
    if not isinstance(section, dict):
        return section
    unset = UNSET | UNSET_OF.get(name, {})
    return {key: value for key, value in section.items() if unset.get(key, ...) != value}


def test_what_is_set_of_a_training_changes_its_result():
    given = {"decay_epochs": [3, 5], "clip_norm": 5.0, "cells": 4, "drop_path": 0.2}
    teacher = Teacher(method="natural", auxiliary=0.4, **given)
    assert {key: teacher.made_from()[key] for key in given} == given
    assert teacher.made_from()["auxiliary"] == 0.4


def test_what_is_given_of_the_later_settings_counts():
    recipe = load_recipe("digits", ["data.held_out=0.2", "teacher.start=a.keras"]).made_from()
    assert (recipe["data"]["held_out"], recipe["teacher"]["start"]) == (0.2, "a.keras")


def test_corruptions_are_known_by_name_and_without_any_a_run_is_made_as_before():
    assert Evaluation(corruptions=("all",)).corrupting()[0] == "gaussian_noise"
    assert Evaluation(corruptions=("fog", "snow")).corrupting() == ["snow", "fog"]
    assert Evaluation().corrupting() == [] and "corruptions" not in Evaluation().made_from()
    assert Evaluation(corruptions=("fog",)).made_from()["corruptions"] == ["fog"]
    with pytest.raises(ValueError, match=r"evaluation\.corruptions 'fig' is unknown; .* 'fog'"):
        Evaluation(corruptions=("fig",))


NUMBERS = {
    "seed": 2**32,
    "train.map_size": "-1,3",
    "search.map_size": "0,0",
    "teacher.std": 0,
    "teacher.width": 0,
    "teacher.cells": -2,
    "train.gamma_t": -1,
    "search.gamma_s": -1,
    "search.alpha": -0.1,
    "search.beta": -1,
    "evaluation.attacks": "[]",
}


@pytest.mark.parametrize("name", NUMBERS)
def test_what_has_no_meaning_is_refused_before_anything_starts(name):
    with pytest.raises(UserError, match=name.rpartition(".")[2]):
        load_recipe("digits", [f"{name}={NUMBERS[name]}"])
