"""How fast an ONNX file is attacked: next to Keras, next to torchattacks, next to its own logits.

    python -m benchmarks.onnx_gradient_speed [--batch 128] [--repeats 5]

The largest student of S3, with random weights, and the published ResNet-20, each exported to ONNX;
in PyTorch the same networks. Prints for PGD-20 at 8/255 the time of Keras, and of torchattacks,
over that of onnxruntime (above 1: onnxruntime is faster), and the time of a call for the gradient
over one for the logits. Random images, so that none is given up early; turns are interleaved.

RNASCL_TEACHERS_DIR says where the ResNet-20 is. Without PyTorch or torchattacks, which are not
installed with the package, that comparison is left out.
"""

# PyTorch and the libraries compared with are not installed with the package.
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from importlib.util import find_spec

import keras
import numpy as np

from benchmarks.published import in_keras, in_torch, to_numpy, to_torch
from benchmarks.timing import compare
from rnascl_keras.attacks import PGD, Classifier
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.export import OnnxClassifier, export_student
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.spaces import SPACES

EPSILON = 8 / 255


def student() -> keras.Model:
    """The largest student of S3."""
    widths = tuple((max(stage.widths),) * stage.depth for stage in SPACES["S3"].stages)
    return Architecture(SPACES["S3"], widths).build()


def torch_student() -> Callable:
    """The same network in PyTorch, with weights of its own."""
    from benchmarks.torch_networks import Student, randomized

    return randomized(Student([(max(s.widths), s.depth) for s in SPACES["S3"].stages]))


def torch_pgd(module: Callable) -> Callable:
    """Return PGD-20 of torchattacks, on arrays."""
    import torch
    import torchattacks

    attack = torchattacks.PGD(module, EPSILON, EPSILON / 4, 20)
    return lambda x, y: to_numpy(attack(to_torch(x), torch.tensor(y)))


def measure(
    name: str, model: keras.Model, torch_module: Callable, batch: int, repeats: int
) -> None:
    """Print the three ratios of one network."""
    random = np.random.default_rng(0)
    images = random.uniform(0, 1, (batch, 32, 32, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        file = OnnxClassifier(export_student(model, folder, name, images[:8]).onnx_path)
    labels = file.logits(images).argmax(axis=1)  # what is wrong from the start is not attacked
    attack = PGD(EPSILON, stop_early=False)

    def pgd(classifier: Classifier) -> Callable:
        return lambda: attack.perturb(classifier, images, labels, batch_size=batch)

    in_onnx, in_tensorflow = pgd(file), pgd(KerasClassifier(model))
    compare(f"{name}: PGD-20, Keras over onnxruntime", in_tensorflow, in_onnx, repeats=repeats)
    if find_spec("torchattacks"):
        in_torch = torch_pgd(torch_module())
        title = f"{name}: PGD-20, torchattacks over onnxruntime"
        compare(title, lambda: in_torch(images, labels), in_onnx, repeats=repeats)
    compare(
        f"{name}: gradient over logits",
        lambda: file.loss_and_gradient(images, labels, batch_size=batch),
        lambda: file.logits(images, batch_size=batch),
        repeats=3 * repeats,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    settings = parser.parse_args()
    shared = settings.batch, settings.repeats
    measure("student", student(), torch_student, *shared)
    measure("resnet20", in_keras("resnet20"), lambda: in_torch("resnet20"), *shared)


if __name__ == "__main__":
    main()
