"""A report with round figures, its pictures' arrays, and its page as a reader sees it."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np

from rnascl_keras.recipe import load_recipe
from rnascl_keras.report.page import write_report
from rnascl_keras.report.pictures import ReportPictures

EPSILON = 8 / 255
VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}


def figures(parameters, macs, *shares):
    keys = ("clean", "fgsm", "pgd20", "mi_fgsm", "worst")
    accuracy = dict(zip(keys, shares, strict=True))
    intervals = {key: [max(0, share - 0.03), share + 0.02] for key, share in accuracy.items()}
    return {"parameters": parameters, "macs": macs, "accuracy": accuracy, "intervals": intervals}


DATA = {"image_shape": [32, 32, 3], "classes": ["cat", "dog"]}
DATA |= {"train": 45_000, "validation": 5_000, "test": 10_000}
STUDENT_LAYERS = ["stem", "stage1_block1_expand", "stage1_block1_depthwise", "stage2_block1_expand"]
TEACHER_LAYERS = ["conv1", "stage1_block1_conv1", "stage2_block1_conv2"]
REPORT = {
    "recipe": "cifar10_s3",
    "seed": 7,
    "versions": {"keras": "3.15.1"},
    "epsilon": EPSILON,
    "n": 1000,
    "teacher": figures(11_173_962, 555_000_000, 0.842, 0.587, 0.521, 0.535, 0.516),
    "student": figures(113_210, 6_650_000, 0.896, 0.231, 0.112, 0.131, 0.104),
    "student_trades": figures(113_210, 6_650_000, 0.758, 0.472, 0.431, 0.442, 0.428),
    "export": {
        "student_trades.onnx": {
            "sha256": "0123abcd" * 8,
            "bytes": 484_321,
            "max_abs_difference": 3.1e-7,
            "accuracy": {"clean": 0.757, "transfer_fgsm": 0.473, "transfer_pgd20": 0.432},
        }
    },
    "architecture": {
        "space": "S3",
        "widths": [[16, 12, 16], [32, 28, 20], [64, 60, 52]],
        "tutors": [
            {"student_layer": layer, "teacher_layer": TEACHER_LAYERS[i]}
            for layer, i in zip(STUDENT_LAYERS, (0, 2, 1, 2), strict=True)
        ],
    },
    "files": {"student": "student.keras"},
    "settings": {"search": {"epochs": 5, "noise": "gumbel"}},
    "duration": {"search": 3725.0},
}


def with_corruptions(report):
    """Under two corruptions, every model 0.1, 0.2 and so on worse with each severity."""
    report = copy.deepcopy(report)
    for key in ("teacher", "student", "student_trades"):
        clean = report[key]["accuracy"]["clean"]
        shares = {"fog": [clean - 0.1 * k for k in range(5)], "jpeg_compression": [clean] * 5}
        report[key]["corrupted"] = {
            "published": "CIFAR-10-C",
            "scale": 1.0,
            "accuracy": shares,
            "intervals": {k: [[s - 0.02, s + 0.02] for s in own] for k, own in shares.items()},
            "mean": clean - 0.1,
            "mean_interval": [clean - 0.12, clean - 0.08],
            "error": 1.1 - clean,
            "notes": [],
        }
    return report


def pictures(**changes):
    random = np.random.default_rng(0)
    maps = random.random((2, 4, 8, 8))
    given = {
        "tutor_probabilities": np.array(
            [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4]]
        ),
        "student_layers": STUDENT_LAYERS,
        "teacher_layers": TEACHER_LAYERS,
        "channel_history": {
            "stage1_block1_choice": np.array([[0.5, 0.5], [0.4, 0.6]]),
            "stage2_block1_choice": np.array([[0.3, 0.3, 0.4], [0.1, 0.7, 0.2]]),
        },
        "channel_widths": {"stage1_block1_choice": [16, 12], "stage2_block1_choice": [32, 28, 24]},
        "tutor_entropy": np.log([3.0, 1.5]),
        "gumbel_temperature": np.array([5.0, 0.5]),
        "images": random.random((4, 32, 32, 3)),
        "labels": ["cat", "cat", "ship", "ship"],
        "predictions": ["cat", "dog", "ship", "ship"],
        "attention": [
            {
                "student_layer": "stage1_block1_expand",
                "teacher_layer": "stage2_block1_conv2",
                "student": maps[0],
                "teacher": maps[1],
            }
        ],
    }
    return ReportPictures(**{**given, **changes})


class Page(HTMLParser):
    """The tags, links, images and visible text of a page; notes tags left open."""

    def __init__(self, html):
        super().__init__()
        self.open, self.images, self.links, self.cells, self.text = [], [], [], [], ""
        self.tags = set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if tag == "img":
            self.images.append(attributes)
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
            if "td" in self.open or "th" in self.open:
                self.cells[-1][-1] += data

    def row(self, title):
        """The numbers first written in each cell of the row that begins with `title`."""
        (cells,) = [row for row in self.cells if row and row[0].strip().startswith(title)]
        return [re.match(r"\s*([\d.,]+|–)", cell)[1] for cell in cells[1:]]


def page_of(tmp_path, report=REPORT, **changes):
    path = write_report(tmp_path, report, pictures(**changes))
    return Page(path.read_text())


def with_int8(report):
    """A report with the files of two students, as a run leaves it."""
    report = copy.deepcopy(report)
    for size, name in enumerate(("teacher", "student", "student_trades"), start=1):
        report[name]["bytes"] = size * 1_500_400
    latency = {"one_thread": 0.0522, "all_threads": 0.0341}
    report["teacher_onnx"] = {"bytes": 44_700_000, "latency_ms": dict.fromkeys(latency, 12.345)}
    for student in ("student", "student_trades"):
        file = {**REPORT["export"]["student_trades.onnx"], "latency_ms": latency}
        report["export"][f"{student}.onnx"] = file
        accuracy = {**file["accuracy"], "fgsm": 0.469, "pgd20": 0.421, "worst": 0.42}
        report["export"][f"{student}_int8.onnx"] = {
            **file,
            "bytes": 161_007,
            "accuracy": accuracy,
            "check": {"passed": True, "verdict": "No sign of it.", "findings": []},
        }
    return report


def with_litert(report):
    """The same, with the first student's LiteRT files, of which one thread is timed."""
    report = with_int8(report)
    for form, size, memory in (("", 480_100, 200_400), ("_int8", 150_100, 50_100)):
        report["export"][f"student{form}.tflite"] = {
            **report["export"][f"student{form}.onnx"],
            "bytes": size,
            "latency_ms": {"one_thread": 0.0123},
            "operators": {"CONV_2D": 9, "ADD": 2},
            "activation_bytes": memory,
        }
    return report


def with_classes(report):
    """The same, with what is known by class of the last of two students; the second class falls."""
    report = copy.deepcopy(report) | {"data": DATA, "date": "2026-11-27T10:00:00+00:00"}
    report["settings"] = load_recipe("cifar10_s3_quick").model_dump(mode="json")
    per_class = {"clean": [0.9, 0.6], "pgd20": [0.8, 0.1], "worst": [0.8, 0.1]}
    confusion = {"clean": [[9, 1], [4, 6]], "pgd20": [[8, 2], [9, 1]]}
    report["student_trades"] |= {
        "accuracy": {"clean": 0.75, "pgd20": 0.45, "worst": 0.45},
        "per_class": per_class,
        "class_counts": [10, 10],
        "confusion": confusion,
    }
    return report


def fooled_images():
    """Two images of a class that were taken for the other, as `evaluation.Examples` holds them."""
    images = np.random.default_rng(1).random((2, 8, 8, 1))
    return SimpleNamespace(
        rows=np.array([3, 5]),
        images=images,
        labels=np.array([1, 1]),
        attacked=np.clip(images + 0.1, 0, 1),
        answers=np.array([0, 0]),
    )
