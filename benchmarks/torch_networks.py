"""Published networks in PyTorch, written from their definitions under their names of layers."""

# PyTorch is not installed with the package, and does not say that a part is a module.
# pyright: reportMissingImports=false, reportCallIssue=false

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = (1, 2, 4, 8)  # of the stages, in base widths


def conv(into, out, kernel, stride=1, bias=False):
    return nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=bias)


class Block(nn.Module):
    """Post-activation; `sizes` are (filters, kernel, stride), `short` the shortcut's name."""

    def __init__(self, into, sizes, stride, short, conv_name="conv{}", bn_name="bn{}"):
        super().__init__()
        width = into
        self.pairs = []
        for number, (filters, kernel, step) in enumerate(sizes, start=1):
            setattr(self, conv_name.format(number), conv(width, filters, kernel, step))
            setattr(self, bn_name.format(number), nn.BatchNorm2d(filters))
            self.pairs.append((conv_name.format(number), bn_name.format(number)))
            width = filters
        self.short = short
        if stride > 1 or into != width:
            shortcut = nn.Sequential(conv(into, width, 1, stride), nn.BatchNorm2d(width))
            setattr(self, short, shortcut)

    def forward(self, x):
        y = x
        for number, (convolution, norm) in enumerate(self.pairs, start=1):
            y = getattr(self, norm)(getattr(self, convolution)(y))
            y = F.relu(y) if number < len(self.pairs) else y
        return F.relu(y + (getattr(self, self.short)(x) if hasattr(self, self.short) else x))


class ResNet(nn.Module):
    """kuangliu's, torchvision's or EhanW's ResNet, by `naming`."""

    names: ClassVar = {
        "kuangliu": ("conv1", "bn1", "layer{}", "linear", "shortcut", "conv{}", "bn{}"),
        "torchvision": ("conv1", "bn1", "layer{}", "fc", "downsample", "conv{}", "bn{}"),
        "ehanw": ("conv_1", "bn_1", "stage_{}", "fc", "downsample", "conv_{}", "bn_{}"),
    }

    def __init__(self, naming, width, blocks, classes, bottleneck=None, imagenet=False):
        super().__init__()
        self.ends, self.imagenet = self.names[naming][:4], imagenet
        stem, norm, layer, head = self.ends
        setattr(
            self, stem, nn.Conv2d(3, width, 7, 2, 3, bias=False) if imagenet else conv(3, width, 3)
        )
        setattr(self, norm, nn.BatchNorm2d(width))
        into, self.stages = width, []
        for stage, number in enumerate(blocks):
            planes, made = width * WIDTHS[stage], []
            for block in range(number):
                stride = 2 if stage > 0 and block == 0 else 1
                sizes = [(planes, 3, stride), (planes, 3, 1)]
                if bottleneck:
                    inner = planes * bottleneck
                    sizes = [(inner, 1, 1), (inner, 3, stride), (planes * 4, 1, 1)]
                made.append(Block(into, sizes, stride, *self.names[naming][4:]))
                into = sizes[-1][0]
            self.stages.append(layer.format(stage + 1))
            setattr(self, self.stages[-1], nn.Sequential(*made))
        setattr(self, head, nn.Linear(into, classes))

    def forward(self, x):
        stem, norm, _, head = self.ends
        x = F.relu(getattr(self, norm)(getattr(self, stem)(x)))
        if self.imagenet:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return getattr(self, head)(x.mean((2, 3)))


class PreActBlock(nn.Module):
    """Rice et al.'s, and under other names TRADES' WideResNet's."""

    def __init__(self, into, width, stride, wide):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(into), conv(into, width, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), conv(width, width, 3)
        self.short = None
        if into != width:
            self.short = "convShortcut" if wide else "shortcut"
            shortcut = conv(into, width, 1, stride)
            setattr(self, self.short, shortcut if wide else nn.Sequential(shortcut))

    def forward(self, x):
        y = F.relu(self.bn1(x))
        z = self.conv2(F.relu(self.bn2(self.conv1(y))))
        return z + (getattr(self, self.short)(y) if self.short else x)


class PreActResNet(nn.Module):
    def __init__(self, width, blocks, classes):
        super().__init__()
        self.conv1, into = conv(3, width, 3), width
        for stage, number in enumerate(blocks):
            made = []
            for block in range(number):
                stride = 2 if stage > 0 and block == 0 else 1
                made.append(PreActBlock(into, width * WIDTHS[stage], stride, wide=False))
                into = width * WIDTHS[stage]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.bn, self.linear = nn.BatchNorm2d(into), nn.Linear(into, classes)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.linear(F.relu(self.bn(x)).mean((2, 3)))


class NetworkBlock(nn.Module):
    def __init__(self, number, into, width, stride):
        super().__init__()
        first = PreActBlock(into, width, stride, wide=True)
        rest = [PreActBlock(width, width, 1, wide=True) for _ in range(number - 1)]
        self.layer = nn.Sequential(first, *rest)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    """Stem of 16; stages of width, 2 width, 4 width. TRADES' has a `sub_block1` it never calls."""

    def __init__(self, width, depth, classes, sub_block1):
        super().__init__()
        number = (depth - 4) // 6
        self.conv1 = conv(3, 16, 3)
        self.block1 = NetworkBlock(number, 16, width, 1)
        if sub_block1:
            self.sub_block1 = NetworkBlock(number, 16, width, 1)
        self.block2 = NetworkBlock(number, width, 2 * width, 2)
        self.block3 = NetworkBlock(number, 2 * width, 4 * width, 2)
        self.bn1, self.fc = nn.BatchNorm2d(4 * width), nn.Linear(4 * width, classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


class PlainBlock(nn.Module):
    def __init__(self, into, width, stride):
        super().__init__()
        self.conv1 = conv(into, width, 3, stride, bias=True)
        self.conv2 = conv(width, width, 3, bias=True)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(conv(into, width, 1, stride, bias=True))

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))


class AbcrownResNet4b(nn.Module):
    def __init__(self, classes, size):
        super().__init__()
        self.conv1 = conv(3, 16, 3, 2, bias=True)
        self.layer1 = nn.Sequential(PlainBlock(16, 32, 2), PlainBlock(32, 32, 1))
        self.layer2 = nn.Sequential(PlainBlock(32, 32, 2), PlainBlock(32, 32, 1))
        self.linear1 = nn.Linear(32 * (size // 8) ** 2, 100)
        self.linear2 = nn.Linear(100, classes)

    def forward(self, x):
        x = self.layer2(self.layer1(F.relu(self.conv1(x))))
        return self.linear2(F.relu(self.linear1(x.flatten(1))))


class InvertedResidual(nn.Module):
    """The students' block; where `residual`, input and output are equally wide."""

    def __init__(self, into, width, stride, residual):
        super().__init__()
        hidden, self.residual = 6 * into, residual
        self.body = nn.Sequential(
            *(conv(into, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU()),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            *(nn.BatchNorm2d(hidden), nn.ReLU()),
            *(conv(hidden, width, 1), nn.BatchNorm2d(width)),
        )

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


class Student(nn.Module):
    """A student for images of 32 pixels, every block of a stage as wide as the first.

    Args:
        stages: (width, blocks) of each; all start with stride 2.
    """

    def __init__(self, stages, stem=16, classes=10):
        super().__init__()
        blocks, into = [conv(3, stem, 3), nn.BatchNorm2d(stem), nn.ReLU()], stem
        for width, number in stages:
            for k in range(number):
                blocks.append(InvertedResidual(into, width, 1 if k else 2, k > 0))
                into = width
        self.blocks, self.linear = nn.Sequential(*blocks), nn.Linear(into, classes)

    def forward(self, x):
        return self.linear(self.blocks(x).mean((2, 3)))


class Normalize(nn.Module):
    """A wrapper's normalisation, its buffers under the names it gives them."""

    def __init__(self, mean, std, names=("mean", "std")):
        super().__init__()
        self.names = names
        for name, value in zip(names, (mean, std), strict=True):
            self.register_buffer(name, torch.tensor(value)[:, None, None])

    def forward(self, x):
        mean, std = (getattr(self, name) for name in self.names)
        return (x - mean) / std


class AttackerModel(nn.Module):
    """The robustness package's wrapper: the network twice, and a normaliser."""

    def __init__(self, model, mean, std):
        super().__init__()
        names = ("new_mean", "new_std")
        self.normalizer, self.model = Normalize(mean, std, names), model
        self.attacker = nn.Module()
        self.attacker.normalize, self.attacker.model = Normalize(mean, std, names), model

    def forward(self, x):
        return self.model(self.normalizer(x))


def randomized(model, seed=0):
    """Return the model with random weights, affine parameters and batch statistics, to infer."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low, high, like):
        return torch.empty_like(like).uniform_(low, high, generator=generator)

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data = uniform(0.5, 1.5, module.weight)
            module.bias.data = uniform(-0.5, 0.5, module.bias)
            module.running_mean = uniform(-0.5, 0.5, module.running_mean)
            module.running_var = uniform(0.5, 2, module.running_var)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            spread = (3 / module.weight[0].numel()) ** 0.5
            module.weight.data = uniform(-spread, spread, module.weight)
            if module.bias is not None:
                module.bias.data = uniform(-0.5, 0.5, module.bias)
    return model.eval()
