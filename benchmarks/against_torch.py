"""How fast an ONNX file is attacked, next to what one would take instead: onnx2torch, torchattacks.

    python -m benchmarks.against_torch MODEL.onnx ... [--images 64] [--turns 5] [--threads 1]
        [--data cifar10] [--autoattack]

Both sides attack the same file on the same images, 32 pixels of CIFAR-10 or random ones, with the
labels that the file itself gives, so that it is right on all. PGD-20 at 8/255 without giving up
images early, as torchattacks does not; with `--autoattack` the standard AutoAttack at 4/255, whose
members torchattacks cuts to 10 steps: they are set back to their published 100. They take turns in
one process; what counts is the processor's time, so that what else the machine does disturbs
little. Prints the time of the other over ours (above 1: ours is faster) and both accuracies, each
of the found images in onnxruntime, which must agree but for the random starts.

PyTorch, onnx2torch and torchattacks are not installed with the package.
"""

# PyTorch and the libraries compared with are not installed with the package.
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
from onnx.version_converter import convert_version

from benchmarks.published import cifar10, to_numpy, to_torch
from benchmarks.timing import compare
from rnascl_keras.attacks import PGD, AutoAttack
from rnascl_keras.export import OnnxClassifier

STEPS, MEMBERS_STEPS = 20, 100
PGD_RADIUS, AUTOATTACK_RADIUS = 8 / 255, 4 / 255
IN_ONE_GO = 64
LATEST_OPSET = 17

Attack = Callable[[np.ndarray, np.ndarray], np.ndarray]


def pgd_of_ours(file: OnnxClassifier) -> Attack:
    attack = PGD(PGD_RADIUS, steps=STEPS, stop_early=False)
    return partial(attack.perturb, file, batch_size=IN_ONE_GO)


def pgd_of_torch(file: OnnxClassifier) -> Attack:
    import torchattacks

    module = in_torch(file)
    return in_batches(file, torchattacks.PGD(module, PGD_RADIUS, PGD_RADIUS / 4, STEPS))


def autoattack_of_ours(file: OnnxClassifier) -> Attack:
    return partial(AutoAttack(AUTOATTACK_RADIUS).perturb, file, batch_size=IN_ONE_GO)


def autoattack_of_torch(file: OnnxClassifier) -> Attack:
    import torchattacks

    attack = torchattacks.AutoAttack(in_torch(file), eps=AUTOATTACK_RADIUS, seed=0)
    for member in attack._autoattack.attacks:
        if hasattr(member, "steps"):
            member.steps = MEMBERS_STEPS
    return in_batches(file, attack)


def in_torch(file: OnnxClassifier) -> Callable:
    """The file as onnx2torch reads it, whose parameters need no gradient."""
    import onnx2torch

    model = onnx.load(file.path)
    # onnx2torch does not know the means of later versions, nor onnx how to write them as earlier
    if model.opset_import[0].version > LATEST_OPSET:
        for node in model.graph.node:
            for attribute in list(node.attribute):
                if attribute.name == "noop_with_empty_axes" and len(node.input) > 1:
                    node.attribute.remove(attribute)
        model = convert_version(model, LATEST_OPSET)
    return onnx2torch.convert(model).eval().requires_grad_(requires_grad=False)


def in_batches(file: OnnxClassifier, attack: Callable) -> Attack:
    """An attack on arrays, (n, h, w, c), by one on tensors in the file's layout."""
    import torch

    def perturb(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        parts = []
        for first in range(0, len(x), IN_ONE_GO):
            images, labels = x[first : first + IN_ONE_GO], y[first : first + IN_ONE_GO]
            channels_last = file.layout == "NHWC"
            tensor = torch.tensor(images) if channels_last else to_torch(images)
            found = attack(tensor, torch.tensor(labels))
            parts.append(found.detach().numpy() if channels_last else to_numpy(found))
        return np.concatenate(parts)

    return perturb


def measure(
    file: OnnxClassifier, name: str, sides: dict[str, Attack], x: np.ndarray, turns: int
) -> None:
    """Print how often the file is still right under each side, and the ratio of their times."""
    y = file.logits(x).argmax(axis=1)
    title = f"{file.path.stem}: {name}, {len(x)} images"
    for who, attack in sides.items():
        right = np.mean(file.logits(attack(x, y)).argmax(axis=1) == y)
        print(f"{title}: still right under {who} {100 * right:.1f} %", flush=True)
    ours, other = (partial(attack, x, y) for attack in sides.values())
    what = f"{title}: torchattacks over ours"
    compare(what, other, ours, repeats=turns, clock=time.process_time)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL.onnx")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", choices=("cifar10", "random"), default="cifar10")
    parser.add_argument("--autoattack", action="store_true")
    settings = parser.parse_args()
    import torch

    torch.set_num_threads(settings.threads)
    random = np.random.default_rng(0).random((settings.images, 32, 32, 3), dtype=np.float32)
    x = cifar10(settings.images)[0] if settings.data == "cifar10" else random
    for model in settings.models:
        file = OnnxClassifier(model, threads=settings.threads)
        if settings.autoattack:
            sides = {"ours": autoattack_of_ours(file), "torchattacks": autoattack_of_torch(file)}
            measure(file, "AutoAttack, 4/255", sides, x, settings.turns)
        else:
            sides = {"ours": pgd_of_ours(file), "torchattacks": pgd_of_torch(file)}
            measure(file, "PGD-20, 8/255", sides, x, settings.turns)


if __name__ == "__main__":
    main()
