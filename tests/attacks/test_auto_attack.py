"""AutoAttack: the members of its versions, and what each is given."""

import numpy as np
import pytest
from classifiers import SHAPE, images_of, two_layers

from rnascl_keras.attacks import AutoAttack
from rnascl_keras.errors import UserError

PIXELS = int(np.prod(SHAPE))


def test_autoattack_has_the_members_of_its_versions():
    members = {
        version: [
            (attack.key, attack.restarts, attack.targets, attack.samples, attack.steps)
            for attack in AutoAttack(0.1, version=version).attacks
        ]
        for version in ("standard", "plus", "rand")
    }
    standard = [
        ("apgd_ce", 1, 0, 1, 100),
        ("apgd_t", 1, 9, 1, 100),
        ("fab_t", 1, 9, 1, 100),
        ("square", 1, 0, 1, 5000),
    ]
    assert members["standard"] == standard
    assert members["rand"] == [("apgd_ce", 1, 0, 20, 100), ("apgd_dlr", 1, 0, 20, 100)]
    assert members["plus"] == [
        ("apgd_ce", 5, 0, 1, 100),
        ("apgd_dlr", 5, 0, 1, 100),
        ("fab", 5, 0, 1, 100),
        standard[3],
        standard[1],
        standard[2],
    ]
    with pytest.raises(UserError, match="version .* 'standart'.*Did you mean 'standard'"):
        AutoAttack(0.1, version="standart")


def test_members_attack_what_the_ones_before_have_left():
    model, images = two_layers(), images_of(40)
    labels = model.logits(images).argmax(1)
    attack, seen = AutoAttack(0.03), []
    for member in attack.attacks:
        run = member.run

        def watched(classifier, x, *rest, run=run, **settings):
            found = run(classifier, x, *rest, **settings)
            seen.append((len(x), int(found.robust.sum()), settings["indices"]))
            return found

        member.run = watched
    found = attack.perturb(model, images, labels)
    assert len(seen) == 4
    for (_, left, _), (given, _, indices) in zip(seen, seen[1:], strict=False):
        assert given == left == len(indices)
    robust = model.logits(found).argmax(1) == labels
    assert robust.sum() == seen[-1][1] and np.all(np.isin(np.flatnonzero(robust), seen[-1][2]))


def test_more_samples_add_up_the_gradients_of_a_random_model():
    class Noisy:
        rng = np.random.default_rng(0)
        asked = 0

        def logits(self, images):
            flat = images.reshape(len(images), -1)
            return np.stack([flat.sum(1), flat @ np.linspace(-1, 1, PIXELS), 0 * flat[:, 0]], 1)

        def logits_and_gradient(self, images, loss, labels, targets):
            self.asked += 1
            return self.logits(images), self.rng.normal(size=images.shape)

    model, images = Noisy(), images_of(4)
    AutoAttack(1e-4, version="rand").perturb(model, images, np.zeros(4, int))
    assert model.asked == 2 * 100 * 20
