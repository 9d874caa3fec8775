"""L1 against the authors' code, on the same small network in PyTorch.

And on published weights, for as many images.

Neither is installed with the tests: `pip install torch`, `pip install --no-deps pyautoattack`.
"""

from __future__ import annotations

import numpy as np
import pytest
from classifiers import SHAPE, images_of, two_layers

from rnascl_keras.attacks import APGD
from rnascl_keras.attacks.norms import L1

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
theirs = pytest.importorskip("pyautoattack.autopgd_base", reason="pyautoattack is not installed")


def to_torch(images):
    return torch.tensor(images).permute(0, 3, 1, 2).contiguous().float()


def to_numpy(images):
    return images.permute(0, 2, 3, 1).double().numpy()


def in_torch(model):
    parts = [torch.tensor(part).float() for part in (model.first, model.weight, model.bias)]

    def network(x):
        first, weight, bias = parts
        return torch.tanh(x.permute(0, 2, 3, 1).flatten(1) @ first) @ weight + bias

    return network


@pytest.mark.parametrize("epsilon", [0.1, 1, 12])
def test_the_projection_is_theirs(epsilon):
    images = images_of(50)
    change = np.random.default_rng(0).normal(size=images.shape)
    moved = theirs.L1_projection(to_torch(images), to_torch(change), epsilon)
    expected = images + change + to_numpy(moved)
    np.testing.assert_allclose(L1.project(images + change, images, epsilon), expected, atol=1e-5)


def test_apgd_takes_the_same_way(monkeypatch):
    """From the same noise, through all three balls: mostly the same point to float32's rounding,
    by which now and then a step has one value more; as many images fall."""
    model, images = two_layers(), images_of(10)
    labels = model.logits(images).argmax(1)
    noise = np.random.default_rng(0).normal(size=(1, *SHAPE))
    monkeypatch.setattr(torch, "randn_like", lambda like: to_torch(noise))

    class FromThere(APGD):
        def start(self, state):
            state.generators = np.array([FromThere] * len(state), object)
            return super().start(state)

        @staticmethod
        def normal(size):
            return noise[0]

    epsilon, apart, same = 0.3, [], []
    for i in range(len(images)):
        x, y = images[i : i + 1], labels[i : i + 1]
        attack = theirs.APGDAttack(in_torch(model), norm="L1", eps=epsilon, device="cpu", loss="ce")
        attack.init_hyperparam(to_torch(x))
        way = [3 * epsilon, 2 * epsilon, epsilon], [30, 30, 40]
        best, robust, _, _ = attack.decr_eps_pgd(to_torch(x), torch.tensor(y), *way)
        found = FromThere(epsilon, norm="L1").perturb(model, x, y)
        right = model.logits(found).argmax(1)[0] == y[0]
        same.append(right == bool(robust))
        if right:
            apart.append(np.abs(found - to_numpy(best)).max())
    assert all(same) and len(apart) >= 3
    assert np.mean(np.array(apart) < 1e-4) >= 0.6


@pytest.mark.slow
def test_as_many_images_of_a_published_network_survive():
    """Within one point, of APGD's cross-entropy through the three balls."""
    from published import cifar10, in_keras, in_torch

    epsilon, (images, labels) = 6.0, cifar10(500)
    model, network = in_keras("resnet4b"), in_torch("resnet4b")
    y, x = torch.tensor(labels), to_torch(images)
    with torch.no_grad():
        right = network(x).argmax(1) == y
    settings = {"n_iter": 100, "device": "cpu", "loss": "ce", "use_largereps": True}
    attack = theirs.APGDAttack(network, norm="L1", eps=epsilon, seed=0, **settings)
    left = 0
    for part in torch.nonzero(right).flatten().split(100):
        found = attack.perturb(x[part], y[part])
        with torch.no_grad():
            left += int((network(found).argmax(1) == y[part]).sum())
    found = APGD(epsilon, norm="L1").perturb(model, images, labels)
    survived = model.predict(found, verbose=0).argmax(axis=1) == labels
    assert survived.mean() == pytest.approx(left / len(labels), abs=0.01)
