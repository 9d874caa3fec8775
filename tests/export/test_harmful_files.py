"""ONNX files made to do harm: each is refused in one line, within bounded memory and time."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.room.guarded import GuardedClassifier

ints = np.int64
HEADER = '<ir_version: 8, opset_import: ["": 18, "own": 1]>'
FUNCTION = '<domain: "own", opset_import: ["": 18, "own": 1]>'


def model(nodes, functions="", takes="float[N, 3, 4, 4] x", **arrays) -> onnx.ModelProto:
    """A graph from x to z in ONNX's text form; `arrays` are its weights."""
    made = parser.parse_model(f"{HEADER} g ({takes}) => (float[N, K] z) {{ {nodes} }} {functions}")
    for name, value in arrays.items():
        made.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return made


@pytest.fixture
def save(tmp_path):
    def write(made):
        path = tmp_path / "model.onnx"
        path.write_bytes(made.SerializeToString())
        return path

    return write


def refusal(path, *, runs=False) -> str:
    """The one line that the file is refused with when it is opened, or when it first runs."""
    with pytest.raises(UserError) as refused:
        classifier = OnnxClassifier(path, layout="NCHW")
        assert runs, "it was opened"
        classifier.logits(np.ones((2, 4, 4, 3), np.float32))
    message = str(refused.value)
    assert message.startswith(str(path)) and message.isprintable() and len(message) < 700
    return message


def after(constant: str) -> str:
    """Add the sum of a constant to the images."""
    return f"{constant} f = Cast<to=1>(c) s = ReduceSum(f) y = Add(x, s) z = Flatten(y)"


LOOP = """
  l = Loop(count, go, x) <body = step (int64 i, bool on, float[N, 3, 4, 4] y)
    => (bool more, float[N, 3, 4, 4] out) { more = Identity(on) out = Mul(y, y) }>
  z = Flatten(l)
"""
FOREVER = {"count": ints(2**62), "go": np.array(True)}

TOO_LARGE = {
    "constant": (after("c = ConstantOfShape(n)"), {"n": ints([2**40])}),
    "range": (after("c = Range(a, n, b)"), {"a": ints(0), "n": ints(2**50), "b": ints(1)}),
    "random": (after("c = RandomNormal<shape=[100000, 100000]>()"), {}),
    "outer": (
        after("c = MatMul(a, b)"),
        {"a": np.ones((2**15, 1), "f"), "b": np.ones((1, 2**15), "f")},
    ),
    "expand": ("y = Expand(x, n) z = Flatten(y)", {"n": ints([2**30, 3, 4, 4])}),
    "tile": ("y = Tile(x, n) z = Flatten(y)", {"n": ints([1, 1, 2**20, 2**20])}),
    "pad": ("y = Pad(x, n) z = Flatten(y)", {"n": ints([0] * 6 + [2**20] * 2)}),
    "resize": ("y = Resize(x, , n) z = Flatten(y)", {"n": np.float32([1, 1, 1e6, 1e6])}),
    "convolution": (
        "y = Conv<pads=[99999, 99999, 99999, 99999]>(x, w) z = Flatten(y)",
        {"w": np.ones((3, 3, 1, 1), "f")},
    ),
    "images": ("z = Flatten(x)", {"takes": "float[N, 3, 1048576, 1048576] x"}),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_tensor_that_would_be_gigantic(save, name):
    nodes, arrays = TOO_LARGE[name]
    assert "values; expected at most" in refusal(save(model(nodes, **arrays)))


def test_many_large_constants(save):
    parts = [f"c{k} = ConstantOfShape(n{k}) s{k} = ReduceSum(c{k})" for k in range(9)]
    names = ", ".join(f"s{k}" for k in range(9))
    sizes = {f"n{k}": ints([2**10, 2**13 + k]) for k in range(9)}
    made = model(f"{' '.join(parts)} y = Sum(x, {names}) z = Flatten(y)", **sizes)
    assert "from constants alone" in refusal(save(made))


def test_a_constant_of_unknown_size(save):
    body = "n = NonZero(a) m = ReduceSum<keepdims=0>(n) k = Mul(m, m) r = Reshape(k, one)"
    made = model(after(f"{body} c = ConstantOfShape(r)"), a=np.arange(2000) % 2, one=ints([1]))
    assert "cannot be told beforehand" in refusal(save(made))


def test_memory_that_grows_with_the_images_values(save):
    nodes = "m = ReduceMax<keepdims=0>(x) i = Cast<to=7>(m) k = Mul(i, big) n = Reshape(k, one) "
    made = model(nodes + after("c = ConstantOfShape(n)"), big=ints(2**36), one=ints([1]))
    assert "Available memory" in refusal(save(made), runs=True)


@pytest.mark.parametrize("size", [2**60, -1, 3])
def test_weights_that_claim_more_than_they_hold(save, size):
    made = model("y = Add(x, w) z = Flatten(y)", w=np.ones(4, np.float32))
    made.graph.initializer[0].dims[0] = size
    message = refusal(save(made))
    assert "none negative" in message if size < 0 else f"should hold {4 * size}" in message


STRUCTURES = {
    "cycle": (model("a = Relu(x) z = Flatten(a)"), "topologically sorted"),
    "dangling": (model("a = Add(x, nowhere) z = Flatten(a)"), "nowhere"),
    "foreign": (model("a = own.run(x) z = Flatten(a)"), "operator own.run, which is a program"),
    "one processor's": (
        model("a = com.microsoft.nchwc.ReorderInput(x) z = Flatten(a)"),
        "optimises a file for the processor it runs on",
    ),
    "recursion": (
        model("a = own.f(x) z = Flatten(a)", f"{FUNCTION} f (a) => (b) {{ b = own.f(a) }}"),
        "in a circle",
    ),
    "growth": (
        model(
            "a = own.f0(x) z = Flatten(a)",
            " ".join(
                f"{FUNCTION} f{k} (a) => (b) {{ c = own.f{k + 1}(a) b = own.f{k + 1}(c) }}"
                for k in range(14)
            )
            + f"{FUNCTION} f14 (a) => (b) {{ b = Identity(a) }}",
        ),
        "with its functions in place it has more than 10000 nodes",
    ),
    "nodes": (
        model("".join(f"a{k} = Relu(x) " for k in range(10_000)) + "z = Flatten(x)"),
        "10001 nodes",
    ),
    "name": (model("a = Relu(x) z = Flatten(a)"), "expected printable"),
    "bytes": (model("a = Relu(x) z = Flatten(a)"), "expected printable"),
}
STRUCTURES["cycle"][0].graph.node[0].input[0] = "z"
STRUCTURES["name"][0].graph.node[0].name = "\x1b[2Jclears the terminal"


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_that_is_none(save, name):
    made, message = STRUCTURES[name]
    path = save(made)
    if name == "bytes":
        path.write_bytes(path.read_bytes().replace(b"\x01a", b"\x01\xff"))
    assert message in refusal(path)


@pytest.mark.parametrize("name", [b"grown", b"Flatten", b"image", b"logit", b"told"])
def test_a_text_in_other_bytes(save, name):
    """Protobuf looks at a text when it is asked for, not when it is read."""
    made = model("l = Flatten(image) logit = Relu(l) z = Identity(logit)")
    made.graph.name = "grown"
    onnx.helper.set_model_props(made, {"told": "much"})
    made.graph.input[0].name = "image"
    path = save(made)
    path.write_bytes(path.read_bytes().replace(name, name[:-1] + b"\x88"))
    assert refusal(path)


def test_graphs_deep_in_each_other(save):
    body = "y = Identity(x)"
    for _ in range(20):
        other = "else_branch = e () => (float[N] y) { y = Identity(x) }"
        body = f"y = If(c) <then_branch = t () => (float[N] y) {{ {body} }}, {other}>"
    assert "deep in each other" in refusal(save(model(f"{body} z = Flatten(y)", c=np.array(True))))


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.onnx"
    path.touch()
    os.truncate(path, 2**31)
    assert "an ONNX file has at most" in refusal(path)


@pytest.fixture
def beside(save, tmp_path):
    """A function: location and more -> a model whose weights are there; and the folder."""
    inner = tmp_path / "inner"
    inner.mkdir()
    weights = np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    for folder in (tmp_path, inner):
        (folder / "weights.bin").write_bytes(b"\0" * 8 + weights.tobytes())

    def write(**told):
        made = model("y = Add(x, w) z = Flatten(y)", w=weights)
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in told.items():
            tensor.external_data.add(key=key, value=str(value))
        return save(made).rename(inner / "model.onnx")

    return write


def test_weights_beside_the_file(beside):
    images = np.zeros((2, 4, 4, 3), np.float32)
    for told in ({"offset": 8}, {"offset": 8, "length": 12}):
        classifier = OnnxClassifier(beside(location="weights.bin", **told), layout="NCHW")
        np.testing.assert_array_equal(classifier.logits(images)[0, ::16], [0, 1, 2])
        assert classifier.loss_and_gradient(images, np.zeros(2, int))[2].any()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"location": "../weights.bin"}, "only files in its own folder"),
        ({"location": "/etc/passwd"}, "only files in its own folder"),
        ({"location": "link.bin"}, "only files in its own folder"),
        ({"location": "linked/weights.bin"}, "only files in its own folder"),
        ({"location": "absent.bin"}, "no such file beside it"),
        ({"location": ""}, "no such file beside it"),
        ({"location": "a\0b"}, "no name of a file"),
        ({"location": "weights.bin", "offset": 2**63}, "weights.bin has 20"),
        ({"location": "weights.bin", "offset": -8}, "expected whole numbers"),
        ({"location": "weights.bin", "length": 2**62}, "for weights of 12 bytes"),
        ({"location": "weights.bin", "offset": 9}, "weights.bin has 20"),
        ({"location": "*/_ORT_MEM_ADDR_/*", "offset": 4096}, "no such file beside it"),
    ],
)
def test_weights_that_lie_elsewhere(beside, tmp_path, told, message):
    path = beside(**told)
    (path.parent / "link.bin").symlink_to(tmp_path / "weights.bin")
    (path.parent / "linked").symlink_to(tmp_path, target_is_directory=True)
    assert message in refusal(path)


def test_a_file_that_ends_its_process_is_tried_in_another(rnascl, save, tmp_path):
    """onnxruntime divides the least whole number by -1, which is none."""
    nodes = "i = Cast<to=7>(x) k = Mul(i, nil) a = Add(k, low) c = Div(a, minus) f = Cast<to=1>(c)"
    weights = {"nil": ints(0), "low": ints(-(2**63)), "minus": ints(-1)}
    made = model(f"{nodes} z = Flatten(f)", **weights)
    path = save(made)
    np.savez(tmp_path / "data.npz", x=np.zeros((4, 4, 4, 3), np.uint8), y=np.zeros(4, int))
    result = rnascl("attack", path, "--data", tmp_path / "data.npz", "--layout", "NCHW")
    assert result.code == 2
    assert "does not survive it (SIGFPE)" in result.err
    assert len(result.err.splitlines()) == 1


def test_a_file_that_never_ends_is_given_up(save):
    with pytest.raises(UserError, match="computes without an end"):
        GuardedClassifier(save(model(LOOP, **FOREVER)), trying=3.0, layout="NCHW")


def test_what_is_wrong_in_words_is_said_from_the_other_process(save):
    with pytest.raises(UserError, match="is a program outside"):
        GuardedClassifier(save(STRUCTURES["foreign"][0]))
    assert GuardedClassifier(save(model("z = Flatten(x)")), layout="NCHW").layout == "NCHW"
