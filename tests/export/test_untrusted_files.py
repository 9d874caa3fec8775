"""ONNX files from anywhere: spoilt ones, and ones made to do harm. Each works or is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from fuzzing import tally
from onnx import TensorProto, helper, numpy_helper


def torch_like(random=None) -> onnx.ModelProto:
    """What PyTorch's exporter makes of a small residual network, NCHW."""
    random = random or np.random.default_rng(0)
    shapes = {"stem": (8, 3, 3, 3), "deep": (8, 8, 3, 3), "wide": (1, 8, 3, 3), "head": (5, 8)}
    weights = {name: random.normal(0, 0.4, shape) for name, shape in shapes.items()}
    weights["wide"] = random.normal(0, 0.4, (8, 1, 3, 3))
    weights |= {f"norm.{part}": random.uniform(0.5, 1.5, 8) for part in "abcd"}
    weights["bias"] = random.normal(0, 0.4, 5)
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        ("Conv", ["x", "stem"], same | {"strides": [1, 1]}),
        ("BatchNormalization", ["0", *(f"norm.{part}" for part in "abcd")], {"epsilon": 1e-5}),
        ("Relu", ["1"], {}),
        ("MaxPool", ["2"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Conv", ["3", "deep"], same),
        ("Add", ["4", "3"], {}),
        ("Conv", ["5", "wide"], same | {"strides": [2, 2], "group": 8}),
        ("Clip", ["6", "low", "high"], {}),
        ("AveragePool", ["7"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("GlobalAveragePool", ["8"], {}),
        ("Flatten", ["9"], {"axis": 1}),
        ("Gemm", ["10", "head", "bias"], {"transB": 1}),
    ]
    tensors = [numpy_helper.from_array(x.astype(np.float32), name) for name, x in weights.items()]
    tensors += [numpy_helper.from_array(np.float32(x), n) for n, x in (("low", 0), ("high", 6))]
    graph = helper.make_graph(
        [
            helper.make_node(kind, inputs, [str(k)], f"node_{k}", **attributes)
            for k, (kind, inputs, attributes) in enumerate(nodes)
        ],
        "main_graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("11", TensorProto.FLOAT, ["batch", 5])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def student(path: Path) -> None:
    """An exported student, of a space in little."""
    from tiny_models import TINY

    from rnascl_keras.export import export_student
    from rnascl_keras.method.architecture import Architecture

    model = Architecture(TINY, ((2, 4), (6, 2)), (), "", (8, 8, 1), 3).build()
    images = np.random.default_rng(0).uniform(0, 1, (4, 8, 8, 1)).astype(np.float32)
    exported = export_student(model, path.parent / "beside", path.stem, images)
    exported.onnx_path.rename(path)


def int8(path: Path) -> None:
    """A network quantised by onnxruntime: QDQ, per channel."""
    from onnxruntime import quantization

    original = path.parent.with_name("float.onnx")
    onnx.save(torch_like(), original)

    class Reader(quantization.CalibrationDataReader):
        batches = iter([{"x": np.random.default_rng(1).random((16, 3, 16, 16), np.float32)}])

        def get_next(self):
            return next(self.batches, None)

    quantization.quantize_static(original, path, Reader(), per_channel=True)


def external(path: Path) -> None:
    """A network with its weights in a file beside."""
    onnx.save(
        torch_like(), path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )


KINDS = {
    "student": student,
    "int8": int8,
    "nchw": lambda path: onnx.save(torch_like(), path),
    "external": external,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A function: kind -> a file of that kind, alone in its folder but for its weights."""
    made = {}

    def of(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind) / "model"
            folder.mkdir()
            KINDS[kind](folder / "model.onnx")
            for further in folder.iterdir():
                if further.is_dir():
                    further.rename(folder.parent / further.name)
            made[kind] = folder / "model.onnx"
        return made[kind]

    return of


def check(model: Path, seeds: range) -> None:
    counts, failures = tally(model, seeds)
    print("\n".join(f"{way} {outcome} {n}" for (way, outcome), n in sorted(counts.items())))
    assert not failures, "\n".join(f"seed {seed}: {what}" for seed, what in failures.items())
    assert sum(counts.values()) == len(seeds)
    outcomes = {outcome for _, outcome in counts}
    assert {"works", "refused"} <= outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_file_works_or_is_refused(whole, kind):
    check(whole(kind), range(75))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_spoilt_files_work_or_are_refused(whole, kind):
    check(whole(kind), range(1000, 1600))
