"""How images are divided among runs of a session."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, parser

from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.onnx_batches import (
    FEWEST_IN_PIECE,
    MOST_IN_PIECE,
    Batches,
    images_in_piece,
)

CPU = ("CPUExecutionProvider",)


def model(batch="N"):
    return parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> '
        f"g (float[{batch},4,4,3] x) => (float[{batch},48] y) {{ y = Flatten(x) }}"
    )


class FakeSession:
    """Doubles its images, adds the labels, and notes the sizes of its batches."""

    def __init__(self, rows=lambda count: count):
        self.path, self.inputs = (
            Path("m.onnx"),
            [SimpleNamespace(name="pixels", type="tensor(float)")],
        )
        self.rows, self.sizes, self.threads = rows, [], set()

    def run(self, names, feeds):
        images, labels = feeds["pixels"], feeds["labels"]
        self.sizes.append(len(images))
        self.threads.add(threading.get_ident())
        both = 2 * images.reshape(len(images), -1) + labels[:, None]
        return [x[: self.rows(len(images))] for x in (both, labels)][: len(names)]


def run(batches, session, count, *, fixed=None, batch_size=128):
    images = np.random.default_rng(0).random((count, 4, 4, 3), np.float32)
    labels = np.arange(count)
    given = SimpleNamespace(batch=fixed, encode=lambda x, kind: x)
    results = batches.run(session, ["y", "l"], given, images, {"labels": labels}, batch_size)
    np.testing.assert_array_equal(results[0], 2 * images.reshape(count, -1) + labels[:, None])
    np.testing.assert_array_equal(results[1], labels)
    return sorted(session.sizes)


@pytest.mark.parametrize(("count", "batch_size"), [(1, 128), (5, 2), (128, 128), (131, 40)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_pieces_of_a_few_images_cover_all_in_order(threads, count, batch_size):
    batches, session = Batches(model(), threads, CPU), FakeSession()
    assert batches.threads_within == 1
    sizes = run(batches, session, count, batch_size=batch_size)
    assert sum(sizes) == count and max(sizes) <= min(FEWEST_IN_PIECE, batch_size)
    assert len(session.threads) <= threads


@pytest.mark.parametrize(
    ("channels", "images"), [(1, MOST_IN_PIECE), (20, 12), (64, FEWEST_IN_PIECE)]
)
def test_pieces_are_as_large_as_the_largest_tensor_allows(channels, images):
    """Of 33 x 33 pixels, so many channels: 2^18 values together."""
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> '
        f"g (float[N,{channels},33,33] x) => (float[N,k] y) {{ r = Relu(x) y = Flatten(r) }}"
    )
    assert images_in_piece(made) == images


def test_few_images_are_shared_among_the_threads():
    assert run(Batches(model(), 3, CPU), FakeSession(), 7) == [1, 3, 3]


def test_batches_of_a_size_that_the_file_fixes_are_filled_up():
    batches = Batches(model(4), 2, CPU)
    assert batches.threads_within == 2
    assert run(batches, FakeSession(), 10, fixed=4) == [4, 4, 4]


def test_weights_among_the_inputs_fix_no_batch():
    old = model()
    old.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [5, 2]))
    old.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [5, 2], [0.0] * 10))
    assert max(run(Batches(old, 2, CPU), FakeSession(), 100)) == FEWEST_IN_PIECE


def test_other_providers_get_whole_batches():
    batches = Batches(model(), None, ("CUDAExecutionProvider", *CPU))
    assert batches.threads_within is None
    assert run(batches, FakeSession(), 100, batch_size=64) == [36, 64]


def test_a_run_that_drops_rows_is_refused_whichever_it_is():
    session = FakeSession(lambda count: count if count == FEWEST_IN_PIECE else count - 1)
    with pytest.raises(UserError, match=r"one row for each of 2 images.*\(1, 48\).*first axis"):
        run(Batches(model(), 2, CPU), session, 5 * FEWEST_IN_PIECE + 2)


def test_an_error_of_onnxruntimes_in_one_piece_is_told_in_one_line(tmp_path):
    # Gather fails where a pixel says so.
    nodes = "i = Cast<to=7>(x) c = Gather<axis=0>(w, i) y = Flatten(c)"
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float[N,4,4,3] x) => (float[N,48] y) '
        f"<float[2] w = {{1, 2}}> {{ {nodes} }}"
    )
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    classifier = OnnxClassifier(path, threads=2)
    images = np.zeros((40, 4, 4, 3), np.float32)
    np.testing.assert_array_equal(classifier.logits(images), np.ones((40, 48)))
    images[33] = 5
    with pytest.raises(UserError, match="fails on these images") as caught:
        classifier.logits(images)
    assert "\n" not in str(caught.value)


def test_kernels_that_look_at_the_whole_batch_get_one_image_at_a_time():
    """Dynamic quantisation takes the range of its batch: an image's answer depends on others."""
    dynamic = model()
    dynamic.graph.node.insert(
        0, helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"])
    )
    session = FakeSession()
    assert run(Batches(dynamic, 2, CPU), session, 5) == [1] * 5
    providers = ("CUDAExecutionProvider", *CPU)
    assert run(Batches(dynamic, 2, providers), FakeSession(), 5) == [1] * 5
