"""A work folder that somebody spoiled: each file is named in one line, and nothing is written."""

from __future__ import annotations

import keras
import pytest

layers = keras.layers


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("stage", "name", "says"),
    [
        ("train", "architecture.json", "is not complete JSON"),
        ("derive", "search/outcome.json", "is not complete JSON"),
        ("report", "evaluation.json", "is not complete JSON"),
        ("report", "search/choices.csv", "is not a history of choices"),
        ("run", ".stages/train.json", "is not complete JSON"),
        ("search", "teacher.keras", "cannot be loaded"),
        ("finetune", "student.keras", "cannot be loaded as a Keras model"),
        ("evaluate", "export/student.onnx", "export/student.onnx"),
        ("evaluate", "export/parity.json", "is not complete JSON"),
    ],
)
def test_a_truncated_file_is_named(refused, tiny, work, stage, name, says):
    truncate(work / name)
    line = refused(stage, tiny, "--workdir", work)
    assert str(work / name) in line
    assert says in line


@pytest.mark.parametrize(
    ("stage", "name", "says"),
    [
        ("train", "architecture.json", "does not describe an architecture"),
        ("derive", "search/outcome.json", "is not the outcome of a search"),
        ("run", ".stages/train.json", "is not what a stage leaves"),
    ],
)
@pytest.mark.parametrize("content", ['{"space": {}}', '{"geometry": [1], "space": 5, "makes": 1}'])
def test_another_json_file_is_refused(refused, tiny, work, stage, name, content, says):
    (work / name).write_text(content)
    line = refused(stage, tiny, "--workdir", work)
    assert str(work / name) in line
    assert says in line


def test_a_damaged_checkpoint_is_named(refused, tiny, work):
    (work / "search" / "outcome.json").unlink()
    checkpoint = work / ".stages" / "search_checkpoint.npz"
    checkpoint.write_bytes(b"PK\x03\x04 half a file")
    line = refused("search", tiny, "--workdir", work)
    assert f"checkpoint {checkpoint} is damaged" in line
    assert "delete it to start the stage anew" in line


def test_a_truncated_supernet_is_named(refused, tiny, work):
    truncate(work / "search" / "supernet.weights.h5")
    line = refused("train", tiny, "--workdir", work, "--set", "train.start=supernet", "--overwrite")
    assert "search/supernet.weights.h5 cannot be loaded" in line


@pytest.mark.parametrize("stage", ["finetune", "export", "evaluate"])
def test_a_student_of_another_architecture_is_refused(refused, tiny, work, stage):
    images = keras.Input((8, 8, 1))
    logits = layers.Dense(10)(layers.Flatten()(layers.Conv2D(4, 3)(images)))
    keras.Model(images, logits).save(work / "student.keras")
    line = refused(stage, tiny, "--workdir", work)
    assert f"{work / 'student.keras'} is of another architecture" in line
