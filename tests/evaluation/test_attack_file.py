"""`rnascl attack`: a deployed file under white-box attack, against what can be computed by hand."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SHAPE, N, EPSILON = (6, 5, 3), 60, 0.1
RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(np.prod(SHAPE), 2)).astype(np.float32)
IMAGES = RNG.uniform(size=(N, *SHAPE)).astype(np.float32)
BIAS = -(IMAGES.reshape(N, -1) @ WEIGHT).mean(0).astype(np.float32)
LABELS = (IMAGES.reshape(N, -1) @ WEIGHT + BIAS).argmax(1)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def linear_classifier(path, *, layout="NHWC", softmax=False, batch="n", normalised=False):
    """Write a classifier of two classes whose logits are linear in the pixels."""
    weight, bias = WEIGHT, BIAS
    if normalised:  # takes (pixels - mean) / std, and gives the same logits
        per_pixel = WEIGHT.reshape(*SHAPE, 2)
        weight = (per_pixel * np.array(STD, np.float32)[:, None]).reshape(WEIGHT.shape)
        bias = BIAS + np.einsum("hwck,c->k", per_pixel, np.array(MEAN, np.float32))
    nodes = [
        helper.make_node("Flatten", ["rows"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]),
    ]
    shape = SHAPE
    if layout == "NCHW":
        nodes.insert(0, helper.make_node("Transpose", ["x"], ["rows"], perm=[0, 2, 3, 1]))
        shape = (SHAPE[2], *SHAPE[:2])
    else:
        nodes.insert(0, helper.make_node("Identity", ["x"], ["rows"]))
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"]))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [batch, 2])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def images_file(path):
    np.savez(path, x=IMAGES, y=LABELS)
    return path


def robust_by_hand(epsilon):
    """Of two linear logits the worst point of the ball is a corner of the box, pixel by pixel."""
    towards = (WEIGHT[:, 1] - WEIGHT[:, 0]).astype(float)
    towards = np.where(LABELS[:, None] == 0, towards, -towards)
    flat = IMAGES.reshape(N, -1).astype(float)
    worst = np.clip(flat + epsilon * np.sign(towards), 0, 1)
    return np.mean((worst @ WEIGHT + BIAS).argmax(1) == LABELS)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ({}, ("--attacks", "fgsm,pgd,square")),
        ({"layout": "NCHW"}, ()),
        ({"softmax": True}, ()),
        ({"batch": 7}, ()),
        (
            {"normalised": True, "layout": "NCHW"},
            ("--mean", "0.5,0.4,0.3", "--std", "0.2,0.25,0.3"),
        ),
    ],
)
def test_robust_accuracy_of_a_file_is_what_it_is_by_hand(form, options, rnascl, tmp_path):
    model = linear_classifier(tmp_path / "linear.onnx", **form)
    data, out = images_file(tmp_path / "images.npz"), tmp_path / "out.json"
    epsilon = 0.005
    expected = robust_by_hand(epsilon)
    assert 0.2 < expected < 0.9
    command = ("attack", model, "--data", data, "--eps", epsilon, "--attacks", "fgsm,pgd")
    result = rnascl(*command, "--check", 20, "--json", out, *options)
    assert result.code == 0, result.err
    figures = json.loads(out.read_text())
    assert figures["accuracy"]["clean"] == 1
    assert figures["accuracy"]["fgsm"] == pytest.approx(expected)
    assert figures["accuracy"]["pgd20"] == pytest.approx(expected)
    assert figures["accuracy"]["worst"] == pytest.approx(expected)
    if not form:
        assert expected <= figures["accuracy"]["square"] <= 1
    assert {"model", "sha256", "data", "n", "norm", "epsilon", "seed", "intervals"} <= set(figures)
    gives = "probabilities" if form.get("softmax") else "logits"
    assert f"takes {form.get('layout', 'NHWC')}, gives {gives}" in result.err
    assert "sign of false robustness" in result.out


def test_no_framework_is_imported(tmp_path):
    """An ONNX file on .npz data: neither TensorFlow nor Keras nor PyTorch."""
    model = linear_classifier(tmp_path / "linear.onnx")
    data = images_file(tmp_path / "images.npz")
    program = (
        "import sys; from rnascl_keras.cli import main\n"
        f"sys.argv = ['rnascl', 'attack', {str(model)!r}, '--data', {str(data)!r},"
        " '--attacks', 'pgd,square', '--n', '10', '--check', '5', '--sweep', '2/255',"
        " '--corruptions', 'fog,frost']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print(sorted({'tensorflow', 'keras', 'torch', 'tf2onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no.onnx", "--data", "DATA"), "there is no model file no.onnx"),
        (("MODEL",), "needs --data"),
        (("MODEL", "--data", "DATA", "--eps", "8"), "--eps must be a number in (0, 1]"),
        (("MODEL", "--data", "DATA", "--attacks", "pgdd"), "Did you mean 'pgd'"),
        (("MODEL", "--data", "DATA", "--mean", "a,b,c"), "--mean takes one number per channel"),
        (("MODEL", "--data", "DATA", "--std", "1,1"), "one for each of the 3 channels"),
        (("DATA", "--data", "DATA"), "attack takes an .onnx or .tflite file"),
    ],
)
def test_a_users_mistake_is_one_line(arguments, message, rnascl, tmp_path):
    places = {
        "MODEL": linear_classifier(tmp_path / "linear.onnx"),
        "DATA": images_file(tmp_path / "images.npz"),
    }
    result = rnascl("attack", *(places.get(a, a) for a in arguments))
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def uint8_classifier(path, *casts):
    """Write the linear classifier as one that takes bytes, through these types to float."""
    model = onnx.load(linear_classifier(path))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.initializer.append(numpy_helper.from_array(np.float32(255), "most"))
    model.graph.node[0].input[0] = "pixels"
    kinds = [*casts, TensorProto.FLOAT]
    names = ["x", *(f"cast{k}" for k in range(len(kinds)))]
    made = [
        helper.make_node("Cast", [before], [after], to=kind)
        for before, after, kind in zip(names, names[1:], kinds, strict=False)
    ]
    made.append(helper.make_node("Div", [names[-1], "most"], ["pixels"]))
    for node in made[::-1]:
        model.graph.node.insert(0, node)
    onnx.save(model, path)
    return path


def test_a_file_that_takes_bytes_is_attacked_through_their_rounding(rnascl, tmp_path):
    model = uint8_classifier(tmp_path / "bytes.onnx")
    data, out = tmp_path / "images.npz", tmp_path / "out.json"
    images = np.rint(255 * IMAGES).astype(np.uint8)
    labels = (images.reshape(N, -1) / 255 @ WEIGHT + BIAS).argmax(1)
    np.savez(data, x=images, y=labels)
    result = rnascl("attack", model, "--data", data, "--eps", "2.5/255", "--attacks", "fgsm,pgd",
                    "--json", out)  # fmt: skip
    assert result.code == 0, result.err
    # of whole pixels within 2.5 levels, the worst are 2 levels away
    towards = np.where(labels[:, None] == 0, 1, -1) * np.sign(WEIGHT[:, 1] - WEIGHT[:, 0])
    worst = np.clip(images.reshape(N, -1).astype(float) + 2 * towards, 0, 255) / 255
    expected = np.mean((worst @ WEIGHT + BIAS).argmax(1) == labels)
    assert 0.1 < expected < 0.9
    accuracy = json.loads(out.read_text())["accuracy"]
    assert (accuracy["clean"], accuracy["pgd20"]) == (1, pytest.approx(expected))


def table_classifier(path):
    """Write the linear classifier as one that looks the bytes that it takes up in a table."""
    model = onnx.load(linear_classifier(path))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    table = np.arange(256, dtype=np.float32) / 255
    model.graph.initializer.append(numpy_helper.from_array(table, "table"))
    model.graph.node[0].input[0] = "pixels"
    model.graph.node.insert(0, helper.make_node("Gather", ["table", "place"], ["pixels"]))
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["place"], to=TensorProto.INT64))
    onnx.save(model, path)
    return path


def test_a_file_without_gradient_is_attacked_by_score(rnascl, tmp_path):
    model = table_classifier(tmp_path / "whole.onnx")
    data, out = images_file(tmp_path / "images.npz"), tmp_path / "out.json"
    shared = ("attack", model, "--data", data, "--eps", "4/255", "--json", out)
    result = rnascl(*shared, "--attacks", "square", "--n", 10, "--sweep", "1/255")
    assert result.code == 0, result.err
    assert "No check for false robustness: " in result.err
    figures = json.loads(out.read_text())
    assert figures["check"] is None
    assert figures["accuracy"]["square"] < figures["accuracy"]["clean"]

    out.unlink()
    result = rnascl(*shared, "--attacks", "square,pgd")
    assert result.code == 2
    assert "no gradient through" in result.err
    # nothing was run in vain
    assert "square:" not in result.err and not out.exists()


def test_help_takes_little_time():
    """The least of three, in seconds of this command's own computing, imports included."""
    resource = pytest.importorskip("resource")
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        program = "import sys; from rnascl_keras.cli import main; sys.argv[0] = 'rnascl'; main()"
        command = [sys.executable, "-c", program, "attack", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert "MODEL.onnx" in done.stdout
    assert min(seconds) < 1


def test_square_is_run_beside_gradients_that_go_straight_through(rnascl, tmp_path):
    model = onnx.load(linear_classifier(tmp_path / "plain.onnx"))
    model.graph.node[2].input[0] = "signs"
    model.graph.node.insert(2, helper.make_node("Sign", ["flat"], ["signs"]))
    path, data, out = (tmp_path / name for name in ("signs.onnx", "d.npz", "out.json"))
    onnx.save(model, path)
    shifted = IMAGES - 0.5
    labels = (np.sign(shifted.reshape(N, -1)) @ WEIGHT + BIAS).argmax(1)
    np.savez(data, x=IMAGES, y=labels)
    options = ("--data", data, "--n", 5, "--check", 0, "--json", out, "--mean", "0.5")
    result = rnascl("attack", path, *options, "--attacks", "fgsm")
    assert result.code == 0, result.err
    assert "through Sign as if it did not round" in result.err
    assert set(json.loads(out.read_text())["accuracy"]) == {"clean", "fgsm", "square", "worst"}
