"""The table of latencies: expectation, gradient, measuring, and files that are refused."""

import itertools
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from tiny_models import CLASSES, IMAGE, TINY, make_search, tiny_batch

from rnascl_keras.errors import UserError
from rnascl_keras.export import block_latency
from rnascl_keras.export.block_latency import measure_latency_table
from rnascl_keras.files.whole import read_json
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.latency_table import BlockLatency, LatencyTable, made_with
from rnascl_keras.method.spaces import SPACES, SearchSpace, Stage
from rnascl_keras.run.latency import table_for
from rnascl_keras.settings import Search

CHOICES = [stage.widths for stage in TINY.stages for _ in range(stage.depth)]


def table(overhead=0.01, space=TINY, image=IMAGE, classes=CLASSES):
    """A table of made-up times, at every width."""
    rng = np.random.default_rng(0)
    widths = [sorted(stage.widths) for stage in space.stages for _ in range(stage.depth)]
    before = [[space.stem_width], *widths]
    blocks = tuple(
        BlockLatency(a, b, rng.uniform(0.02, 0.2, (len(a), len(b))))
        for a, b in zip(before[:-1], widths, strict=True)
    )
    tail = BlockLatency(before[-1], (1,), rng.uniform(0.02, 0.2, (len(before[-1]), 1)))
    made = made_with(space, image, classes, "one_thread")
    return LatencyTable(made, overhead, 0.05, blocks, tail)


def summed(found, flat):
    """The latency of a student, from the table's own figures."""
    widths = [TINY.stem_width, *flat]
    total = found.stem
    for block, a, b in zip(found.blocks, widths[:-1], widths[1:], strict=True):
        total += block.ms[block.inputs.index(a), block.outputs.index(b)] - found.overhead
    return total + found.tail.ms[found.tail.inputs.index(widths[-1]), 0] - found.overhead


def students():
    for flat in itertools.product(*CHOICES):
        yield flat, (flat[:2], flat[2:])


def test_the_expectation_is_that_over_all_students():
    found, rng = table(), np.random.default_rng(1)
    probabilities = [rng.dirichlet(np.ones(len(row))) for row in CHOICES]
    exact = 0.0
    for flat, widths in students():
        p = math.prod(
            row[choices.index(width)]
            for row, choices, width in zip(probabilities, CHOICES, flat, strict=True)
        )
        exact += p * summed(found, flat)
        assert found.predict(widths) == pytest.approx(summed(found, flat), rel=1e-12)
    expected = found.expected([np.float32(p) for p in probabilities])
    assert float(expected) == pytest.approx(exact, rel=1e-6)


def test_one_hot_choices_give_the_tables_sum():
    found = table()
    for flat, _ in students():
        one_hot = [
            np.float32([w == width for w in row]) for row, width in zip(CHOICES, flat, strict=True)
        ]
        assert float(found.expected(one_hot)) == pytest.approx(summed(found, flat), rel=1e-6)


def test_the_gradient_is_that_of_finite_differences():
    found, rng = table(), np.random.default_rng(2)
    logits = [tf.Variable(rng.normal(size=len(row)), dtype="float32") for row in CHOICES]
    with tf.GradientTape() as tape:
        expected = found.expected([tf.nn.softmax(v) for v in logits])
    gradients = tape.gradient(expected, logits)

    def at(changed, k):
        """In float64, by the definition of the expectation."""
        values = [v.numpy().astype(float) for v in logits]
        values[k] = changed
        powers = [np.exp(v) / np.exp(v).sum() for v in values]
        total = found.stem
        ends = [np.ones(1), *powers, np.ones(1)]
        widths = [(TINY.stem_width,), *CHOICES, (1,)]
        for part, p, q, a, b in zip(
            [*found.blocks, found.tail], ends[:-1], ends[1:], widths[:-1], widths[1:], strict=True
        ):
            rows = [part.inputs.index(n) for n in a]
            columns = [part.outputs.index(n) for n in b]
            total += p @ (part.ms[np.ix_(rows, columns)] - found.overhead) @ q
        return total

    for k, gradient in enumerate(gradients):
        value = logits[k].numpy().astype(float)
        for i in range(len(value)):
            step = 1e-5 * np.eye(len(value))[i]
            slope = (at(value + step, k) - at(value - step, k)) / 2e-5
            assert float(gradient[i]) == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_between_measured_widths_it_is_linear():
    block = BlockLatency((4, 8), (10, 20, 40), [[1, 2, 6], [3, 4, 8]])
    found = block.at((8, 6), (10, 15, 30))
    np.testing.assert_allclose(found, [[3, 3.5, 6], [2, 2.5, 5]])
    with pytest.raises(ValueError, match="not within"):
        block.at((9,), (10,))


@pytest.mark.parametrize("combine", ["multiply", "add"])
def test_a_search_takes_n_f_from_the_latency(combine):
    found = table()
    search = make_search(latency_table=found, combine=combine, compiling={"run_eagerly": True})
    parts = search.train_on_batch(*tiny_batch(), return_dict=True)
    ms = float(parts["expected_latency"])
    known = [found.predict(widths) for _, widths in students()]
    assert min(known) < ms < max(known)
    largest = found.predict(TINY.widths_everywhere(max))
    expected = 0.2 * np.log(1000 * ms) ** 0.6 if combine == "multiply" else 0.2 * ms / largest
    assert float(parts["n_f"]) == pytest.approx(expected, rel=1e-5)
    other = table(space=SPACES["digits"], image=(8, 8, 1))
    with pytest.raises(UserError, match="latency table is of another space; expected"):
        make_search(latency_table=other)


def test_a_search_for_speed_takes_what_is_fast_not_what_is_small():
    """A device on which narrow blocks are slow: the wide ones are chosen."""
    found = table()
    blocks = tuple(
        BlockLatency(b.inputs, b.outputs, 2.0 / np.add.outer(b.inputs, np.array(b.outputs)))
        for b in found.blocks
    )
    tail = BlockLatency(found.tail.inputs, (1,), [[0.05]] * len(found.tail.inputs))
    odd = LatencyTable(found.made_with, 0.01, 0.05, blocks, tail)
    logits = [tf.Variable(tf.zeros(len(row))) for row in CHOICES]
    with tf.GradientTape() as tape:
        expected = odd.expected([tf.nn.softmax(v) for v in logits])
    for gradient in tape.gradient(expected, logits):
        assert gradient[0] < 0 < gradient[-1]  # widths are listed from wide to narrow


def test_measuring_a_tiny_space(tmp_path, monkeypatch):
    space = SearchSpace("t", (Stage(2, (10, 8, 7, 6, 4, 2)), Stage(1, (5,))), 3, 1, head_width=9)
    parts = []
    measured = block_latency._milliseconds
    monkeypatch.setattr(
        block_latency, "_milliseconds", lambda part, *_: parts.append(part) or measured(part, *_)
    )
    monkeypatch.setattr(block_latency, "SECONDS", 0.0)
    found = measure_latency_table(space, (9, 7, 3), 4, progress=False)
    # stem, tail and nothing, and at most four widths of each side
    assert len(parts) == len(set(parts)) == 3 + 4 + 16 + 4
    assert found.blocks[1].inputs == found.blocks[1].outputs == (2, 6, 7, 10)
    assert found.predict([[8, 4], [5]]) > 0
    again = LatencyTable.load(found.save(tmp_path / "table.json"))
    assert again.made_with == found.made_with
    assert again.made_with["onnxruntime"] == onnxruntime.__version__
    assert again.predict([[8, 4], [5]]) == found.predict([[8, 4], [5]])


@pytest.mark.parametrize("activation", ["relu", "silu", "hard_swish"])
@pytest.mark.parametrize("widths", [((4, 2), (6, 2)), ((2, 4), (4, 6))])
def test_what_is_measured_are_the_students_own_operations(widths, activation):
    """Convolutions of the parts together are those of the built student, in order."""
    space = replace(TINY, activation=activation)
    flat = [space.stem_width, *widths[0], *widths[1]]
    places = [place for place, _, _ in block_latency._block_grids(space, IMAGE)]
    parts = [block_latency._stem(space, *IMAGE)]
    parts += [
        block_latency._block(space, a, b, *place)
        for a, b, place in zip(flat[:-1], flat[1:], places, strict=True)
    ]
    parts.append(block_latency._tail(space, flat[-1], 4, 4, CLASSES))
    shapes, sides = [], []
    for part in parts:
        model = block_latency._onnx_model(part)
        shapes += [tuple(w.dims) for w in model.graph.initializer if len(w.dims) in (2, 4)]
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (made,) = session.run(None, {"x": np.zeros((1, *part[0]), "float32")})
        sides.append(made.shape)
    student = Architecture(space, widths, (), "", IMAGE, CLASSES).build()
    kernels = [w.numpy() for w in student.trainable_variables if w.name.endswith("kernel")]
    own = []
    for kernel in kernels:
        if kernel.ndim == 2:
            own.append(kernel.shape)
        else:  # (h, w, in, out) or depthwise (h, w, channels, 1) -> (out, in / groups, h, w)
            depthwise = kernel.shape[-1] == 1
            out, inputs = kernel.shape[2:] if depthwise else kernel.shape[:1:-1]
            own.append((out, inputs, *kernel.shape[:2]))
    assert shapes == own
    names = [f"stem_{activation}", *(f"stage{s}_block{b}_{p}" for s, b, p in _ends())]
    for name, side in zip(names, sides[:-1], strict=True):
        _, h, w, c = student.get_layer(name).output.shape
        assert side == (1, c, h, w)
    assert sides[-1] == (1, CLASSES)


def test_squeeze_and_excitation_is_measured_too():
    space = replace(TINY, squeeze_excite=0.5)
    model = block_latency._onnx_model(block_latency._block(space, 4, 2, 8, 8, 1, False))
    kinds = [node.op_type for node in model.graph.node]
    named = "Conv Relu Conv Relu GlobalAveragePool Conv Relu Conv Sigmoid Mul Conv Identity"
    assert " ".join(kinds) == named
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (made,) = session.run(None, {"x": np.zeros((1, 4, 8, 8), "float32")})
    assert made.shape == (1, 2, 8, 8)


def _ends():
    for stage, block in itertools.product((1, 2), (1, 2)):
        yield stage, block, "project_bn" if block == 1 else "add"


def spoil(content, change):
    change(content)
    return content


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("parts"),
        lambda c: c["parts"].pop(1),
        lambda c: c["parts"][0]["ms"][0].pop(),
        lambda c: c["parts"][0]["ms"].__setitem__(0, [float("nan")] * 2),
        lambda c: c["parts"][2]["ms"][0].__setitem__(0, -1.0),
        lambda c: c["parts"][1].__setitem__("inputs", [4, 2]),
        lambda c: c["parts"][1].__setitem__("outputs", [2, 3]),
        lambda c: c.__setitem__("overhead_ms", "slow"),
        lambda c: c.update(overhead_ms=1e-5, stem_ms=1e-5),
        lambda c: c["made_with"].pop("threads"),
        lambda c: c["made_with"].__setitem__("space", {"name": "x"}),
    ],
)
def test_a_bad_table_is_refused(change, tmp_path):
    path = table().save(tmp_path / "table.json")
    path.write_text(json.dumps(spoil(read_json(path), change)))
    with pytest.raises(UserError, match="no table of a space's latencies"):
        LatencyTable.load(path)


def test_of_several_workers_the_chief_measures(tmp_path, monkeypatch):
    monkeypatch.delattr(block_latency, "measure_latency_table")
    path, measured = tmp_path / "latency_table.json", table()
    data = SimpleNamespace(input_shape=IMAGE, classes=CLASSES)
    other_worker = SimpleNamespace(
        recipe=SimpleNamespace(search_space=TINY, search=Search(cost="latency")),
        data=SimpleNamespace(train=data),
        path=tmp_path.joinpath,
        is_chief=False,
        wait_for_all_workers=lambda: measured.save(path),
    )
    widths = TINY.widths_everywhere(max)
    assert table_for(other_worker).predict(widths) == measured.predict(widths)


def test_a_run_that_searches_for_speed(work, tiny, rnascl, refused, tmp_path):
    settings = ("--workdir", work, "--set", "search.cost=latency")
    whole = rnascl("run", tiny, *settings, "--overwrite")
    assert whole.code == 0 and "search: measuring the latency" in whole.err, whole.err
    assert " ms predicted" in whole.err
    measured = (work / "latency_table.json").read_bytes()
    report = read_json(work / "report.json")
    prediction = report["latency_prediction"]
    found = LatencyTable.load(work / "latency_table.json")
    assert prediction == {
        "threads": "one_thread",
        "predicted_ms": found.predict(report["architecture"]["widths"]),
        "measured_ms": report["export"]["student.onnx"]["latency_ms"]["one_thread"],
    }
    assert "from its blocks" in (work / "report.html").read_text()
    assert rnascl("search", tiny, *settings).err.count("already done") == 1
    again = rnascl("search", tiny, *settings, "--set", "search.beta=0.3", "--overwrite")
    assert "search: latencies as in" in again.err
    assert (work / "latency_table.json").read_bytes() == measured

    # a table of another device, and what is none
    elsewhere = tmp_path / "device.json"
    elsewhere.write_bytes(measured)
    given = (*settings, "--set", f"search.latency_table={elsewhere}", "--overwrite")
    assert rnascl("search", tiny, *given).code == 0
    elsewhere.write_text("{}")
    assert "is no table of a space's latencies" in refused("search", tiny, *given)
    table().save(elsewhere)
    assert "is of another space and classes; expected one of space 'tiny'" in refused(
        "search", tiny, *given
    )
    elsewhere.unlink()
    assert "search.latency_table: there is no file" in refused("search", tiny, *given)
