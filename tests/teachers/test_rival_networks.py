"""Rivals' networks: published sizes, and cells against a PyTorch twin made from the same facts."""

from __future__ import annotations

import numpy as np
import pytest

from rnascl_keras.comparison.rival_rows import RIVALS
from rnascl_keras.errors import UserError
from rnascl_keras.models.size import model_macs, model_parameters
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.networks.cell_network import build_cell_network
from rnascl_keras.teachers.networks.cell_rows import CELL_NETWORKS

SIZES = {
    "darts": (3_349_342, 528),
    "mobilenetv2": (2_296_922, 91),
    "vgg11_r": (5_830_475, 139),
    "e2rnas": (448_570, 71),
    "msrobnet_1000": (3_160_276, 509),
}
MORE_SIZES = {
    "darts_v1": (3_169_414, 501),
    "darts_r": (1_295_834, 389),
    "pc_darts": (3_634_678, 557),
    "racl": (3_571_174, 550),
    "nasnet": (3_830_950, 604),
    "amoebanet": (3_145_078, 489),
    "densenet121_r": (5_999_686, 858),
    "robnet_large": (6_842_710, 1030),
    "robnet_free": (5_439_790, 780),
    "msrobnet_1560": (5_304_814, 794),
    "msrobnet_2000_predictor": (5_737_560, 1017),
    "advrush": (4_158_046, 645),
    "resnet18": (11_173_962, 555),
    "resnet34": (21_282_122, 1159),
    "resnet50": (23_520_842, 1298),
}
"""Parameters, and multiply-adds in millions."""
SIZES_LISTED = {rival.recipe: rival.counted for rival in RIVALS if rival.counted}
SHAPE, CLASSES = (16, 16, 3), 5


@pytest.mark.parametrize(
    ("architecture", "size"),
    [*SIZES.items(), *(pytest.param(*row, marks=pytest.mark.slow) for row in MORE_SIZES.items())],
)
def test_published_sizes(architecture, size):
    model = build_teacher(architecture, input_shape=(32, 32, 3), classes=10)
    counted = model_macs(model)
    assert (model_parameters(model), counted.uncounted) == (size[0], ())
    # rounded figures; a strided dilated convolution, of racl alone, is taken at stride 1, which
    # costs 0.75 million more
    assert counted.total / 1e6 == pytest.approx(size[1], abs=0.75)


def test_the_list_of_rivals_has_the_same_sizes():
    for architecture, size in (SIZES | MORE_SIZES).items():
        assert SIZES_LISTED.get(f"rival_{architecture}", size) == size


class Twin:
    """The forward pass of a cell network in PyTorch, with the weights of a Keras one."""

    def __init__(self, model, torch):
        self.layers = {layer.name: layer for layer in model.layers}
        self.torch, self.functional = torch, torch.nn.functional

    def weights(self, name):
        return [self.torch.tensor(np.asarray(w)) for w in self.layers[name].weights]

    def conv(self, x, name, **how):
        kernel = self.weights(name)[0]
        if "depthwise" in name:  # (h, w, c, 1) -> (c, 1, h, w)
            return self.functional.conv2d(x, kernel.permute(2, 3, 0, 1), groups=x.shape[1], **how)
        return self.functional.conv2d(x, kernel.permute(3, 2, 0, 1), **how)

    def norm(self, x, name):
        layer = self.layers[name]
        values = self.weights(name)
        scale, offset = values[:2] if layer.scale else (None, None)
        return self.functional.batch_norm(x, *values[-2:], scale, offset, eps=1e-5)

    def relu_conv(self, x, name):
        return self.norm(self.conv(x.relu(), f"{name}_conv"), f"{name}_bn")

    def reduced(self, x, name):
        x = x.relu()
        even = self.conv(x, f"{name}_conv1", stride=2)
        odd = self.conv(x[:, :, 1:, 1:], f"{name}_conv2", stride=2)
        return self.norm(self.torch.cat([even, odd], 1), f"{name}_bn")

    def separable(self, x, name, kernel, stride):
        for part, step in (("a", stride), ("b", 1)):
            how = {"stride": step, "padding": kernel // 2}
            x = self.conv(x.relu(), f"{name}_{part}_depthwise", **how)
            x = self.norm(self.conv(x, f"{name}_{part}_conv"), f"{name}_{part}_bn")
        return x

    def operation(self, x, kind, stride, name):
        if kind == "m":
            return self.functional.max_pool2d(x, 3, stride, 1)
        if kind == "a":
            return self.functional.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
        if kind == "k":
            return x if stride == 1 else self.reduced(x, name)
        if kind == "R":
            other = x if stride == 1 else self.reduced(x, f"{name}_shortcut")
            return self.separable(x, name, 3, stride) + other
        if kind == "x":
            x = self.conv(x.relu(), f"{name}_row", stride=(1, stride), padding=(0, 3))
            x = self.conv(x, f"{name}_column", stride=(stride, 1), padding=(3, 0))
            return self.norm(x, f"{name}_bn")
        kernel = int(kind[1])
        if kind[0] == "s":
            return self.separable(x, name, kernel, stride)
        how = {"stride": stride, "padding": kernel - 1, "dilation": 2}
        x = self.conv(x.relu(), f"{name}_depthwise", **how)
        return self.norm(self.conv(x, f"{name}_conv"), f"{name}_bn")

    def cell(self, before, last, cell, number, reduces, adapt):
        name = f"cell{number}"
        states = [adapt(before, f"{name}_in0"), self.relu_conv(last, f"{name}_in1")]
        for node, edges in enumerate(cell.nodes, start=2):
            made = self.torch.zeros_like(states[-1])
            if reduces and node == 2:
                made = made[:, :, ::2, ::2]
            for k, (kind, state) in enumerate(edges):
                stride = 2 if reduces and state < 2 else 1
                made = made + self.operation(
                    states[state], kind, stride, f"{name}_node{node}_{k}_{kind}"
                )
            states.append(made)
        return self.torch.cat([states[k] for k in cell.concat], 1)

    def logits(self, images, row):
        x = self.torch.tensor(images).permute(0, 3, 1, 2)
        x = self.norm(self.conv(x, "stem_conv", padding=1), "stem_bn")
        before, last, adapt = x, x, self.relu_conv
        for place in range(row.cells):
            reduces = place in (row.cells // 3, 2 * row.cells // 3)
            made = self.cell(before, last, row.cell(place), place + 1, reduces, adapt)
            before, last = last, made
            adapt = self.reduced if reduces else self.relu_conv
        kernel, offset = self.weights("logits")
        return last.mean((2, 3)) @ kernel + offset


TWINS = ("darts", "racl", "nasnet", "amoebanet", "robnet_large", "msrobnet_2000_predictor")


@pytest.mark.parametrize("architecture", TWINS)
def test_cells_give_the_logits_of_a_pytorch_twin(architecture):
    """Normal and reduction cells, both ways of adapting their inputs, every operation."""
    torch = pytest.importorskip("torch", reason="the twin is written in PyTorch")
    row = CELL_NETWORKS[architecture].slimmer(4, 3)
    model = build_cell_network(row, input_shape=SHAPE, classes=CLASSES)
    randomise(model)
    images = np.random.default_rng(1).uniform(size=(3, *SHAPE)).astype(np.float32)
    with torch.no_grad():
        expected = Twin(model, torch).logits(images, row).numpy()
    assert np.ptp(expected) > 1e-2
    np.testing.assert_allclose(model(images, training=False), expected, atol=1e-4, rtol=1e-4)


def randomise(model):
    """Give all weights and statistics values unlike those of a new model."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        drawn = rng.uniform(0.5, 1.5, weight.shape)
        if "kernel" in weight.path:
            drawn = rng.normal(size=weight.shape) / np.sqrt(np.prod(weight.shape[:-1]))
        weight.assign(drawn)


def test_a_dense_code_is_read_letter_by_letter():
    cell = CELL_NETWORKS["msrobnet_2000_predictor"].cell(7)
    assert cell.nodes == (
        (("s3", 0), ("s3", 1)),
        (),
        (("k", 1), ("s3", 3)),
        (("k", 1), ("k", 2), ("k", 3)),
    )


def test_fewer_cells_keep_the_codes_of_their_depth():
    row = CELL_NETWORKS["robnet_free"]
    short = row.slimmer(None, 4)
    assert [short.cell(place) for place in range(4)] == [row.cell(5 * k) for k in range(4)]


def test_images_that_cannot_be_halved_twice_are_told():
    with pytest.raises(UserError, match="30 x 30 pixels twice"):
        build_teacher("darts", input_shape=(30, 30, 3), classes=2, width=4, cells=3)
