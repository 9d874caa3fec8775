"""The model's own graph, to which the gradient's nodes are added."""

from __future__ import annotations

import numpy as np
from gradient_cases import Case, in_onnxruntime

from rnascl_keras.export.gradient import rules  # noqa: F401  registers them
from rnascl_keras.export.gradient.graph import Graph
from rnascl_keras.export.gradient.preparation import prepare
from rnascl_keras.export.gradient.reverse import back_propagate
from rnascl_keras.export.onnx_gradient import input_gradient_model

POOL = "MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(x)"


def test_a_pool_that_has_to_tell_its_indices_stays_as_it_was():
    model = prepare(Case("pool", f"h = {POOL}", (1, 4, 4)).model(np.float32))
    graph = Graph(model)
    before = [node.SerializeToString() for node in model.graph.node]
    source, target = model.graph.input[0].name, model.graph.output[0].name
    back_propagate(graph, source, target, graph.tensor(target))
    assert [node.SerializeToString() for node in model.graph.node] == before
    outputs = {node.op_type: list(node.output) for node in graph.forward_nodes()}
    pool = next(node for node in model.graph.node if node.op_type == "MaxPool")
    assert len(pool.output) == 1
    assert outputs["MaxPool"] == [pool.output[0], f"gradient/{pool.output[0]}/indices"]
    others = [node for node in model.graph.node if node.op_type != "MaxPool"]
    assert all(outputs[node.op_type] == list(node.output) for node in others)


def test_a_pool_that_tells_its_indices_already_is_used_as_it_is():
    images = np.random.default_rng(0).uniform(size=(2, 1, 4, 4)).astype(np.float32)
    slopes = np.arange(8, dtype=np.float32).reshape(2, 4)
    results = []
    for outputs in ("h", "h, i", "h, "):
        model = Case("pool", f"{outputs} = {POOL}", (1, 4, 4)).model(np.float32)
        made = input_gradient_model(model, "linear")
        results.append(in_onnxruntime(made, images=images, slopes=slopes)["gradient"])
    # (image, row, column) of the largest of each two by two pixels
    blocks = images[:, 0].reshape(2, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(2, 4, 4)
    expected = np.zeros((2, 4, 4), np.float32)
    for image in range(2):
        for block, chosen in enumerate(blocks[image].argmax(axis=1)):
            row, column = 2 * (block // 2) + chosen // 2, 2 * (block % 2) + chosen % 2
            expected[image, row, column] = slopes[image, block]
    for found in results:
        np.testing.assert_array_equal(found[:, 0], expected)
