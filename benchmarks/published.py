"""Published robust weights, as the same network in Keras and in PyTorch, and CIFAR-10's images."""

# PyTorch is not installed with the package.
# pyright: reportMissingImports=false

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

MEAN = {"resnet20": (0.485, 0.456, 0.406), "resnet4b": (0.4914, 0.4822, 0.4465)}
STD = {"resnet20": (0.229, 0.224, 0.225), "resnet4b": (0.2470, 0.2435, 0.2616)}
FILES = {
    "resnet20": "ehanw_resnet20_pgd_cifar10.npz",
    "resnet4b": "abcrown_resnet4b_adv2of255_cifar10.npz",
    "control": "ehanw_resnet20_standard_cifar10_control.npz",
}
ARCHITECTURES = {"resnet20": "resnet20", "resnet4b": "abcrown_resnet4b", "control": "resnet20"}


class NotAtHand(Exception):
    """What is published elsewhere is not on this machine, or nothing says where."""


def weights_of(name: str) -> dict[str, np.ndarray]:
    """Return the arrays of a network by their PyTorch names."""
    folder = os.environ.get("RNASCL_TEACHERS_DIR")
    if not folder:
        raise NotAtHand("RNASCL_TEACHERS_DIR does not say where published weights are")
    with np.load(Path(folder) / FILES[name]) as file:
        return dict(file)


def cifar10(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images of CIFAR-10's test set, in its own order, and their labels.

    The images are (n, 32, 32, 3) float32 in [0, 1].
    """
    data_dir = os.environ.get("TFDS_DATA_DIR")
    if not data_dir:
        raise NotAtHand("TFDS_DATA_DIR does not say where CIFAR-10 is")
    import tensorflow_datasets as tfds

    data = tfds.as_numpy(tfds.load("cifar10", split="test", batch_size=-1, data_dir=data_dir))
    first = np.argsort(data["id"])[:count]
    return data["image"][first] / np.float32(255), data["label"][first].astype(np.int64)


@contextlib.contextmanager
def floats(dtype: str) -> Iterator[None]:
    """Have Keras models built inside compute in `dtype`."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def in_keras(name: str, dtype: str = "float32") -> keras.Model:
    """Return the network as a Keras model, pixels in [0, 1] to logits."""
    from rnascl_keras.teachers import load_published

    weights_of(name)
    with floats(dtype):
        path = Path(os.environ["RNASCL_TEACHERS_DIR"]) / FILES[name]
        model = load_published(path, ARCHITECTURES[name]).model
        last = model.layers[-1]  # float32 whatever the others are
        dense = keras.layers.Dense(10)
        logits = dense(last.input)
        dense.set_weights(last.get_weights())
        return keras.Model(model.input, logits)


def in_torch(name: str, dtype: str = "float32") -> Any:
    """Return the network as a PyTorch module, (batch, 3, 32, 32) in [0, 1] to logits."""
    import torch

    functional = torch.nn.functional

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.of = {
                key: torch.nn.Parameter(
                    torch.tensor(value, dtype=getattr(torch, dtype)), requires_grad=False
                )
                for key, value in weights_of(name).items()
                if not key.endswith("num_batches_tracked")
            }
            for key, value in self.of.items():
                self.register_parameter(key.replace(".", "_"), value)

        def conv(self, key, x, stride=1):
            kernel = self.of[f"{key}.weight"]
            bias = self.of.get(f"{key}.bias")
            return functional.conv2d(x, kernel, bias, stride, kernel.shape[-1] // 2)

        def norm(self, key, x):
            parts = ("running_mean", "running_var", "weight", "bias")
            mean, variance, scale, offset = (self.of[f"{key}.{part}"] for part in parts)
            return functional.batch_norm(x, mean, variance, scale, offset, eps=1e-5)

        def forward(self, x):
            mean, std = (
                torch.tensor(values[name], dtype=x.dtype).view(1, 3, 1, 1) for values in (MEAN, STD)
            )
            return getattr(self, name)((x - mean) / std)

        def resnet20(self, x):
            x = torch.relu(self.norm("bn_1", self.conv("conv_1", x)))
            for stage in (1, 2, 3):
                for block in range(3):
                    key, stride = f"stage_{stage}.{block}", 2 if stage > 1 and block == 0 else 1
                    y = torch.relu(self.norm(f"{key}.bn_1", self.conv(f"{key}.conv_1", x, stride)))
                    y = self.norm(f"{key}.bn_2", self.conv(f"{key}.conv_2", y))
                    if stride == 2:
                        x = self.norm(f"{key}.downsample.1", self.conv(f"{key}.downsample.0", x, 2))
                    x = torch.relu(x + y)
            return functional.linear(x.mean((2, 3)), self.of["fc.weight"], self.of["fc.bias"])

        def resnet4b(self, x):
            x = torch.relu(self.conv("conv1", x, 2))
            for block in ("layer1.0", "layer1.1", "layer2.0", "layer2.1"):
                stride = 2 if block.endswith("0") else 1
                y = torch.relu(self.conv(f"{block}.conv1", x, stride))
                y = self.conv(f"{block}.conv2", y)
                shortcut = self.conv(f"{block}.shortcut.0", x, 2) if stride == 2 else x
                x = torch.relu(y + shortcut)
            x = x.flatten(1)
            for key in ("linear1", "linear2"):
                x = functional.linear(x, self.of[f"{key}.weight"], self.of[f"{key}.bias"])
                x = torch.relu(x) if key == "linear1" else x
            return x

    return Network().eval()


def to_torch(images: np.ndarray) -> Any:
    """(n, h, w, c) array -> (n, c, h, w) tensor."""
    import torch

    return torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def to_numpy(images: Any) -> np.ndarray:
    """(n, c, h, w) tensor -> (n, h, w, c) array."""
    return images.detach().numpy().transpose(0, 2, 3, 1)
