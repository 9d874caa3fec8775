"""Files that onnxruntime runs as they are, and onnx's own tools do not take."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from tests.file_gradients import IMAGES, LABELS, check_against_differences
from tests.small_onnx import CONVOLUTIONS


def check_like_plain(path, plain):
    """Check a file against differences, and its logits and gradient against a plain one's."""
    check_against_differences(path)
    given, expected = (OnnxClassifier(p).loss_and_gradient(IMAGES, LABELS) for p in (path, plain))
    for a, b in zip(given, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def changed(path, change):
    """Change a file's model in place; return the path."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def test_functions_of_another_opset(save):
    own = """<opset_import: ["": 16, "own": 1], domain: "own"> {name} (x) => (y) {{ {body} }}"""
    bodies = {"Steep": "y = LeakyRelu<alpha=0.3>(x)", "Twice": "t = own.Steep(x) y = own.Steep(t)"}

    def add(model):
        model.opset_import.append(onnx.helper.make_opsetid("own", 1))
        texts = (own.format(name=name, body=body) for name, body in bodies.items())
        model.functions.extend(map(onnx.parser.parse_function, texts))

    steep = "LeakyRelu<alpha=0.3>"
    plain = save(f"m = {steep}(x) n = {steep}(m)" + CONVOLUTIONS)
    check_like_plain(changed(save("n = own.Twice(x)" + CONVOLUTIONS), add), plain)


def check_like_onnxruntime(path):
    """Check a file against differences, and its logits against those of the file as it is."""
    classifier = check_against_differences(path)
    session = onnxruntime.InferenceSession(path)
    (logits,) = session.run(None, {"x": IMAGES.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(classifier.logits(IMAGES), logits, atol=1e-5)


def test_group_normalisation_with_a_scale_for_each_group(save):
    nodes = CONVOLUTIONS.replace("Tanh(a)", "GroupNormalization<num_groups=2>(a, scale, offset)")
    arrays = {"scale": np.array([0.2, 1.0]), "offset": np.array([0.5, -0.5])}
    check_like_onnxruntime(save("n = Identity(x)" + nodes, **arrays))


@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("axes", [1, 2])
def test_normalisation_by_the_mean_square(axes, opset, save):
    scale = np.linspace(0.5, 1.5, 8**axes).reshape([8] * axes)
    nodes = f"n = SimplifiedLayerNormalization<axis=-{axes}>(x, scale)" + CONVOLUTIONS
    check_like_onnxruntime(save(nodes, scale=scale, opset=opset))


@pytest.mark.parametrize(("axis", "shape"), [(-1, (1, 8)), (-1, ()), (-2, (8,)), (3, (8,))])
def test_the_mean_square_is_over_the_axes_not_over_the_scale_s(axis, shape, save):
    nodes = f"n = SimplifiedLayerNormalization<axis={axis}>(x, scale)" + CONVOLUTIONS
    scale = np.linspace(0.5, 1.5, max(1, np.prod(shape, dtype=int))).reshape(shape)
    check_like_onnxruntime(save(nodes, scale=scale))


@pytest.mark.parametrize("stated", [None, ["N", 7], ["N", 5, 1], [None, None], [None, 7]])
def test_outputs_of_which_nothing_or_something_wrong_is_stated(stated, save):
    def state(model):
        made = onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, stated)
        model.graph.output[0].CopyFrom(made)

    nodes = "n = Identity(x)" + CONVOLUTIONS
    path = changed(save(nodes), state)
    check_like_plain(path, save(nodes))
    assert OnnxClassifier(path).output.classes == 5


def test_probabilities_as_dictionaries(save):
    nodes = CONVOLUTIONS.replace("z = Flatten(f)", "g = Flatten(f) p = Softmax(g)")
    zipped = " z = ai.onnx.ml.ZipMap<classlabels_int64s=[0, 1, 2, 3, 4]>(p)"
    learned = onnx.helper.make_opsetid("ai.onnx.ml", 1)

    def state(model):
        floats = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
        maps = onnx.helper.make_map_type_proto(onnx.TensorProto.INT64, floats)
        model.graph.output[0].type.CopyFrom(onnx.helper.make_sequence_type_proto(maps))

    path = save("n = Identity(x)" + nodes + zipped, imports=(learned,))
    plain = save("n = Identity(x)" + nodes + " z = Identity(p)")
    check_like_plain(changed(path, state), plain)


def test_a_file_without_standard_operators(tmp_path):
    """Scores of a linear classifier of scikit-learn's converter, zipped or not."""
    weights, offset = np.linspace(-1, 1, 3 * 64), [0.1, 0.0, -0.1]
    settings = {"coefficients": weights, "intercepts": offset, "classlabels_ints": [0, 1, 2]}
    rows = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 64])
    label = onnx.helper.make_tensor_value_info("l", onnx.TensorProto.INT64, ["N"])
    scores = onnx.helper.make_tensor_value_info("s", onnx.TensorProto.FLOAT, ["N", 3])
    node = onnx.helper.make_node(
        "LinearClassifier",
        ["x"],
        ["l", "s"],
        domain="ai.onnx.ml",
        post_transform="NONE",
        **settings,
    )
    graph = onnx.helper.make_graph([node], "g", [rows], [label, scores])
    imports = [onnx.helper.make_opsetid("ai.onnx.ml", 1)]
    path = tmp_path / "linear.onnx"
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=imports), path)
    images = IMAGES[:, :, :, :1]
    expected = images.reshape(len(images), 64) @ weights.reshape(3, 64).T + offset
    np.testing.assert_allclose(OnnxClassifier(path).logits(images), expected, atol=1e-5)


def test_a_sequence_that_begins_empty_is_attacked_by_score(save):
    parts = "s = SequenceEmpty() t = SequenceInsert(s, x) u = SequenceInsert(t, x)"
    joined = parts + " v = ConcatFromSequence<axis=3>(u) n = AveragePool<kernel_shape=[1, 2]>(v)"
    classifier = OnnxClassifier(save(joined + CONVOLUTIONS))
    assert classifier.logits(IMAGES).std() > 0.01
    with pytest.raises(UserError, match="no gradient through .*SequenceInsert.* square"):
        classifier.check_gradient(IMAGES)
