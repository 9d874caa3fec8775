"""Networks exported from PyTorch: the gradient inside onnxruntime against autograd's.

PyTorch is wanted by these tests only; without it, or without its exporter, they skip.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch_gradient import check_autograd  # noqa: E402

nn = torch.nn
functional = torch.nn.functional


def normed(into: int, out: int, kernel: int = 3, **settings) -> nn.Sequential:
    convolution = nn.Conv2d(into, out, kernel, padding=kernel // 2, bias=False, **settings)
    return nn.Sequential(convolution, nn.BatchNorm2d(out))


class Residual(nn.Module):
    """The block of ResNet-18."""

    def __init__(self, into, out, stride):
        super().__init__()
        self.first = nn.Sequential(normed(into, out, stride=stride), nn.ReLU())
        self.second = normed(out, out)
        self.shortcut = normed(into, out, 1, stride=stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


class Inverted(nn.Module):
    """The block of MobileNetV2, or with `gate` of EfficientNet."""

    def __init__(self, into, out, stride, activation=nn.ReLU6, gate=False):
        super().__init__()
        wide = 4 * into
        self.expand = nn.Sequential(normed(into, wide, 1), activation())
        self.depthwise = nn.Sequential(
            normed(wide, wide, 5 if gate else 3, stride=stride, groups=wide), activation()
        )
        self.gate = None
        if gate:
            squeeze = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, 4, 1), activation()]
            self.gate = nn.Sequential(*squeeze, nn.Conv2d(4, wide, 1), nn.Sigmoid())
        self.project = normed(wide, out, 1)
        self.same = stride == 1 and into == out

    def forward(self, x):
        y = self.depthwise(self.expand(x))
        if self.gate is not None:
            y = y * self.gate(y)
        y = self.project(y)
        return x + y if self.same else y


class Dense(nn.Module):
    """The layer of DenseNet, which joins what it makes to what it got."""

    def __init__(self, into, growth):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(into), nn.ReLU(), nn.Conv2d(into, growth, 3, 1, 1))

    def forward(self, x):
        return torch.cat([x, self.body(x)], 1)


def mixed(width: int, factor: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, factor * width), nn.GELU(), nn.Linear(factor * width, width)
    )


class ConvNeXt(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.mix = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.scale = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x):
        y = self.depthwise(x).permute(0, 2, 3, 1)
        return x + (self.scale * self.mix(self.norm(y))).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """A layer of a vision transformer, normalised first."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norms[0](x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        values = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(values.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.mix(self.norms[1](x))


class VisionTransformer(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 17, width))
        self.layers = nn.Sequential(Attention(width, 4), Attention(width, 2), nn.LayerNorm(width))
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.layers(x)[:, 0])


def ended(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)]


NETWORKS = {
    "resnet18": lambda: nn.Sequential(
        normed(3, 8), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Residual(8, 8, 1), Residual(8, 12, 2),
        *ended(12),
    ),
    "mobilenet_v2": lambda: nn.Sequential(
        normed(3, 6, stride=2), nn.ReLU6(), Inverted(6, 6, 1), Inverted(6, 8, 2),
        nn.Dropout(), *ended(8),
    ),
    "vgg": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(),
        nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5),
    ),
    "densenet": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), Dense(6, 4), Dense(10, 4), nn.BatchNorm2d(14), nn.ReLU(),
        nn.Conv2d(14, 7, 1), nn.AvgPool2d(2), Dense(7, 4), *ended(11),
    ),
    "efficientnet": lambda: nn.Sequential(
        normed(3, 6, stride=2), nn.SiLU(), Inverted(6, 6, 1, nn.SiLU, True),
        Inverted(6, 8, 2, nn.SiLU, True), nn.Conv2d(8, 16, 1), nn.Hardswish(), *ended(16),
    ),
    "vision_transformer": VisionTransformer,
    "convnext": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 4, stride=4), nn.GroupNorm(1, 8), ConvNeXt(8),
        nn.Conv2d(8, 12, 2, stride=2), nn.Mish(), ConvNeXt(12), *ended(12),
    ),
    "upsampling": lambda: nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(3, 6, 3, stride=2), nn.InstanceNorm2d(6, affine=True),
        nn.Softplus(), nn.Upsample(scale_factor=2, mode="bilinear"), nn.PReLU(6),
        nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1), nn.ELU(), nn.AvgPool2d(3, 2, 1),
        nn.PixelShuffle(2), nn.LeakyReLU(0.2), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.Linear(1, 5), nn.Hardsigmoid(),
    ),
}  # fmt: skip


def scattered(network: nn.Module) -> nn.Module:
    """Move the normalisation's values away from where they start."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.running_var):
                nn.init.uniform_(value, 0.5, 1.5)
            for value in (module.bias, module.running_mean):
                nn.init.normal_(value, 0, 0.2)
    return network.eval()


# opset, and whether by the newer exporter, which takes its time
WAYS = {
    "trace11": (11, False),
    "trace13": (13, False),
    "trace17": (17, False),
    "dynamo18": (18, True),
    "dynamo20": (20, True),
}


@pytest.mark.parametrize(
    "way",
    [pytest.param(WAYS[x], id=x, marks=[pytest.mark.slow] * WAYS[x][1]) for x in WAYS],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_is_autograds(name, way, tmp_path):
    opset, dynamo = way
    if not dynamo and opset < 14 and name == "vision_transformer":
        pytest.skip("PyTorch exports its attention from opset 14 on")
    torch.manual_seed(0)
    check_autograd(scattered(NETWORKS[name]()), tmp_path, opset, dynamo=dynamo)
