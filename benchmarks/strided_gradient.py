"""The input gradient of a strided convolution in onnxruntime, in three forms.

    python -m benchmarks.strided_gradient [--batch 8] [--repeats 15]

A ConvTranspose, which `export.gradient.windows` writes for dense ones; a Conv of the gradient with
zeros put in between, which it writes for depthwise ones; and, for stride 2, a Conv at the
gradient's own size that makes the four pixels of each place as channels, which DepthToSpace lays
out. All give the same; prints the time of each of the other two over that of the first (above 1:
the ConvTranspose is faster). Turns are interleaved. The batch is that of a piece, see
`export.onnx_batches`.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, parser

from benchmarks.timing import compare
from rnascl_keras.export.onnx_batches import FEWEST_IN_PIECE

# (channels in, out, groups, kernel, size of the images): of the students, and of ResNets
LAYERS = {
    "depthwise 96, 32 pixels": (96, 96, 96, 3, 32),
    "depthwise 192, 16 pixels": (192, 192, 192, 3, 16),
    "depthwise 384, 8 pixels": (384, 384, 384, 3, 8),
    "dense 16 to 32, 32 pixels": (16, 32, 1, 3, 32),
    "dense 64 to 128, 32 pixels": (64, 128, 1, 3, 32),
    "shortcut 16 to 32, 32 pixels": (16, 32, 1, 1, 32),
}


def session(nodes: str, half: int, out: int, **arrays: np.ndarray) -> onnxruntime.InferenceSession:
    """Return onnxruntime's session on a graph from the gradient g to that of the images, x."""
    text = f'<ir_version: 8, opset_import: ["": 18]> g (float[N, {out}, {half}, {half}] g)'
    model = parser.parse_model(f"{text} => (float[N, C, H, W] x) {{ {nodes} }}")
    for name, value in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def turned(kernel: np.ndarray, groups: int) -> np.ndarray:
    """(out, in / groups, k, k) -> (in, out / groups, k, k), reversed."""
    out, each, size, _ = kernel.shape
    grouped = kernel.reshape(groups, out // groups, each, size, size).swapaxes(1, 2)
    swapped = grouped.reshape(groups * each, out // groups, size, size)
    return np.ascontiguousarray(swapped[:, :, ::-1, ::-1])


def sub_pixel(kernel: np.ndarray, groups: int) -> np.ndarray:
    """Return the kernel of 2 x 2 values, (4 in, out / groups, 2, 2), each channel's four pixels in
    a row; of a convolution with stride 2 and as many pixels of padding as `k // 2`."""
    back = turned(kernel, groups)
    size, pad = kernel.shape[-1], kernel.shape[-1] // 2
    parts = np.zeros((back.shape[0], 2, 2, back.shape[1], 2, 2), np.float32)
    for parity in np.ndindex(2, 2):
        for tap in np.ndindex(2, 2):
            # pixel 2 i + parity gets from gradient i + tap its kernel value at this place
            place = [p + pad - 2 * t for p, t in zip(parity, tap, strict=True)]
            if all(0 <= k < size for k in place):
                row, column = (size - 1 - k for k in place)
                parts[:, parity[0], parity[1], :, tap[0], tap[1]] = back[:, :, row, column]
    return parts.reshape(4 * back.shape[0], back.shape[1], 2, 2)


def forms(into: int, out: int, groups: int, size: int, pixels: int) -> dict:
    """Return the three sessions by name."""
    kernel = np.random.default_rng(0).normal(size=(out, into // groups, size, size))
    kernel = kernel.astype(np.float32)
    half, pad = pixels // 2, size // 2
    extra = pixels - ((half - 1) * 2 + size - 2 * pad)
    transposed = (
        f"x = ConvTranspose<strides=[2, 2], group={groups}, pads=[{pad}, {pad}, {pad}, {pad}], "
        f"output_padding=[{extra}, {extra}]>(g, w)"
    )
    before, after = size - 1 - pad, pixels + pad - (2 * half - 1)
    # (n, c, h, w) -> (n, h, 1, w, c) -> (n, h, 2, w, 2 c), which is (n, 2 h, 2 w, c)
    inserted = (
        "a = Transpose<perm=[0, 2, 3, 1]>(g) b = Reshape(a, rows) c = Pad(b, behind) "
        "d = Reshape(c, shape) e = Transpose<perm=[0, 3, 1, 2]>(d) "
        f"x = Conv<group={groups}, pads=[{before}, {before}, {after - 1}, {after - 1}]>(e, w)"
    )
    arrays = {
        "rows": np.array([0, half, 1, half, out]),
        "behind": np.array([0] * 5 + [0, 0, 1, 0, out]),
        "shape": np.array([0, 2 * half, 2 * half, out]),
    }
    shuffled = (
        f"a = Conv<group={groups}, pads=[0, 0, 1, 1]>(g, w) "
        'x = DepthToSpace<blocksize=2, mode="CRD">(a)'
    )
    return {
        "ConvTranspose": session(transposed, half, out, w=kernel),
        "zeros": session(inserted, half, out, w=turned(kernel, groups), **arrays),
        "sub-pixel": session(shuffled, half, out, w=sub_pixel(kernel, groups)),
    }


def measure(title: str, layer: tuple[int, int, int, int, int], batch: int, repeats: int) -> None:
    """Check that the forms agree, and print two ratios."""
    ways = forms(*layer)
    _, out, _, _, pixels = layer
    shape = (batch, out, pixels // 2, pixels // 2)
    feeds = {"g": np.random.default_rng(1).normal(size=shape).astype(np.float32)}
    calls = {name: partial(way.run, None, feeds) for name, way in ways.items()}
    expected = calls["ConvTranspose"]()[0]
    for name in ("zeros", "sub-pixel"):
        np.testing.assert_allclose(calls[name]()[0], expected, atol=1e-3)
        what = f"{title}: {name} over ConvTranspose"
        compare(what, calls[name], calls["ConvTranspose"], repeats=repeats)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--batch", type=int, default=FEWEST_IN_PIECE)
    arguments.add_argument("--repeats", type=int, default=15)
    settings = arguments.parse_args()
    for title, layer in LAYERS.items():
        measure(title, layer, settings.batch, settings.repeats)


if __name__ == "__main__":
    main()
