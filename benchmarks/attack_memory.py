"""Does the memory of an attack grow with the number of images?

    python -m benchmarks.attack_memory [--counts 4000 20000] [--size 32]

`rnascl attack` with FGSM on a small ONNX file and on images of random bytes in an `.npz`, each time
in a process of its own that a small one starts, since Linux hands a process's peak down to what it
starts. Prints the peak of each, of the command and of the process that the file runs in together,
and the growth as a multiple of what the images take as bytes: the data set itself is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

STARTER = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
out = child.communicate()[1]
sys.exit(out.decode() if child.returncode else 0)
"""
COMMAND = """
import sys
from benchmarks.peak import peak
from rnascl_keras.cli import main
from rnascl_keras.export.room import guarded
ends = []
close = guarded._end
def noting(process, arrays):
    ends.append(peak(process.pid))
    close(process, arrays)
guarded._end = noting
target = sys.argv.pop(1)
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
import gc; gc.collect()
open(target, "w").write(f"{peak()} {sum(ends)}")
"""


def classifier(path: Path) -> Path:
    """Write a classifier of ten classes: one convolution, pooling, a product."""
    import onnx
    from onnx import numpy_helper, parser

    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float[N, 3, H, W] x) => (float[N, 10] z) {'
        "a = Conv<pads=[1, 1, 1, 1], strides=[2, 2]>(x, w) b = Relu(a) c = GlobalAveragePool(b)"
        "d = Flatten(c) z = MatMul(d, v) }"
    )
    random = np.random.default_rng(0)
    for name, shape in (("w", (8, 3, 3, 3)), ("v", (8, 10))):
        weight = random.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weight, name))
    onnx.save(model, path)
    return path


def attack_peak(model: Path, count: int, size: int, folder: Path) -> tuple[float, float]:
    """Return the peak memory, in MiB, of the command and of the file's process."""
    random = np.random.default_rng(0)
    data, target = folder / "images.npz", folder / "peak"
    x = random.integers(0, 256, (count, size, size, 3), np.uint8)
    np.savez(data, x=x, y=random.integers(0, 10, count))
    command = [
        sys.executable,
        "-c",
        COMMAND,
        str(target),
        "attack",
        str(model),
        "--data",
        str(data),
    ]
    command += ["--attacks", "fgsm", "--n", str(count), "--check", "0"]
    subprocess.run([sys.executable, "-c", STARTER, *command], check=True)
    own, other = map(float, target.read_text().split())
    return own, other


def main() -> None:
    """Print the peaks and the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs=2, default=[4000, 20_000])
    parser.add_argument("--size", type=int, default=32)
    settings = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        model = classifier(Path(folder) / "model.onnx")
        for count in settings.counts:
            own, other = attack_peak(model, count, settings.size, Path(folder))
            peaks.append(own + other)
            print(
                f"{count:,} images of {settings.size} pixels: {own:.0f} + {other:.0f} MiB",
                flush=True,
            )
    few, many = settings.counts
    bytes_more = (many - few) * settings.size**2 * 3 / 2**20
    print(f"growth over the images' bytes: {(peaks[1] - peaks[0]) / bytes_more:.2f}")


if __name__ == "__main__":
    main()
