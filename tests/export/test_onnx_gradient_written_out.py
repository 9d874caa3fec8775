"""What is written out before it is differentiated: recurrent layers, branches, loops, and the
operators that ONNX defines by others; against central differences, and onnxruntime's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from gradient_cases import Case, by_differences, check_gradient, in_onnxruntime, ints, run

from rnascl_keras.errors import UserError
from rnascl_keras.export.gradient.preparation import PREFIX, prepare
from rnascl_keras.export.gradient.straight_through import straight_through_operators
from rnascl_keras.export.onnx_gradient import input_gradient_model

STEPS, FEATURES, SIZE = 4, 3, 2
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def in_steps(model: onnx.ModelProto, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    """Run a model in float64, in which onnxruntime has no recurrent layers, with these written
    out; that they are the same is tested in float32."""
    if not GATES.keys() & {node.op_type for node in model.graph.node}:
        return run(model, **feeds)
    results = run(prepare(model), **{PREFIX + name: value for name, value in feeds.items()})
    return {name.removeprefix(PREFIX): value for name, value in results.items()}


def recurrent(operator, direction="forward", attributes="", *, biases=True, more="", gives="Y"):
    """A layer over the rows of (batch, STEPS, FEATURES); `more` are its further inputs."""
    ways, gates = 1 + (direction == "bidirectional"), GATES[operator]
    constants = {"W": (ways, gates * SIZE, FEATURES), "R": (ways, gates * SIZE, SIZE)}
    shapes = {"H": (1, SIZE), "C": (1, SIZE), "P": (ways, 3 * SIZE)}
    if biases:
        constants["B"] = (ways, 2 * gates * SIZE)
    body = "t = Transpose<perm=[1, 0, 2]>(x)\n"
    for name in "HC":
        if name in more:
            body += (
                f"s{name} = Shape<start=1, end=2>(t)\n m{name} = Concat<axis=0>(w, s{name}, k)\n"
            )
            body += f"{name} = Expand(i{name}, m{name})\n"
            constants |= {f"i{name}": (ways, *shapes[name]), "w": ints([ways]), "k": ints([SIZE])}
    if "L" in more:
        body += "o = Shape<start=1, end=2>(t)\n n = Expand(one, o)\n L = Cast<to=6>(n)\n"
        constants |= {"one": ints([3])}
    if "P" in more:
        constants["P"] = shapes["P"]
    outputs = {"Y": "Y", "Y_h": ", Y", "Y_c": ", , Y"}[gives]
    body += (
        f'{outputs} = {operator}<hidden_size={SIZE}, direction="{direction}"{attributes}>'
        f"(t, W, R, {'B' if biases else ''}{more})\n"
    )
    perm = "[2, 0, 1, 3]" if gives == "Y" else "[1, 0, 2]"
    name = f"{operator}-{direction}{attributes}-{more}-{gives}".replace(" ", "")
    body += f"h = Transpose<perm={perm}>(Y)"
    return Case(name, body, (STEPS, FEATURES), constants, evaluator=in_steps, runs=True)


RECURRENT = [
    *(
        recurrent(operator, direction)
        for operator in GATES
        for direction in ("forward", "reverse", "bidirectional")
    ),
    *(recurrent("GRU", way, ", linear_before_reset=1") for way in ("forward", "bidirectional")),
    *(recurrent(operator, "bidirectional", gives="Y_h") for operator in GATES),
    recurrent("LSTM", "bidirectional", gives="Y_c"),
    recurrent("LSTM", biases=False),
    recurrent("GRU", biases=False),
    recurrent("LSTM", "bidirectional", more=", , H, C, P"),
    recurrent("GRU", "bidirectional", more=", , H"),
    recurrent("RNN", "bidirectional", more=", , H"),
    *(recurrent(operator, "bidirectional", more=", L") for operator in GATES),
    *(recurrent(operator, "reverse", more=", L", gives="Y_h") for operator in GATES),
    replace(recurrent("LSTM"), opset=14, name="LSTM-14"),
    replace(recurrent("GRU"), opset=14, name="GRU-14"),
]


@pytest.mark.parametrize("case", RECURRENT, ids=lambda case: case.name)
def test_a_recurrent_layer(case):
    images = case.images(3).astype(np.float32)
    model = case.model(np.float32)
    as_one = in_onnxruntime(model, x=images)["y"]
    made = input_gradient_model(model, "linear")
    written = in_onnxruntime(made, images=images, slopes=np.zeros_like(as_one))["logits"]
    np.testing.assert_allclose(written, as_one, atol=1e-6)
    check_gradient(case)


def refusal(case: Case) -> str:
    with pytest.raises(UserError) as refused:
        input_gradient_model(case.model(np.float32))
    return str(refused.value)


def test_recurrent_layers_with_settings_of_their_own_are_refused():
    own = recurrent("LSTM", attributes=', activations=["Relu", "Tanh", "Tanh"]')
    assert "LSTM (node 'Y': its activations are not the default ones)" in refusal(own)
    assert "clips" in refusal(recurrent("GRU", attributes=", clip=1.0"))
    long = recurrent("RNN")
    assert "it takes 2000 steps" in refusal(replace(long, shape=(2000, FEATURES)))


BRANCHES = """<then_branch = yes () => (u) { u = Exp(x) },
  else_branch = no () => (v) { a = Tanh(x) v = Mul(a, a) }>"""
NESTED = f"""
  s = Shape(x) r = Size(s) q = Equal(r, three)
  h = If(q) <then_branch = outer () => (w) {{ i = If(q) {BRANCHES} w = Add(i, x) }},
    else_branch = other () => (z) {{ z = Identity(x) }}>
"""
ROUNDS = """
  h, rows = Loop(count, on, x) <body = step (int64 k, bool going, y) => (more, out, row)
    <float c = {0.7}> {
      more = Identity(going) f = CastLike(k, y) d = CastLike(c, y) g = Add(f, d) m = Mul(y, g)
      out = Sin(m) row = Mul(out, x) }>
"""
SCANNED = ROUNDS.replace("h, rows", "last, rows") + "\n h = Transpose<perm=[1, 0, 2, 3]>(rows)"
COUNTED = {"count": ints(3), "on": np.array(True)}
NO_ROWS = (
    ROUNDS.replace("h, rows", "a").replace("out, row)", "out)").replace("row = Mul(out, x)", "")
)
# as TensorFlow's while loops become, without a count of its own
COUNTING = """
  n, h = Loop(, on, first, x) <body = step (int64 k, bool going, int64 i, y) => (more, j, out)
    <int64 one = {1}> {
      j = Add(i, one) more = Less(j, last) f = CastLike(j, y) m = Mul(y, f) [named] out = Sin(m) }>
"""
# onnx's evaluator joins the rows of a Loop instead of stacking them, and wants both limits
LOOPS = {
    "loop": (ROUNDS, COUNTED),
    "loop-rows": (SCANNED, COUNTED),
    "loop-without-condition": (ROUNDS.replace("on, x", ", x"), {"count": ints(2)}),
    "loop-without-count": (
        ROUNDS.replace("count, on", ", on").replace("going)", "off)"),
        {"on": np.array(True), "off": np.array(False)},
    ),
    "loop-once": (
        ROUNDS.replace("Identity(going)", "Identity(off)"),
        COUNTED | {"off": np.array(False)},
    ),
    "loop-counted": (
        ROUNDS.replace("Identity(going)", "Less(k, limit)"),
        COUNTED | {"count": ints(9), "limit": ints(2)},
    ),
    "loop-counting": (COUNTING, {"on": np.array(True), "first": ints(5), "last": ints(9)}),
    "loop-never": (NO_ROWS + " h = Exp(a)", COUNTED | {"count": ints(0)}),
}
CONTROL_FLOW = [
    *(
        Case(f"if-{taken}", f"h = If(q) {BRANCHES}", (2, 3), {"q": np.array(taken)})
        for taken in (True, False)
    ),
    Case("if-nested", NESTED, (2, 3), {"three": ints(3)}),
    *(
        Case(name, body, (2, 3), constants, evaluator=in_onnxruntime)
        for name, (body, constants) in LOOPS.items()
    ),
]


@pytest.mark.parametrize("case", CONTROL_FLOW, ids=lambda case: case.name)
def test_control_flow_that_depends_on_no_image(case):
    check_gradient(case)


def test_a_loop_without_end_is_refused_in_no_time():
    forever = Case("loop", ROUNDS, (2, 3), COUNTED | {"count": ints(2**62)})
    assert "Loop (node 'h': its body is run too often" in refusal(forever)
    until = Case(
        "loop",
        ROUNDS.replace("more = Identity(going)", "").replace(
            "(out, x) }", "(out, x) s = ReduceSum<keepdims=0>(out) more = Less(s, limit) }"
        ),
        (2, 3),
        COUNTED | {"limit": np.array(2.0)},
    )
    assert "how often it runs depends on what it computes" in refusal(until)


def standardised(x):
    return (x - x.mean(axis=2, keepdims=True)) / x.std(axis=2, keepdims=True)


def shrunk(x):
    return np.where(x > 0.3, x - 0.1, np.where(x < -0.3, x + 0.1, 0))


def celu(x):
    return np.maximum(x, 0) + np.minimum(0, 0.7 * np.expm1(x / 0.7))


def log_sum(x):
    return np.log(x.sum(axis=2))


DEFINED = [
    ("MeanVarianceNormalization<axes=[2]>", 18, standardised, {}),
    ("MeanVarianceNormalization<axes=[2]>", 11, standardised, {}),
    ("Shrink<bias=0.1, lambd=0.3>", 18, shrunk, {}),
    ("Celu<alpha=0.7>", 18, celu, {}),
    ("ReduceLogSum<axes=[2], keepdims=0>", 11, log_sum, {"low": 0.5, "high": 2.0}),
]


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
@pytest.mark.parametrize(("operator", "opset", "function", "between"), DEFINED)
def test_operators_that_onnx_defines_by_others(operator, opset, function, between, domain):
    """Of several of these definitions, onnx's evaluator runs none in float64."""
    case = Case("defined", f"h = {operator}(x)", (3, 4), opset=opset, **between)
    images, model = case.images(2), case.model(np.float32)
    for part in (*model.graph.node, *model.opset_import):
        part.domain = domain
    logits = function(images).reshape(2, -1)
    slopes = np.random.default_rng(0).normal(size=logits.shape)
    expected = [
        by_differences(lambda x, s=s: function(x).reshape(len(x), -1) @ s, image, 1e-6)
        for image, s in zip(images, slopes, strict=True)
    ]
    feeds = {"images": images.astype(np.float32), "slopes": slopes.astype(np.float32)}
    found = in_onnxruntime(input_gradient_model(model, "linear"), **feeds)
    np.testing.assert_allclose(found["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(found["gradient"], expected, atol=3e-5)


@pytest.mark.parametrize("operator", ["Ceil", "Floor", "Round", "Sign"])
def test_rounding_lets_the_gradient_through(operator):
    """As if it did nothing: of w round(x v), it is that of w v x."""
    body = f"a = Mul(x, v)\n b = {operator}(a)\n h = Mul(b, w)"
    case = Case(operator, body, (2, 3), {"v": (3,), "w": (2, 3)})
    model = case.model(np.float32)
    weights = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
    }
    slopes = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    images = case.images(2).astype(np.float32)
    found = in_onnxruntime(input_gradient_model(model, "linear"), images=images, slopes=slopes)
    expected = slopes.reshape(2, 2, 3) * weights["w"] * weights["v"]
    np.testing.assert_allclose(found["gradient"], expected, rtol=1e-6)
    assert straight_through_operators(model) == (operator,)


def test_only_rounding_of_what_the_images_change_is_named():
    body = "s = Shape(x) f = Cast<to=1>(s) r = Floor(f) c = Ceil(w) e = Exp(x) h = Mul(e, c)"
    model = Case("off", body, (2, 3), {"w": (3,)}).model(np.float32)
    assert straight_through_operators(model) == ()
    both = Case("on", "a = Round(x) b = Sign(a) h = Round(b)", (2, 3)).model(np.float32)
    assert straight_through_operators(both) == ("Round", "Sign")


def test_the_sign_of_what_is_its_own_size_has_no_gradient():
    """A soft threshold has that of its other factor."""
    body = "a = Abs(x) b = Sub(a, t) c = Relu(b) s = Sign(x) h = Mul(s, c)"
    case = Case("threshold", body, (3, 4), {"t": (4,)}, low=0.1)
    signed = replace(case, body=f"m = Sub(x, half) {body.replace('(x)', '(m)')}")
    signed.constants["half"] = (3, 4)
    for one in (case, signed):
        check_gradient(one)
        assert straight_through_operators(one.model(np.float32)) == ()


@pytest.mark.parametrize(
    "body",
    [
        # soft thresholds, the first as PyTorch's newer exporter writes it
        "a = Abs(x) s = Sign(x) b = Greater(a, t) m = Mul(s, t) d = Sub(x, m) z = Sub(x, x)"
        " h = Where(b, d, z)",
        "s = Sign(x) m = Mul(t, s) n = Neg(m) h = Add(n, x)",
        # remainders
        "f = Floor(x) h = Sub(x, f)",
        "q = Div(x, t) f = Floor(q) m = Mul(f, t) d = Sub(x, m) e = Sub(one, d) h = Mul(d, e)",
        "c = Ceil(x) h = Sub(c, x)",
        "m = Mul(x, scale) o = Add(m, one) r = Round(o) d = Sub(o, r) h = Mul(d, d)",
    ],
)
def test_rounding_that_is_subtracted_has_no_gradient(body):
    """The gradient of the rest is that of what was rounded; it is named all the same, for the rest
    jumps, which attacks by score find."""
    constants = {"t": (4,), "one": (), "scale": ()}
    case = Case("rest", body, (3, 4), constants, low=0.1, high=0.4, step=1e-7)
    check_gradient(case)
    (named,) = straight_through_operators(case.model(np.float32))
    assert f"{named}(" in body


@pytest.mark.parametrize(
    "body",
    [
        "r = Round(x) d = Sub(r, x) h = Add(x, d)",
        "m = Mul(x, scale) r = Round(m) q = Div(r, scale) d = Sub(q, x) h = Add(d, x)",
        "m = Mul(x, scale) r = Round(m) d = Sub(r, m) q = Mul(d, unscale) h = Add(q, x)",
    ],
)
def test_rounding_that_is_trained_through_lets_the_gradient_through(body):
    constants = {"scale": np.float32(3.7), "unscale": np.float32(1 / 3.7)}
    case = Case("trained", body, (2, 3), constants)
    model = case.model(np.float32)
    slopes = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    images = case.images(2).astype(np.float32)
    found = in_onnxruntime(input_gradient_model(model, "linear"), images=images, slopes=slopes)
    np.testing.assert_allclose(found["gradient"], slopes.reshape(2, 2, 3), atol=1e-5)
    assert straight_through_operators(model) == ("Round",)
