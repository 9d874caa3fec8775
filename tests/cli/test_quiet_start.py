"""TensorFlow's start-up notes, which C++ writes to the terminal itself, are kept from the user."""

import os
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save_linear_classifier(path):
    weight = np.random.default_rng(0).normal(size=(3072, 10)).astype("float32")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32, 32, 3])
    logits = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(
        nodes, "linear", [images], [logits], [numpy_helper.from_array(weight, "w")]
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)


def test_an_attack_on_data_that_tensorflow_reads_prints_its_own_lines_only(tmp_path):
    save_linear_classifier(tmp_path / "linear.onnx")
    plain = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = "from rnascl_keras.cli import main; main()"
    asked = ["attack", "linear.onnx", "--data", "cifar11"]
    done = subprocess.run(
        [sys.executable, "-c", command, *asked],
        cwd=tmp_path,
        env=plain,
        capture_output=True,
        text=True,
    )
    first, second = done.stderr.splitlines()
    assert first.startswith("linear.onnx: takes NHWC")
    assert second.startswith("rnascl: no data set 'cifar11'")
