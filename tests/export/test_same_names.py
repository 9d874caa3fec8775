"""Equal models give equal ONNX files, whatever a converter called what is in them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import CLASSES, IMAGE, TINY, TUTORS

from rnascl_keras.export.convert import write_onnx
from rnascl_keras.export.quantise import quantise
from rnascl_keras.export.same_names import name_by_place
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.models.saving import load_model, save_model

RNG = np.random.default_rng(0)
FACTOR, TERM = (RNG.uniform(1, 2, 3).astype("float32") for _ in range(2))


def graph_of(first, second, *, turned=False):
    """x * FACTOR + TERM, plus TERM, through a relu; `first`, `second`: what numbers names."""
    factor = numpy_helper.from_array(FACTOR, f"const_fold_opt__{first}")
    term = numpy_helper.from_array(TERM, f"const_ends__{second}" if turned else f"sum__{second}:0")
    unused = numpy_helper.from_array(TERM, f"left__{first}")
    product, total, again = f"mul__{first}:0", f"add__{second}:0", f"add__{first}__{second}:0"
    nodes = [
        helper.make_node("Mul", ["x", factor.name], [product], f"scale/mul__{first}"),
        helper.make_node("Add", [product, term.name], [total], f"scale/add__{second}"),
        helper.make_node("Add", [total, term.name], [again], f"scale/add__{first}__{second}"),
        helper.make_node("Clip", [again, ""], ["y"]),
    ]
    constants = [term, unused, factor] if turned else [factor, term, unused]
    shape = ["batch", 3]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    graph = helper.make_graph(
        nodes, f"graph__{first}", ends[:1], ends[1:], constants, f"of {second}"
    )
    told = helper.make_tensor_value_info(product, TensorProto.FLOAT, shape)
    graph.value_info.append(told)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def answer(model, x):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


def test_names_and_order_of_a_converter_leave_no_trace():
    x = RNG.normal(size=(4, 3)).astype("float32")
    one, other = graph_of(6, 75), graph_of(168, 237, turned=True)
    assert one.SerializeToString() != other.SerializeToString()
    for model in (one, other):
        name_by_place(model)
        onnx.checker.check_model(model, full_check=True)
        np.testing.assert_array_equal(answer(model, x), x * FACTOR + TERM + TERM)
    assert one.SerializeToString() == other.SerializeToString()
    names = [node.name for node in one.graph.node]
    assert names == ["scale/mul", "scale/add", "scale/add_2", "Clip"]
    assert [c.name for c in one.graph.initializer] == ["scale/mul/constant1", "scale/add/constant1"]


def test_a_name_of_an_output_is_not_given_twice():
    model = graph_of(1, 2)
    model.graph.node[1].name = "y"
    model.graph.node[-1].output[0] = model.graph.output[0].name = "y:0"
    name_by_place(model)
    onnx.checker.check_model(model, full_check=True)
    given = [name for node in model.graph.node for name in node.output]
    assert len(set(given)) == 4 and given[-1] == "y:0"


def test_a_graph_with_graphs_in_it_stays_as_it_is():
    model, branch = graph_of(1, 2), graph_of(3, 4).graph
    del branch.input[:]
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=branch))
    before = model.SerializeToString()
    name_by_place(model)
    assert model.SerializeToString() == before


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp("student") / "student.keras"
    model = Architecture(TINY, ((2, 4), (6, 2)), TUTORS, "", IMAGE, CLASSES).build()
    model.set_weights([RNG.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    save_model(model, path)
    return path


def test_a_student_that_is_exported_again_gives_the_same_bytes(student, tmp_path):
    images = RNG.uniform(size=(8, *IMAGE)).astype("float32")
    for name in ("one", "other"):  # the second one's names are counted on
        write_onnx(load_model(student), tmp_path / f"{name}.onnx", {"recipe": "tiny"})
        given = tmp_path / f"{name}.onnx", tmp_path / f"{name}_int8.onnx"
        quantise(*given, images, least_agreement=0)
    for end in (".onnx", "_int8.onnx"):
        one, other = ((tmp_path / f"{name}{end}").read_bytes() for name in ("one", "other"))
        assert one == other
