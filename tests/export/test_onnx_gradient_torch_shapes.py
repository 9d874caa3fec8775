"""What PyTorch's exporter writes with shapes that it computes, loops over steps, and positions:
the gradient inside onnxruntime against autograd's, the batch left open."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch_gradient import check_autograd  # noqa: E402

nn = torch.nn
functional = nn.functional


def shuffled(x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)[:, ::3]


def same_padded(x):
    """Pads from the sizes, as ports of TensorFlow's networks have them."""
    h, w = x.shape[-2:]
    rows, columns = (-(-h // 2) - 1) * 2 + 3 - h, (-(-w // 2) - 1) * 2 + 3 - w
    pads = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
    return functional.max_pool2d(functional.pad(x, pads), 3, 2)


def pyramid(x):
    small = functional.avg_pool2d(x, 2)
    return x * functional.interpolate(small, size=x.shape[2:], mode="bilinear")


def windows(x):
    """Attention within windows of 4 by 4."""
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).view(n, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5)
    x = x.contiguous().view(-1, 16, c)
    x = (x @ x.transpose(1, 2)).softmax(-1) @ x
    n = x.shape[0] // ((h // 4) * (w // 4))
    x = x.view(n, h // 4, w // 4, 4, 4, -1).permute(0, 1, 3, 2, 4, 5)
    return x.contiguous().view(n, h, w, -1).permute(0, 3, 1, 2)


def tokens(x):
    rows = x.flatten(2).transpose(1, 2)
    n, count, width = rows.shape
    first = rows.new_ones(1, 1, width).expand(n, -1, -1)
    rows = torch.cat([first, rows], 1)
    heads = rows.reshape(n, count + 1, 2, width // 2).permute(0, 2, 1, 3)
    mixed = (heads @ heads.transpose(-2, -1)).softmax(-1) @ heads
    return mixed.transpose(1, 2).reshape(n, count + 1, width)[:, :3]


def best(x):
    """The most active places of each channel, and what else is there."""
    rows = x.flatten(2)
    values, places = rows.topk(4, -1)
    return torch.cat([values, rows.tanh().gather(2, places)], 1)


def replaced(x):
    x = x.clone()
    x[:, 1:3] = 2 * x[:, 3:5]
    return x


BODIES = {
    "chunk": lambda x: torch.mul(*x.chunk(2, 1)),
    "shuffle": shuffled,
    "same-padding": same_padded,
    "pyramid": pyramid,
    "windows": windows,
    "tokens": tokens,
    "top-k": best,
    "replaced": replaced,
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "einsum": lambda x: torch.einsum("nchw,ndhw->ncd", x, x.tanh()),
    "local-response": lambda x: functional.local_response_norm(4 * x, 3, alpha=0.1),
    "sums": lambda x: x.cumsum(2) + torch.tril(x),
    "sampled": lambda x: functional.grid_sample(
        x, torch.stack([x[:, 0], x[:, 1]], -1).tanh(), align_corners=False
    ),
    "product": lambda x: x.prod(1),
    "soft-threshold": lambda x: functional.softshrink(x, 0.1) + functional.lp_pool2d(x, 2, 1),
}


class Around(nn.Module):
    """A convolution before, and a linear layer behind."""

    def __init__(self, body):
        super().__init__()
        self.before, self.body = nn.Conv2d(3, 6, 3, padding=1), body
        count = self.body(self.before(torch.rand(2, 3, 16, 16))).flatten(1).shape[1]
        self.behind = nn.Linear(count, 5)

    def forward(self, x):
        return self.behind(self.body(self.before(x)).reshape(-1, self.behind.in_features))


@pytest.mark.parametrize("name", BODIES)
def test_the_gradient_is_autograds(name, tmp_path):
    torch.manual_seed(0)
    check_autograd(Around(BODIES[name]).eval(), tmp_path, 17)


class OverRows(nn.Module):
    """A recurrent layer that reads the columns of an image."""

    def __init__(self, layer, last=False):
        super().__init__()
        self.layer, self.last = layer, last

    def forward(self, x):
        rows, state = self.layer(x.mean(2).transpose(1, 2))
        return (state[0] if isinstance(state, tuple) else state)[-1] if self.last else rows


LAYERS = {
    "lstm": lambda: nn.LSTM(6, 4, batch_first=True, bidirectional=True),
    "lstm-deep": lambda: nn.LSTM(6, 4, 2, batch_first=True),
    "gru": lambda: nn.GRU(6, 4, batch_first=True, bidirectional=True),
    "rnn": lambda: nn.RNN(6, 4, batch_first=True),
}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers(name, last, tmp_path):
    torch.manual_seed(0)
    check_autograd(Around(OverRows(LAYERS[name](), last)).eval(), tmp_path, 17)
