"""Attacks against well-known implementations, on the same published weights in PyTorch.

PyTorch, torchattacks and foolbox are not installed with the tests: `pip install torch foolbox`,
`pip install --no-deps torchattacks`.
"""

from __future__ import annotations

import numpy as np
import pytest
from classifiers import SHAPE, images_of, two_layers
from published import cifar10, in_keras, in_torch, to_numpy, to_torch

from rnascl_keras.attacks import APGD, FAB, FGSM, MIFGSM, PGD, AutoAttack, Square, make_attack
from rnascl_keras.attacks.classifier import Batched
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.attacks.norms import NORMS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is not installed")
foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
eagerpy = pytest.importorskip("eagerpy", reason="eagerpy, of foolbox, is not installed")

EPSILON = 4 / 255


@pytest.fixture(scope="module")
def double():
    """The ResNet-20 in float64 in both frameworks, and 8 images."""
    images, labels = cifar10(8)
    both = KerasClassifier(in_keras("resnet20", "float64")), in_torch("resnet20", "float64")
    return *both, images.astype(np.float64), labels


@pytest.fixture(scope="module")
def single():
    """The same in float32."""
    return KerasClassifier(in_keras("resnet20")), in_torch("resnet20"), *cifar10(8)


def robust_in_torch(network, images, labels):
    """Which images, as tensors, the PyTorch network classifies right."""
    with torch.no_grad():
        return (network(images).argmax(1) == torch.tensor(labels)).numpy()


def same_pixels(found, expected):
    """The share of pixels that are the same to 1e-6."""
    return np.mean(np.abs(found - expected) < 1e-6)


def test_both_networks_are_the_same(double, single):
    for name in ("resnet20", "resnet4b"):
        images = single[2]
        expected = in_torch(name)(to_torch(images)).detach().numpy()
        np.testing.assert_allclose(
            KerasClassifier(in_keras(name)).logits(images), expected, atol=1e-3
        )
    model, network, images, _ = double
    expected = network(to_torch(images)).detach().numpy()
    # Keras keeps the constants that normalise the pixels in float32.
    np.testing.assert_allclose(model.logits(images), expected, atol=1e-5)


def test_fgsm_gives_the_same_images(double):
    model, network, images, labels = double
    expected = torchattacks.FGSM(network, eps=EPSILON)(to_torch(images), torch.tensor(labels))
    right = model.logits(images).argmax(1) == labels
    found = FGSM(EPSILON).perturb(model, images, labels)
    np.testing.assert_allclose(found[right], to_numpy(expected)[right], rtol=0, atol=1e-6)


@pytest.mark.parametrize("epsilon", [2 / 255, 8 / 255])
def test_pgd_from_the_same_start_takes_the_same_way(double, epsilon):
    model, network, images, labels = double
    right = model.logits(images).argmax(1) == labels
    starts = [
        np.random.default_rng((0, i, 0)).uniform(-1, 1, x.shape) for i, x in enumerate(images)
    ]

    class FromOurStart(foolbox.attacks.LinfProjectedGradientDescentAttack):
        def get_random_start(self, x0, epsilon):
            return x0 + epsilon * type(x0)(to_torch(np.stack(starts)))

    attack = FromOurStart(rel_stepsize=0.25, steps=20)
    seen = foolbox.PyTorchModel(network, bounds=(0, 1))
    expected = attack.run(seen, to_torch(images), torch.tensor(labels), epsilon=epsilon)
    found = PGD(epsilon, stop_early=False).perturb(model, images, labels)
    assert same_pixels(found[right], to_numpy(expected)[right]) >= 0.999


def test_mi_fgsm_takes_the_same_way(double):
    model, network, images, labels = double
    right = model.logits(images).argmax(1) == labels
    attack = torchattacks.MIFGSM(network, eps=EPSILON, alpha=EPSILON / 10, steps=10)
    expected = to_numpy(attack(to_torch(images), torch.tensor(labels)))
    found = MIFGSM(EPSILON, stop_early=False).perturb(model, images, labels)
    assert same_pixels(found[right], expected[right]) >= 0.999


@pytest.fixture(scope="module")
def small():
    """Two layers in NumPy and PyTorch in float64, images that both take for their labels."""
    model = two_layers()

    class Same(torch.nn.Module):
        def __init__(self):
            super().__init__()
            parts = (model.first, model.weight, model.bias)
            self.parts = [torch.nn.Parameter(torch.tensor(p), requires_grad=False) for p in parts]
            self.register_parameter("first", self.parts[0])

        def forward(self, x):
            first, weight, bias = (part.to(x.dtype) for part in self.parts)
            return torch.tanh(x.permute(0, 2, 3, 1).flatten(1) @ first) @ weight + bias

    images = images_of(20)
    return model, Same(), images, model.logits(images).argmax(1)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("loss", ["ce", "dlr", "targeted_dlr"])
def test_apgd_takes_the_same_way(small, monkeypatch, loss, norm):
    """From the same start, one target, images that do not fall: the best points of 100 steps.

    Images go in one by one, for their targeted attack in L2 gives all the step size of the first.
    They keep the losses in float32, so that now and then a step is halved earlier than here, and
    the best points differ by some 1e-5.
    """
    model, network, images, labels = small
    epsilon = {"Linf": 0.01, "L2": 0.03}[norm]
    noise = np.random.default_rng(0).uniform(-1, 1, (1, *SHAPE))
    noise /= np.abs(noise).max() if norm == "Linf" else np.sqrt((noise**2).sum())
    for name in ("rand", "randn"):
        drawn = to_torch(noise) / 2 + 0.5 if name == "rand" else to_torch(noise)
        monkeypatch.setattr(torch, name, lambda shape, drawn=drawn: drawn.clone())
    monkeypatch.setattr(NORMS[norm], "random_change", lambda generator, shape: noise[0])
    ours = APGD(epsilon, norm=norm, loss=loss)
    ours.targets = min(ours.targets, 1)
    kind = torchattacks.APGDT if loss == "targeted_dlr" else torchattacks.APGD
    theirs = kind(network, norm=norm, eps=epsilon, steps=100)
    theirs.loss, theirs.target_class = loss, 2
    apart = []
    for i in range(len(images)):
        x, y = images[i : i + 1], labels[i : i + 1]
        best, robust, _, _ = theirs.attack_single_run(to_torch(x), torch.tensor(y))
        if bool(robust):
            found = ours.perturb(model, x, y)
            apart.append(np.abs(found - to_numpy(best)).max())
    assert len(apart) >= 8 and max(apart) < 1e-4
    assert np.mean(np.array(apart) < 1e-8) >= 0.5


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_fab_finds_the_same_distance(small, norm):
    """Theirs is the least distance to the most probable other class that it finds in 100 steps;
    with 1 % more ours breaks the image too, with 2 % less it does not."""
    model, network, images, labels = small
    theirs = torchattacks.FAB(network, norm=norm, eps=10.0, steps=100, multi_targeted=True)
    theirs.target_class = 2
    nearest = to_numpy(theirs.attack_single_run_targeted(to_torch(images), torch.tensor(labels)))
    distance = NORMS[norm].length(nearest - images)
    assert np.all(distance > 0)
    for factor, robust in ((1.01, False), (0.98, True)):
        for i in range(len(images)):
            attack = FAB(float(factor * distance[i]), norm=norm)
            attack.targets = 1
            found = attack.perturb(model, images[i : i + 1], labels[i : i + 1])
            assert (model.logits(found).argmax(1)[0] == labels[i]) == robust


# Robust accuracies, minutes each.

REFERENCES = {
    "fgsm": lambda network, e: torchattacks.FGSM(network, eps=e),
    "pgd": lambda network, e: torchattacks.PGD(network, eps=e, alpha=e / 4, steps=20),
    "mi_fgsm": lambda network, e: torchattacks.MIFGSM(network, eps=e, alpha=e / 10, steps=10),
    "apgd_ce": lambda network, e: torchattacks.APGD(network, eps=e, steps=100),
    "apgd_dlr": lambda network, e: torchattacks.APGD(network, eps=e, steps=100, loss="dlr"),
    "square": lambda network, e: torchattacks.Square(network, eps=e, n_queries=500),
    "apgd_t": lambda network, e: torchattacks.APGDT(network, eps=e, steps=100),
    "fab_t": lambda network, e: torchattacks.FAB(network, eps=e, steps=100, multi_targeted=True),
}
OURS = {
    "apgd_ce": APGD,
    "apgd_dlr": lambda e: APGD(e, loss="dlr"),
    "square": lambda e: Square(e, queries=500),
    "apgd_t": lambda e: APGD(e, loss="targeted_dlr"),
    "fab_t": FAB,
}
FEWER = {"apgd_t": 100, "fab_t": 100}  # images, where each is attacked nine times
DETERMINISTIC = {"fgsm", "mi_fgsm"}


@pytest.fixture(scope="module")
def networks():
    """A function: name, n -> the network in Keras and PyTorch, n images and labels; made once."""
    made = {}

    def make(name, count):
        if name not in made:
            model = Batched(KerasClassifier(in_keras(name)), 128)
            made[name] = model, in_torch(name), *cifar10(500)
        model, network, images, labels = made[name]
        return model, network, images[:count], labels[:count]

    return make


def points_apart(ours, theirs):
    """How far two robust accuracies are apart, of which images stay right, in points; exact."""
    return 100 * abs(int(ours.sum()) - int(theirs.sum())) / len(ours)


def theirs_on(attack, network, images, labels, batch_size=125):
    """Which images stay right under another library's attack."""
    parts = []
    for first in range(0, len(images), batch_size):
        rows = slice(first, first + batch_size)
        found = attack(to_torch(images[rows]), torch.tensor(labels[rows]))
        parts.append(robust_in_torch(network, found, labels[rows]))
    return np.concatenate(parts)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [2, 4, 8])
@pytest.mark.parametrize("name", REFERENCES)
def test_robust_accuracy_is_that_of_torchattacks(networks, name, levels):
    """500 images (100 for the targeted attacks): within 1 point where nothing is random, else 2."""
    model, network, images, labels = networks("resnet20", FEWER.get(name, 500))
    epsilon = levels / 255
    attack = OURS[name](epsilon) if name in OURS else make_attack(name, epsilon)
    ours = attack.run(model, images, labels, model.logits(images)).robust
    theirs = theirs_on(REFERENCES[name](network, epsilon), network, images, labels)
    print(f"{name} at {levels}/255: ours {100 * ours.mean():.1f}, theirs {100 * theirs.mean():.1f}")
    assert points_apart(ours, theirs) <= (1 if name in DETERMINISTIC else 2)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [2, 4, 8])
def test_robust_accuracy_under_cw_is_that_of_foolbox(networks, levels):
    """PGD on the margin, by foolbox' PGD with another loss; 500 images, within 2 points."""
    model, network, images, labels = networks("resnet20", 500)
    epsilon = levels / 255

    class OnTheMargin(foolbox.attacks.LinfProjectedGradientDescentAttack):
        def get_loss_fn(self, seen, classes):
            def loss(x):
                logits = seen(x)
                others = logits - eagerpy.onehot_like(logits, classes, value=1e9)
                own = logits[range(len(logits)), classes]
                return (others.max(axis=1) - own).sum()

            return loss

    attack, parts = OnTheMargin(rel_stepsize=0.25, steps=20), []
    seen = foolbox.PyTorchModel(network, bounds=(0, 1))
    for first in range(0, len(images), 125):
        x, y = to_torch(images[first : first + 125]), torch.tensor(labels[first : first + 125])
        found = attack.run(seen, x, y, epsilon=epsilon)
        parts.append(robust_in_torch(network, found, labels[first : first + 125]))
    theirs = np.concatenate(parts)
    ours = make_attack("cw", epsilon).run(model, images, labels, model.logits(images)).robust
    print(f"cw at {levels}/255: ours {100 * ours.mean():.1f}, theirs {100 * theirs.mean():.1f}")
    assert points_apart(ours, theirs) <= 2


L2_REFERENCES = {
    "pgd": lambda network, e: torchattacks.PGDL2(network, eps=e, alpha=e / 4, steps=20),
    "apgd_ce": lambda network, e: torchattacks.APGD(network, norm="L2", eps=e, steps=100),
    "square": lambda network, e: torchattacks.Square(network, norm="L2", eps=e, n_queries=500),
}
L2_OURS = {
    "pgd": lambda e: PGD(e, norm="L2"),
    "apgd_ce": lambda e: APGD(e, norm="L2"),
    "square": lambda e: Square(e, norm="L2", queries=500),
}


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.25, 0.5])
@pytest.mark.parametrize("name", L2_REFERENCES)
def test_robust_accuracy_in_l2_is_that_of_torchattacks(networks, name, epsilon):
    """500 images, within 2 points."""
    model, network, images, labels = networks("resnet20", 500)
    ours = L2_OURS[name](epsilon).run(model, images, labels, model.logits(images)).robust
    theirs = theirs_on(L2_REFERENCES[name](network, epsilon), network, images, labels)
    print(
        f"{name} in L2 at {epsilon}: ours {100 * ours.mean():.1f}, theirs {100 * theirs.mean():.1f}"
    )
    assert points_apart(ours, theirs) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.1, 0.25, 0.5])
def test_robust_accuracy_under_cw_l2_is_that_of_foolbox(networks, epsilon):
    """100 images; both with 9 values of c and 100 steps each, within 2 points."""
    model, network, images, labels = networks("resnet20", 100)
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=9, steps=100, initial_const=1.0, abort_early=False
    )
    seen = foolbox.PyTorchModel(network, bounds=(0, 1))
    _, _, fallen = attack(seen, to_torch(images), torch.tensor(labels), epsilons=epsilon)
    theirs = ~fallen.numpy()
    attack = make_attack("cw", epsilon, norm="L2")
    ours = attack.run(model, images, labels, model.logits(images)).robust
    print(f"cw in L2 at {epsilon}: ours {100 * ours.mean():.1f}, theirs {100 * theirs.mean():.1f}")
    assert points_apart(ours, theirs) <= 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "levels", "count"), [("resnet4b", 4, 200), ("resnet20", 8, 100)])
def test_autoattack_decides_as_the_reference_does(networks, name, levels, count):
    """Standard, all members at their published 100 steps, which torchattacks cuts to 10."""
    model, network, images, labels = networks(name, count)
    epsilon = levels / 255
    logits = model.logits(images)
    ours = AutoAttack(epsilon).run(model, images, labels, logits).robust
    pgd = PGD(epsilon).run(model, images, labels, logits).robust
    reference = torchattacks.AutoAttack(network, eps=epsilon, seed=0)
    for member in reference._autoattack.attacks:
        if hasattr(member, "steps"):
            member.steps = 100
    theirs = theirs_on(reference, network, images, labels, batch_size=count)
    print(
        f"AutoAttack on {name} at {levels}/255, {count} images: ours {100 * ours.mean():.1f}, "
        f"theirs {100 * theirs.mean():.1f}, alike {100 * np.mean(ours == theirs):.1f}, "
        f"PGD-20 {100 * pgd.mean():.1f}"
    )
    assert ours.sum() <= pgd.sum()
    assert points_apart(ours, theirs) <= 1
    assert np.mean(ours == theirs) >= 0.97
