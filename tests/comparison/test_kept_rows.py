"""Rows of comparisons as another version may leave them: used rightly, or refused in one line."""

import contextlib
import io
import json
from types import SimpleNamespace

import pytest
from other_versions import changed, taken, without

from rnascl_keras.comparison import command, network_rows, networks
from rnascl_keras.comparison.differences import differences
from rnascl_keras.comparison.kept_rows import NETWORK, NETWORKS, STRONG_NETWORK
from rnascl_keras.comparison.methods import METHODS
from rnascl_keras.comparison.plot import picture
from rnascl_keras.comparison.rows import Measures, _Row
from rnascl_keras.console import PlainConsole
from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import read_json
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.origin import Origin

ORIGIN = Origin("a1", {"train": {"epochs": 2}}, {"architecture.json": "b2"})
INTERVAL = [0.1, 0.9]
ROW = {
    "method": "cross_entropy",
    "name": "Cross-entropy",
    "adversarial": False,
    "seed": 0,
    **ORIGIN.as_dict(),
    "parameters": 900,
    "macs": 80_000,
    "widths": [[4, 2], [6, 2]],
    "epochs": 2,
    "seconds": 1.5,
    "n": 4,
    "accuracy": 0.75,
    "interval": INTERVAL,
    "pgd20": {"epsilon": [0.05, 0.1], "accuracy": [0.5, 0.25], "intervals": [INTERVAL] * 2},
    "right": {"clean": "1110", "pgd20": ["1100", "1000"], "auto_attack": "1000"},
    "auto_attack": {"n": 4, "epsilon": 0.1, "accuracy": 0.25, "interval": INTERVAL},
    "hardware": "2 cores",
    "evaluation_seconds": 0.5,
}
OTHER = ROW | {"method": "searched", "name": "RNAS-CL"}


def a_row(folder, auto_attack=4):
    """The row of a method whose student is there, made from `ORIGIN`."""
    run = SimpleNamespace(path=lambda name: folder / name, say=lambda line: None)
    measures = Measures((0.05, 0.1), auto_attack)
    row = _Row(run, "cross_entropy", METHODS["cross_entropy"], None, 0, measures)
    row._origin = lambda: ORIGIN
    (folder / "compare").mkdir(exist_ok=True)
    row.student.touch()
    return row


def shown(*rows):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        command._print("tiny", list(rows), differences(rows))
    return said.getvalue(), picture("digits", rows)


def test_a_row_of_a_comparison(tmp_path, monkeypatch):
    monkeypatch.setattr("rnascl_keras.comparison.rows.check_nothing_is_lost", refuse)
    row, expected = a_row(tmp_path), shown(OTHER, ROW)
    places = [
        place
        for place, found in taken(row.figures, ROW, lambda _: row.made())
        if shown(OTHER, found) == expected
    ]
    assert ("pgd20", "intervals") not in places and ("hardware",) in places


def refuse(run, key, origin, made, noted):
    """Stand for a training that would begin: what there is would be lost."""
    raise UserError(f"{made} has another signature")


def test_a_row_without_what_is_asked_for_now(tmp_path):
    for place in (("auto_attack",), ("right", "auto_attack")):
        strong, weak = a_row(tmp_path), a_row(tmp_path, auto_attack=0)
        strong.figures.write_text(json.dumps(changed(ROW, place, without)))
        with pytest.raises(UserError, match="auto_attack is missing"):
            strong.made()
        assert weak.made()["accuracy"] == 0.75


SIDE = {"bytes": 5000, "latency_ms": 0.1}
SHARES = {"accuracy": {"clean": 0.75, "pgd20": 0.25}}
SHARES |= {"intervals": {"clean": INTERVAL, "pgd20": INTERVAL}}
SIZES = {"parameters": 900, "macs": 80_000, "kept": 400, "weights": 800}
OF_NETWORK = {
    "network": "net[v1]",
    "epochs": 2,
    "compute": 1e6,
    **SIZES,
    **SHARES,
    "n": 4,
    "epsilon": 0.1,
    "onnx": SIDE,
    "int8": SIDE,
    "auto_attack_n": 4,
    "sha256": "c3",
    "hardware": "2 cores",
    "auto_attack": {"n": 4, "accuracy": 0.25, "interval": INTERVAL},
    "seconds": 2.0,
}


def test_a_row_of_networks(tmp_path):
    def read(path):
        return read_json(path, STRONG_NETWORK)

    for _, found in taken(tmp_path / "network.json", OF_NETWORK, read):
        said = io.StringIO()
        PlainConsole(file=said).print(networks._table("digits[v1]", [found]))
        assert "digits[v1], first" in said.getvalue() and "net[v1]" in said.getvalue()
        networks.networks_picture("digits", [found])
    weak = changed(OF_NETWORK, ("auto_attack",), without)
    NETWORK.check(tmp_path / "network.json", weak)


def test_all_rows_of_networks(tmp_path, rnascl):
    path = tmp_path / "networks.json"
    path.write_text(json.dumps({"rows": [OF_NETWORK]}))
    found = rnascl("rivals", "--measured", path)
    content = {"recipe": "r", "rows": [OF_NETWORK]}
    for place, _ in taken(path, content, lambda p: read_json(p, NETWORKS)):
        assert rnascl("rivals", "--measured", path).out == found.out, place


def test_what_a_network_s_pruning_leaves(tmp_path, monkeypatch):
    spec = network_rows.NetworkSpec.read("digits_cnn+hydra=0.5")
    plan = network_rows.Plan(spec, macs=10, images=100, epochs=2)
    settings = SimpleNamespace(title=lambda: "hydra_0.5")
    monkeypatch.setattr(network_rows.NetworkSpec, "pruning", lambda *_, **__: settings)
    monkeypatch.setattr(network_rows, "prune_run", lambda *_: json.loads(path.read_text()))
    run = SimpleNamespace(recipe=load_recipe("digits"), path=lambda file: tmp_path / file)
    path = tmp_path / "prune/teacher_hydra_0.5.json"
    path.parent.mkdir()
    file = {"bytes": 5000, "zeros": 0.5, "latency_ms": {"one_thread": 0.1}}
    files = {"teacher_hydra_0.5.onnx": file, "teacher_hydra_0.5_int8.onnx": file}
    whole = {"n": 4, "epsilon": 0.1, **SIZES, **SHARES, "files": files}
    path.write_text(json.dumps(whole))
    assert network_rows._pruned(run, plan)[1]()["int8"] == {"bytes": 5000, "latency_ms": 0.1}
    for gone, told in (
        (("accuracy", "pgd20"), "accuracy.pgd20"),
        (("files", list(files)[1]), "int8"),
    ):
        path.write_text(json.dumps(changed(whole, gone, without)))
        with pytest.raises(UserError, match=f"{told} is missing"):
            network_rows._pruned(run, plan)
