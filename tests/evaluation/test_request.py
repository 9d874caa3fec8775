"""What is refused of what was asked for, before any model is read."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from test_attack_file import EPSILON, images_file, linear_classifier

from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.request import Request


def test_a_file_given_twice_is_refused(tmp_path):
    path, data = linear_classifier(tmp_path / "a.onnx"), str(images_file(tmp_path / "d.npz"))
    request = Request(data, None, ("fgsm",), EPSILON, 10, 0, check=0)
    again = tmp_path / "." / ".." / tmp_path.name / "a.onnx"
    with pytest.raises(UserError, match=r"a.onnx is given twice"):
        request.check_paths(path, again)


@pytest.mark.parametrize(
    ("data", "files", "told"),
    [
        ("d.npz", {"images_out": "d.npz"}, "d.npz is read too"),
        ("d.npz", {"out": "a.onnx"}, "a.onnx is read too"),
        ("d.npz", {"out": "p.html", "page": "p.html"}, "p.html is asked for twice"),
        ("images", {"plot": "images/cat/1.png"}, "1.png is read too"),
        ("images", {"plot": "images/sweep.png", "out": "images/figures.json"}, None),
    ],
)
def test_what_is_read_is_not_written_over(tmp_path, data, files, told):
    path = linear_classifier(tmp_path / "a.onnx")
    images_file(tmp_path / "d.npz")
    (tmp_path / "images" / "cat").mkdir(parents=True)
    for name in ("cat/1.png", "sweep.png", "figures.json"):
        (tmp_path / "images" / name).write_bytes(b"")
    wanted = {option: tmp_path / name for option, name in files.items()}
    settings = {"radii": (0.1,), "check": 0}
    asked = (None, ("fgsm",), EPSILON, 10, 0)
    request = Request(str(tmp_path / data), *asked, **settings, **wanted)
    with pytest.raises(UserError, match=told) if told else nullcontext():
        request.check_paths(path)
