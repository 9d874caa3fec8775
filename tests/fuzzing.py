"""Spoilt ONNX files, each from a seed, and a process that tries them: it may die of one.

    python tests/fuzzing.py MODEL.onnx FIRST COUNT

tries the seeds FIRST to FIRST + COUNT - 1 and prints a line of JSON for each that it lives through.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx

MEMORY, SECONDS = 4 * 2**30, 60
EXTREMES = (0, -1, 1, 2, 7, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**31), -(2**63))
OPERATORS = (
    *("Relu", "Conv", "Gemm", "MaxPool", "AveragePool", "Softmax", "Reshape", "Transpose", "Div"),
    *("Expand", "Tile", "ConstantOfShape", "Resize", "Pad", "Slice", "Gather", "Split", "Concat"),
    *("Loop", "If", "Squeeze", "ReduceMean", "LSTM", "DepthToSpace", "Mod", "TopK", "OneHot"),
    *("ConvTranspose", "Unsqueeze", "QuantizeLinear", "DequantizeLinear", "Einsum", "Range"),
)


def flipped(data: bytes, random: np.random.Generator) -> bytes:
    """Some bits turned over."""
    spoilt = bytearray(data)
    for place in random.integers(len(data), size=random.integers(1, 9)):
        spoilt[place] ^= 1 << random.integers(8)
    return bytes(spoilt)


def overwritten(data: bytes, random: np.random.Generator) -> bytes:
    """A few bytes in a row replaced by random ones, or by all the same."""
    start, count = random.integers(len(data)), random.integers(1, 17)
    block = random.bytes(count) if random.random() < 0.5 else bytes([random.integers(256)]) * count
    return data[:start] + block + data[start + count :]


def cut(data: bytes, random: np.random.Generator) -> bytes:
    """Truncated, or a piece taken out or put in twice."""
    start, stop = sorted(random.integers(len(data), size=2))
    kinds = (data[:start], data[:start] + data[stop:], data[:stop] + data[start:])
    return kinds[random.integers(3)]


def restructured(data: bytes, random: np.random.Generator) -> bytes:
    """A file that protobuf reads, with some numbers, names and operators replaced."""
    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    for _ in range(random.integers(1, 4)):
        node = graph.node[random.integers(len(graph.node))]
        extreme = EXTREMES[random.integers(len(EXTREMES))]
        kind = random.integers(6)
        if kind == 0:
            for attribute in node.attribute:
                if attribute.ints:
                    attribute.ints[random.integers(len(attribute.ints))] = extreme
                attribute.i = extreme
        elif kind == 1:
            names = [name for each in graph.node for name in (*each.input, *each.output)]
            if node.input:
                place = random.integers(len(node.input))
                node.input[place] = names[random.integers(len(names))]
        elif kind == 2:
            node.op_type = OPERATORS[random.integers(len(OPERATORS))]
        elif kind == 3 and graph.initializer:
            tensor = graph.initializer[random.integers(len(graph.initializer))]
            if tensor.dims:
                tensor.dims[random.integers(len(tensor.dims))] = extreme
            else:
                tensor.dims.append(extreme)
        elif kind == 4:
            value = (*graph.input, *graph.output)[random.integers(2)]
            axes = value.type.tensor_type.shape.dim
            axes[random.integers(len(axes))].dim_value = extreme
        elif node.attribute:
            del node.attribute[random.integers(len(node.attribute))]
    return model.SerializeToString()


WAYS = {"flipped": flipped, "overwritten": overwritten, "cut": cut, "restructured": restructured}


def spoil(model: Path, folder: Path, seed: int) -> tuple[Path, str]:
    """Write to `folder` what a seed makes of `model`; return the file, and how it was spoilt.

    Where weights lie beside the model, they are spoilt for every third seed instead.
    """
    random = np.random.default_rng(seed)
    way = list(WAYS)[seed % len(WAYS)]
    for file in model.parent.iterdir():
        shutil.copy(file, folder)
    beside = [file for file in folder.iterdir() if file.name != model.name]
    if beside and seed % 3 == 0:
        beside[0].write_bytes(cut(beside[0].read_bytes(), random))
        return folder / model.name, "weights"
    spoilt = folder / model.name
    spoilt.write_bytes(WAYS[way](spoilt.read_bytes(), random))
    return spoilt, way


def outcome(path: Path) -> str:
    """Return what the package makes of a file: it works, gives scores only, or is refused."""
    from rnascl_keras.errors import UserError
    from rnascl_keras.export import OnnxClassifier

    try:
        classifier = OnnxClassifier(path, threads=1)
        shape = [size or 16 for size in classifier.input_shape]
        images = np.random.default_rng(0).uniform(0, 1, (2, *shape)).astype(np.float32)
        classifier.logits(images)
    except UserError as error:
        assert len(str(error).splitlines()) == 1 and str(error).isprintable(), repr(error)
        return "refused"
    try:
        classifier.loss_and_gradient(images, np.zeros(2, int))
    except UserError as error:
        assert len(str(error).splitlines()) == 1 and str(error).isprintable(), repr(error)
        return "scores"
    return "works"


def tally(model: Path, seeds: range) -> tuple[Counter, dict[int, str]]:
    """Try all seeds in other processes.

    Returns:
        How often each outcome came by each way of spoiling, and by seed what is no outcome: the
        signal that the process died of, or an error with its traceback.
    """
    counts: Counter = Counter()
    failures: dict[int, str] = {}
    first = seeds.start
    while first < seeds.stop:
        command = [sys.executable, __file__, str(model), str(first), str(seeds.stop - first)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            result = json.loads(line)
            counts[result["way"], result["outcome"]] += 1
            first += 1
        if first < seeds.stop:
            died = done.returncode < 0
            name = signal.Signals(-done.returncode).name if died else f"exit {done.returncode}"
            failures[first] = f"{name}: {done.stderr[-1500:]}"
            first += 1
    return counts, failures


def main(model: Path, first: int, count: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for seed in range(first, first + count):
        # whoever hangs is ended, in C++ too
        signal.alarm(SECONDS)
        with tempfile.TemporaryDirectory() as folder:
            path, way = spoil(model, Path(folder), seed)
            print(json.dumps({"way": way, "outcome": outcome(path)}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
