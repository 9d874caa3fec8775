"""The figures of a pruned model as another version may leave them: shown rightly, or refused."""

import contextlib
import io

from other_versions import taken

from rnascl_keras.files.whole import read_json
from rnascl_keras.pruning.figures import PRUNED, print_figures
from rnascl_keras.run.origin import Origin

SPEED = {"one_thread": 0.1, "all_threads": 0.2}
FILE = {"bytes": 5000, "sha256": "d", "agreement": 1.0, "zeros": 0.5, "latency_ms": SPEED}
FIGURES = {
    "model": "student",
    **Origin("a1", {"prune": {"keep": 0.5}}, {"student.keras": "b2"}).as_dict(),
    "parameters": 900,
    "weights": 800,
    "kept": 400,
    "macs": 80_000,
    "macs_kept": 40_000,
    "files": {"student_hydra.onnx": FILE, "student_hydra_int8.onnx": FILE},
    "n": 4,
    "epsilon": 0.1,
    "accuracy": {"clean": 0.75, "pgd20": 0.25},
    "intervals": {"clean": [0.1, 0.9], "pgd20": [0.1, 0.9]},
    "near_chance": None,
}


def shown(figures):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        print_figures(figures)
    return said.getvalue()


def test_the_figures_of_a_pruned_model(tmp_path):
    expected = shown(FIGURES)
    changes = taken(tmp_path / "student.json", FIGURES, lambda path: read_json(path, PRUNED))
    for place, found in changes:
        # what is by name, files and attacks, is shown as far as it is there
        assert len(place) == 2 or shown(found) == expected, place
        assert shown(found)
