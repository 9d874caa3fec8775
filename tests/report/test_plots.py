"""The pictures show what their arrays say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

from rnascl_keras import units
from rnascl_keras.report import audit_plots, keys, plots, search_plots, style, sweep_plot

SVG = "{http://www.w3.org/2000/svg}"
SHARES = {
    "teacher": [0.842, 0.587, 0.516],
    "student": [0.896, 0.231, 0.104],
    "student_trades": [0.758, 0.472, 0.428],
}
KEYS = ["clean", "pgd20", "worst"]
CAT = {"class_names": ["cat"]}


def texts(svg):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_tutor_map_rings_the_most_probable_teacher_layer_of_each_row():
    random = np.random.default_rng(1)
    students = [f"stage1_block{b}_{part}" for b in range(1, 15) for part in ("expand", "project")]
    teachers = [f"stage{s}_block{b}_conv1" for s in (1, 2, 3) for b in range(1, 8)]
    probabilities = random.dirichlet(np.ones(21), 28)
    svg = search_plots.tutor_map(probabilities, students, teachers)
    (rings,) = [
        group
        for group in ElementTree.fromstring(svg).iter(f"{SVG}g")
        if group.get("id", "").startswith("PathCollection")
    ]
    places = [(float(use.get("x")), float(use.get("y"))) for use in rings.iter(f"{SVG}use")]
    x, y = np.array(places).T
    # Cells are 0.225 inches of 72 points wide; the rows run from top to bottom.
    np.testing.assert_allclose(np.diff(y), 0.225 * 72, atol=1e-3)
    columns = (x - x.min()) / (0.225 * 72) + probabilities.argmax(1).min()
    np.testing.assert_allclose(columns, probabilities.argmax(1), atol=1e-3)
    written = texts(svg)
    assert {keys.short_layer(name) for name in [*students, *teachers]} <= set(written)


def test_channel_panels_name_the_most_probable_width_in_bold():
    history = {
        "stage1_block1_choice": np.array([[0.5, 0.5], [0.4, 0.6]]),
        "stage2_block1_choice": np.array([[0.3, 0.3, 0.4], [0.1, 0.7, 0.2]]),
    }
    widths = {"stage1_block1_choice": [16, 12], "stage2_block1_choice": [32, 28, 24]}
    panels = search_plots.channel_probabilities(history, widths)
    for name, chosen in (("stage1_block1_choice", "12"), ("stage2_block1_choice", "28")):
        bold = [
            "".join(node.itertext())
            for node in ElementTree.fromstring(panels[name]).iter(f"{SVG}text")
            if re.search(r"bold|700", node.get("style", ""))
        ]
        assert sorted(bold) == [chosen, f"block {name[5]}.1"]
        assert {str(width) for width in widths[name]} <= set(texts(panels[name]))
        assert {"channels", "probability", "epoch"} <= set(texts(panels[name]))


def test_no_words_of_a_panel_are_cut_off():
    """Rotated, what is meant upwards stands left of labels with decimals."""
    with style.report_style():
        figure, axes = search_plots._panel("block 1.1", "probability")
        axes.plot([1, 10], [0.3, 0.4])
        axes.set_yticks([0, 0.5, 1])
        figure.draw_without_rendering()
        words = (axes.yaxis.label, axes.xaxis.label)
        boxes = [text.get_window_extent() for text in words]
        assert min(box.x0 for box in boxes) >= 0 and min(box.y0 for box in boxes) >= 0
        assert max(box.x1 for box in boxes) <= figure.bbox.width


def test_pictures_of_a_single_epoch_are_drawn():
    entropy = search_plots.tutor_entropy(np.log([2.0]), 4)
    assert "2.0" in texts(entropy)
    assert {"1", "1.0", "0.96"} & set(texts(entropy)) == {"1"}
    panel = search_plots.channel_probabilities(
        {"stage1_block1": np.array([[1.0]])}, {"stage1_block1": [8]}
    )
    assert "8" in texts(panel["stage1_block1"])


def test_spread_keeps_labels_apart_and_leaves_distant_ones():
    np.testing.assert_allclose(search_plots.spread(np.array([0.1, 0.5, 0.9]), 0.2), [0.1, 0.5, 0.9])
    crowded = search_plots.spread(np.array([0.0, 0.01, 0.02, 0.9]), 0.1)
    assert np.all(np.diff(crowded) >= 0.1 - 1e-9) and crowded[0] >= 0 and crowded[-1] == 0.9


def test_bars_are_as_high_as_the_accuracies():
    models = {
        model: {
            "accuracy": dict(zip(KEYS, shares, strict=True)),
            "intervals": {
                key: [share - 0.03, share + 0.02] for key, share in zip(KEYS, shares, strict=True)
            },
        }
        for model, shares in SHARES.items()
    }
    svg = plots.robust_accuracy(models, KEYS)
    for model, colour in style.MODEL_COLOURS.items():
        heights = []
        for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
            if f"fill: {colour}" in path.get("style", "") and path.get("clip-path"):
                numbers = np.array(re.findall(r"-?[\d.]+", path.get("d")), float).reshape(-1, 2)
                heights.append(np.ptp(numbers[:, 1]))
        shares = np.array(SHARES[model])
        np.testing.assert_allclose(np.array(heights) / heights[0], shares / shares[0], rtol=1e-3)
        assert {units.percent(share) for share in shares} <= set(texts(svg))


def test_lines_run_through_the_accuracies_over_the_radius():
    radii = [2 / 255, 4 / 255, 8 / 255]
    accuracy = {"fgsm": [0.7, 0.5, 0.3], "pgd20": [0.6, 0.4, 0.1]}
    intervals = {k: [(s - 0.05, s + 0.05) for s in shares] for k, shares in accuracy.items()}
    clean = dict.fromkeys(accuracy, 0.9)
    settings = {"clean_intervals": dict.fromkeys(accuracy, (0.85, 0.95)), "title": "m.onnx"}
    svg = sweep_plot.accuracy_by_radius(radii, accuracy, intervals, clean, **settings).decode()
    lines = [
        np.array(re.findall(r"-?[\d.]+", path.get("d")), float).reshape(-1, 2)
        for path in ElementTree.fromstring(svg).iter(f"{SVG}path")
        if "stroke-width: 1.4" in path.get("style", "")
    ]
    assert len(lines) == 2
    for line, shares in zip(lines, accuracy.values(), strict=True):
        x, y = line.T
        np.testing.assert_allclose((x - x[0]) / (x[-1] - x[0]), [0, 0.25, 0.5, 1], atol=1e-3)
        expected = np.array([0.9, *shares])
        np.testing.assert_allclose(
            (y - y[0]) / (y[-1] - y[0]), (expected - 0.9) / (shares[-1] - 0.9), atol=1e-3
        )
    assert {"FGSM 30.0", "PGD-20 10.0", "0", "2/255", "4/255", "8/255"} <= set(texts(svg))
    assert {"m.onnx", "accuracy", "L∞ radius, pixels in [0, 1]"} <= set(texts(svg))


def test_the_clean_accuracy_over_the_radius_has_its_interval_too(monkeypatch):
    drawn = []
    monkeypatch.setattr(sweep_plot, "_line", lambda axes, x, y, bounds, *_: drawn.append(bounds))
    shares = {"pgd20": [0.5]}, {"pgd20": [(0.2, 0.8)]}, {"pgd20": 0.8}
    sweep_plot.accuracy_by_radius([0.1], *shares, clean_intervals={"pgd20": (0.49, 0.94)})
    np.testing.assert_array_equal(drawn[0], [(0.49, 0.94), (0.2, 0.8)])


def test_dollars_in_names_are_no_formulas():
    answers = {"labels": np.array([0]), "answers": np.array([1])}
    pixels = {"images": np.zeros((1, 4, 4, 1)), "attacked": np.full((1, 4, 4, 1), 0.8)}
    shown = SimpleNamespace(rows=np.array([3]), **answers, **pixels)
    written = texts(audit_plots.gallery(shown, {"class_names": ["a$_b$", "$^$"]}))
    assert {"a$_b$", "✗ $^$"} <= set(written)


@pytest.mark.parametrize(("largest", "factor"), [(0.8, 0.62), (0.5, 1), (0.2, 2.5), (0.04, 12)])
def test_the_factor_beside_a_change_is_that_which_it_is_drawn_with(largest, factor):
    """A change of more than a half is drawn smaller; none is drawn 0 times as large."""
    images = np.zeros((1, 4, 4, 1))
    attacked = np.full_like(images, largest)
    own = np.array([0])
    shown = SimpleNamespace(rows=own, labels=own, answers=own, images=images, attacked=attacked)
    assert any(f"× {factor:g}" in words for words in texts(audit_plots.gallery(shown, CAT)))


def test_attention_maps_show_every_tile_and_what_the_student_got_wrong():
    random = np.random.default_rng(0)
    pair = {
        "student_layer": "stage1_block1_expand",
        "teacher_layer": "stage2_block1_conv2",
        "student": random.random((3, 8, 8)),
        "teacher": random.random((3, 4, 4)),
    }
    svg = plots.attention_maps(
        random.random((3, 32, 32, 3)), ["cat", "ship", "frog"], ["cat", "truck", "frog"], [pair]
    )
    images = list(ElementTree.fromstring(svg).iter(f"{SVG}image"))
    assert len(images) == 3 + 2 * 3
    written = " ".join(texts(svg))
    assert "✗ truck" in written and "✗ cat" not in written
    assert "1.1 expand" in written and "2.1 conv2" in written


def test_drawing_leaves_the_callers_style_alone():
    before = dict(matplotlib.rcParams)
    search_plots.tutor_entropy(np.log([2.0, 1.5]), 4)
    assert dict(matplotlib.rcParams) == before
