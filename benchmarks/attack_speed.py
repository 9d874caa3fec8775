"""How fast the attacks are, next to torchattacks, foolbox and ART: the same network and images.

    python -m benchmarks.attack_speed [--images 200] [--autoattack]

PGD-20 at 8/255 on the published ResNet-20, then with `--autoattack` AutoAttack at 4/255 on the
ResNet-4b, where torchattacks' members are set to their published 100 steps (it cuts them to 10).
Prints seconds, images per second, robust accuracy, and the ratio over the fastest other. Models are
loaded and compiled before the clock starts; one after the other, nothing else should run.

RNASCL_TEACHERS_DIR and TFDS_DATA_DIR say where weights and images are. PyTorch, torchattacks,
foolbox and adversarial-robustness-toolbox are not installed with the package.
"""

# PyTorch and the libraries compared with are not installed with the package.
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.published import cifar10, in_keras, in_torch, to_numpy, to_torch
from rnascl_keras.attacks import PGD, AutoAttack
from rnascl_keras.attacks.keras_classifier import KerasClassifier

BATCH = 128


def ours(name: str, attack: PGD | AutoAttack) -> Callable:
    classifier = KerasClassifier(in_keras(name))
    return lambda x, y: attack.perturb(classifier, x, y, batch_size=BATCH)


def in_batches(attack: Callable) -> Callable:
    """Return an attack on arrays that calls one on tensors, batch by batch."""
    import torch

    def perturb(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        parts = []
        for first in range(0, len(x), BATCH):
            rows = slice(first, first + BATCH)
            parts.append(to_numpy(attack(to_torch(x[rows]), torch.tensor(y[rows]))))
        return np.concatenate(parts)

    return perturb


def pgd_of_torchattacks(epsilon: float) -> Callable:
    import torchattacks

    return in_batches(torchattacks.PGD(in_torch("resnet20"), epsilon, epsilon / 4, 20))


def pgd_of_foolbox(epsilon: float) -> Callable:
    import foolbox

    model = foolbox.PyTorchModel(in_torch("resnet20"), bounds=(0, 1))
    attack = foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=20)
    return in_batches(lambda x, y: attack.run(model, x, y, epsilon=epsilon))


def pgd_of_art(epsilon: float) -> Callable:
    import keras
    import tensorflow as tf
    from art.attacks.evasion import ProjectedGradientDescentTensorFlowV2
    from art.estimators.classification import TensorFlowV2Classifier

    classifier = TensorFlowV2Classifier(
        in_keras("resnet20"),
        nb_classes=10,
        input_shape=(32, 32, 3),
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        clip_values=(0, 1),
    )
    attack = ProjectedGradientDescentTensorFlowV2(
        classifier,
        eps=epsilon,
        eps_step=epsilon / 4,
        max_iter=20,
        num_random_init=1,
        batch_size=BATCH,
        verbose=False,
    )
    tf.get_logger().setLevel("ERROR")
    return lambda x, y: attack.generate(x, y)


def autoattack_of_torchattacks(epsilon: float) -> Callable:
    import torchattacks

    attack = torchattacks.AutoAttack(in_torch("resnet4b"), eps=epsilon, seed=0)
    for member in attack._autoattack.attacks:
        if hasattr(member, "steps"):
            member.steps = 100
    return in_batches(attack)


def measure(name: str, attacks: dict[str, Callable], x: np.ndarray, y: np.ndarray) -> None:
    """Time each attack on the images, once, after a warm-up on two of them."""
    judge = KerasClassifier(in_keras(name))
    seconds = {}
    for who, attack in attacks.items():
        attack(x[:2], y[:2])
        begin = time.perf_counter()
        found = attack(x, y)
        seconds[who] = time.perf_counter() - begin
        right = np.mean(judge.logits(found).argmax(1) == y)
        rate = len(x) / seconds[who]
        print(f"{who:24} {seconds[who]:8.1f} s {rate:8.2f} images/s  robust {100 * right:.1f} %")
    mine, *others = seconds.values()
    print(f"ratio over the fastest other: {min(others) / mine:.2f}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--autoattack", action="store_true")
    settings = parser.parse_args()
    epsilon = 8 / 255
    print(f"PGD-20, 8/255, ResNet-20, {settings.images} images")
    attacks = {
        "rnascl-keras": ours("resnet20", PGD(epsilon)),
        "torchattacks": pgd_of_torchattacks(epsilon),
        "foolbox": pgd_of_foolbox(epsilon),
        "ART, TensorFlow": pgd_of_art(epsilon),
    }
    measure("resnet20", attacks, *cifar10(settings.images))
    if settings.autoattack:
        epsilon = 4 / 255
        print("AutoAttack standard, 4/255, ResNet-4b, 32 images")
        attacks = {
            "rnascl-keras": ours("resnet4b", AutoAttack(epsilon)),
            "torchattacks": autoattack_of_torchattacks(epsilon),
        }
        measure("resnet4b", attacks, *cifar10(32))


if __name__ == "__main__":
    main()
