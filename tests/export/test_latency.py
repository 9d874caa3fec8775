"""A latency is the median of runs that are made; how long they take is not tested."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from onnx import helper

from rnascl_keras.errors import UserError
from rnascl_keras.export import latency as module
from rnascl_keras.export.latency import LEAST_RUNS, MOST_RUNS, WARM_UP, measure_latency


def classifier(path, batch="batch", side=4):
    """A file that sums up its images."""
    value = helper.make_tensor_value_info
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> '
        "sums (float[batch,4,4,3] images) => (float[batch,3] logits)"
        "{ logits = ReduceSum<keepdims=0>(images, axes) }"
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2]), "axes"))
    kind = onnx.TensorProto.FLOAT
    model.graph.input[0].CopyFrom(value("images", kind, [batch, side, side, 3]))
    model.graph.output[0].CopyFrom(value("logits", kind, [batch, 3]))
    onnx.save(model, path)
    return path


class Clock:
    """A clock that a run of a session moves on by so many seconds as it is told to take."""

    def __init__(self, takes):
        self.now, self.takes, self.runs, self.shapes = 0.0, takes, [], set()

    def perf_counter(self):
        return self.now

    def session(self, threads):
        clock, durations = self, itertools.chain(self.takes, itertools.repeat(self.takes[-1]))
        self.runs.append(0)

        class Session:
            def run(self, names, feeds):
                clock.runs[-1] += 1
                clock.shapes |= {images.shape for images in feeds.values()}
                clock.now += next(durations)

        return Session()


@pytest.fixture
def clock(monkeypatch):
    """A function: seconds of each run -> a clock by which the module measures."""

    def make(takes):
        made, threads = Clock(takes), []
        original = module.SessionMaker

        class Maker(original):
            def __init__(self, path, count, providers):
                threads.append(count)
                super().__init__(path, count, providers)

            def open(self, model):
                real = super().open(model)
                fake = made.session(threads[-1])
                fake.inputs, fake.outputs, fake.metadata = real.inputs, real.outputs, real.metadata
                return fake

        monkeypatch.setattr(module, "SessionMaker", Maker)
        monkeypatch.setattr(module.time, "perf_counter", made.perf_counter)
        made.threads = threads
        return made

    return make


def test_it_is_the_median_in_milliseconds_without_the_first_runs(tmp_path, clock):
    # ten slow runs to warm up, then mostly 2 ms, and a few that something else held up
    made = clock([9.0] * WARM_UP + [0.002, 0.002, 0.5] + [0.002] * 1000)
    assert measure_latency(classifier(tmp_path / "a.onnx")) == {
        "one_thread": pytest.approx(2),
        "all_threads": pytest.approx(2),
    }
    assert made.threads == [1, None]
    assert made.shapes == {(1, 4, 4, 3)}


@pytest.mark.parametrize(("seconds", "runs"), [(5.0, LEAST_RUNS), (0.01, 100), (1e-6, MOST_RUNS)])
def test_slow_files_are_run_less_often(tmp_path, clock, seconds, runs):
    made = clock([seconds])
    measure_latency(classifier(tmp_path / "a.onnx"))
    assert made.runs == [pytest.approx(WARM_UP + runs, abs=1)] * 2


def test_a_fixed_batch_is_run_as_it_is(tmp_path, clock):
    made = clock([0.1])
    measure_latency(classifier(tmp_path / "a.onnx", batch=6))
    assert made.shapes == {(6, 4, 4, 3)}


def test_a_real_file_takes_some_time(tmp_path):
    measured = measure_latency(classifier(tmp_path / "a.onnx"))
    assert set(measured) == {"one_thread", "all_threads"}
    assert all(0 < value < 1000 for value in measured.values())


def test_a_size_left_open_is_refused(tmp_path):
    with pytest.raises(UserError, match="images of any size"):
        measure_latency(classifier(tmp_path / "a.onnx", side="side"))
