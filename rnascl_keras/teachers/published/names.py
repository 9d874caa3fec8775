"""What the layers of our teachers are called in published checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rnascl_keras.errors import UserError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))  # as in Rice et al.'s script
CIFAR_ABCROWN = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))

NORMALISERS = (
    ("normalizer.new_mean", "normalizer.new_std"),  # robustness
    ("mu", "sigma"),  # RobustBench
    ("normalize.mean", "normalize.std"),
    ("mean", "std"),
)
"""Names of what a wrapper subtracts and divides by."""

NAMED_AT_MOST = 6  # weights listed in an error
PROBES = ("stem_conv", "stage1_block1_conv1", "stage2_block1_shortcut", "logits")
"""Layers that all published networks have and that tell the schemes apart."""


@dataclass(frozen=True)
class Scheme:
    """One way of naming.

    Attributes:
        owner: whose it is.
        outer: our name of a layer outside the blocks -> the published one.
        block: the published name of a layer in a block; stages count from 1, blocks from 0.
        parts: our name of a layer in a block -> the published one, where they differ.
        normalisation: (mean, std) that the owner takes with images of three channels, for
            checkpoints that do not hold them; None: none.
        unused: a prefix of weights that the owner's network holds and never uses. The scheme is
            taken only for checkpoints that have them.
    """

    owner: str
    outer: dict[str, str]
    block: str
    parts: dict[str, str] = field(default_factory=dict)
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    unused: str | None = None

    def layer(self, ours: str) -> str:
        """Return the published name of our layer, e.g. stage1_block1_bn2 -> stage_1.0.bn_2."""
        if ours in self.outer:
            return self.outer[ours]
        stage, block, part = ours.split("_", 2)
        part = self.parts.get(part, part)
        number = int(block.removeprefix("block")) - 1
        return self.block.format(stage=stage.removeprefix("stage"), block=number, part=part)

    def probes(self) -> list[str]:
        """Return the published names of the kernels in `PROBES`."""
        return [f"{self.layer(probe)}.weight" for probe in PROBES]


EHANW = Scheme(
    "EhanW/advrob-cifar10",
    {"stem_conv": "conv_1", "stem_bn": "bn_1", "logits": "fc"},
    "stage_{stage}.{block}.{part}",
    {
        "conv1": "conv_1",
        "bn1": "bn_1",
        "conv2": "conv_2",
        "bn2": "bn_2",
        "shortcut": "downsample.0",
        "shortcut_bn": "downsample.1",
    },
    normalisation=IMAGENET,
)
KUANGLIU = Scheme(
    "kuangliu/pytorch-cifar and Rice et al.",
    {"stem_conv": "conv1", "stem_bn": "bn1", "final_bn": "bn", "logits": "linear"},
    "layer{stage}.{block}.{part}",
    {"shortcut": "shortcut.0", "shortcut_bn": "shortcut.1"},
    normalisation=CIFAR,
)
TORCHVISION = Scheme(
    "torchvision",
    {"stem_conv": "conv1", "stem_bn": "bn1", "logits": "fc"},
    "layer{stage}.{block}.{part}",
    {"shortcut": "downsample.0", "shortcut_bn": "downsample.1"},
    normalisation=IMAGENET,
)
RICE_WIDE = Scheme(
    "Rice et al.'s WideResNet",
    {"stem_conv": "conv1", "final_bn": "bn1", "logits": "fc"},
    "block{stage}.layer.{block}.{part}",
    {"shortcut": "convShortcut"},
    normalisation=CIFAR,
)
TRADES = replace(RICE_WIDE, owner="TRADES", normalisation=None, unused="sub_block1.")
ABCROWN = Scheme(
    "alpha-beta-CROWN",
    {"stem_conv": "conv1", "hidden": "linear1", "logits": "linear2"},
    "layer{stage}.{block}.{part}",
    {"shortcut": "shortcut.0"},
    normalisation=CIFAR_ABCROWN,
)

SCHEMES = (EHANW, KUANGLIU, TORCHVISION, TRADES, RICE_WIDE, ABCROWN)


def recognise(names: Iterable[str], architecture: str, outer: set[str], path: object) -> Scheme:
    """Return the scheme that the names of a checkpoint follow.

    Args:
        names: of its weights.
        architecture: what they are to be weights of.
        outer: its layers with weights outside the blocks.
        path: the checkpoint, for the error.

    Raises:
        UserError: at least two of the four `PROBES` have no weight under any scheme's name.
    """
    names = list(names)
    fitting = [
        scheme
        for scheme in SCHEMES
        if outer <= set(scheme.outer)
        and (scheme.unused is None or any(n.startswith(scheme.unused) for n in names))
    ]
    found = [sum(probe in names for probe in scheme.probes()) for scheme in fitting]
    if max(found) < len(PROBES) - 1:
        expected = " or ".join(f"{', '.join(s.probes())}, ... ({s.owner})" for s in fitting)
        raise UserError(
            f"the names in {path} are not those of a known {architecture}: expected {expected}; "
            f"it holds {listed(names)}."
        )
    return fitting[found.index(max(found))]


def listed(names: list[str]) -> str:
    """Return the first of the names, and how many more there are."""
    more = len(names) - NAMED_AT_MOST
    return (", ".join(names[:NAMED_AT_MOST]) or "nothing") + (
        f" and {more} more" if more > 0 else ""
    )
