"""How soft a teacher's answers are, and how far its students' adversarial images fool it.

    python -m benchmarks.teacher_softness TEACHER.keras STUDENT [--n 1000] [--json OUT]

A teacher whose answers are soft, and whom its student's adversarial images do not fool, teaches
more than one that is merely stronger (SAAD, 2025). Prints, on the first n images of CIFAR-10's
test split: the mean entropy of the teacher's answers in nats, at most log(10) = 2.30, on clean
images and on PGD-20's; and what it gets right of the images that PGD-20 makes against the student,
beside those against itself. L-infinity, 8/255, seed 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from rnascl_keras.attacks import make_attack
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.data import load_test_data
from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.whole import write_json
from rnascl_keras.models.saving import load_model
from rnascl_keras.students import load_student
from rnascl_keras.units import percent

EPSILON = 8 / 255


def entropy(logits: np.ndarray) -> float:
    """Return the mean entropy of softmax(logits (n, k)), in nats."""
    logs = log_softmax(logits.astype(np.float64), axis=1)
    return float(-(np.exp(logs) * logs).sum(axis=1).mean())


def main() -> None:
    """Print the four figures."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("teacher")
    parser.add_argument("student")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    images, labels = load_test_data("cifar10").first(chosen.n)
    teacher = KerasClassifier(load_model(Path(chosen.teacher)))
    student = KerasClassifier(load_student(chosen.student))
    entropies, right = {"clean": entropy(teacher.logits(images))}, {}
    print(f"n = {len(images)}")
    print(f"entropy, clean images: {entropies['clean']:.2f} nats")
    against = {"itself": ("itself", teacher), "student": (chosen.student, student)}
    for key, (name, attacked) in against.items():
        attack = make_attack("pgd", EPSILON, stop_early=False)
        logits = teacher.logits(attack.perturb(attacked, images, labels))
        right[key] = float(np.mean(logits.argmax(axis=1) == labels))
        entropies[key] = entropy(logits)
        print(
            f"PGD-20 against {name}: {percent(right[key])} % right, entropy "
            f"{entropies[key]:.2f} nats"
        )
    if chosen.json:
        told = {"teacher": Path(chosen.teacher).name, "sha256": content_hash(Path(chosen.teacher))}
        told |= {"student": chosen.student, "n": len(images), "epsilon": EPSILON, "attack": "pgd20"}
        write_json(chosen.json, told | {"entropy": entropies, "right": right})


if __name__ == "__main__":
    main()
