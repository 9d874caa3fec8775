"""A user's mistake is one line and exit code 2; nothing is written."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from files_of_images import file_of_images

layers = keras.layers


def classifier(path, shape=(8, 8, 1), outputs=10, convolution=True):
    images = keras.Input(shape)
    x = layers.Conv2D(4, 3)(images) if convolution else images
    keras.Model(images, layers.Dense(outputs)(layers.Flatten()(x))).save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("run digit", "Did you mean 'digits'?"),
        ("run none.py", "there is no recipe file none.py"),
        ("run digits --set serach.epochs=5", "Did you mean 'search.epochs'?"),
        ("run digits --set search.epochs=many", "search.epochs: Input should be a valid integer"),
        ("run digits --set evaluation.epsilon=0", "evaluation.epsilon"),
        ("run digits --set search.batch_size=1", "search.batch_size"),
        ("run digits --set search.batch_size=5000", "search.batch_size is 5000"),
        ("run digits --set data.source=no_such_set", "no data set 'no_such_set'"),
        ("run digits --set data.source=none.npz", "none.npz cannot be read"),
        ("run digits --set data.source=/none/here", "/none/here is no folder of images"),
        ("run digits --set data.source=photos/", "photos/ is no folder of images"),
        ("run digits --set data.validation=5000", "5000 images cannot be split off"),
        ("run digits --set data.augmentation=shfit", "Did you mean 'shift'?"),
        ("run digits --set teacher.architecture=digits_cn", "Did you mean 'digits_cnn'?"),
        ("run digits --set teacher.weights=none.keras", "there is no file none.keras"),
        (
            "run cifar10_s3_wrt34 --set data.source=digits --set teacher.weights=null",
            "--set teacher.weights=FILE.keras",
        ),
        ("run digits --unknown 1", "No such option: --unknown; see `rnascl run --help`"),
        ("run", "Missing argument 'RECIPE'"),
        ("rum digits", "No such command 'rum'"),
        ("evaluate M.ONNX --data digits", "type `rnascl attack M.ONNX`"),
        ("attack m.hdf5 --data digits", "attack takes an .onnx or .tflite file"),
        ("prune m.onnx --data digits", "prune takes a RECIPE or a MODEL.keras; got m.onnx"),
        ("prune m.h5 --data digits", "prune takes a .keras file; got m.h5. Make one of it"),
        ("prune cifar10_s3", "prune cifar10_s3 needs --data"),
        ("evaluate m.keras", "needs --data"),
        ("evaluate m.keras --data digits", "there is no model file m.keras"),
        ("evaluate m.keras --data digits --eps 0", "--eps must be a number in (0, 1]"),
        ("evaluate m.keras --data digits --eps 2", "--eps must be a number in (0, 1]"),
        ("evaluate m.keras --data digits --n 0", "'--n'"),
        ("evaluate m.keras --data digits --sweep 0.1,2", "--sweep must be a number in (0, 1]"),
        ("evaluate m.keras --data digits --norm Lnf", "Did you mean 'Linf'?"),
        ("evaluate m.keras --data digits --norm L2 --eps=-1", "--eps must be a number above 0"),
        ("evaluate m.keras --data digits --norm L1 --eps 0", "--eps must be a number above 0"),
        ("attack m.onnx --data digits --norm L0 --eps 0.5", "a whole one such as 10; got '0.5'"),
        (
            "attack m.onnx --data digits --norm L0 --eps 5",
            "FGSM attacks within Linf or L2 or L1; got L0",
        ),
        (
            "attack m.onnx --data digits --attacks sparse_rs",
            "attacks within L0; got Linf",
        ),
        (
            "attack m.onnx --data digits --norm L0 --eps 5 --sweep 0.5",
            "--sweep must be a number of",
        ),
        ("evaluate m.keras --data digits --plot p.svg", "--plot draws the accuracy"),
        ("evaluate m.keras --data digits --sweep 0.1 --plot p.pdf", "a name in .svg or .png"),
        ("evaluate m.onnx --data digits", "type `rnascl attack m.onnx`"),
        ("evaluate m.tflite --data digits", "type `rnascl attack m.tflite`"),
        ("attack m.keras --data digits", "type `rnascl evaluate m.keras`"),
        ("attack m.onnx --data digits --std 1/0", "or 125/255; got '1/0'"),
        ("evaluate m.keras --data digits --attacks fgms", "Did you mean 'fgsm'?"),
        ("evaluate m.keras --data digits --set seed=1", "--set is for a recipe's run"),
        ("evaluate digits --n 10", "--n is for a MODEL.keras"),
        ("evaluate cifar10_s33 --data digits", "Did you mean 'cifar10_s3'?"),
        ("evaluate . --data digits", ". is a folder; expected a .keras or .py file"),
        ("attack cifar10_s33 --data digits", "Did you mean 'cifar10_s3'?"),
        ("attack .. --data digits", ".. is a folder; expected an .onnx or .tflite file"),
        ("attack w.pt --data digits", "takes an .onnx or .tflite file, and evaluate a .keras"),
        ("attack x.py --data digits", "takes an .onnx or .tflite file"),
        ("run digits --set foo.bar=1", "that `rnascl settings` shows"),
        ("run digits --set evaluation.attacks=fgsm,pdg", "Did you mean 'pgd'?"),
    ],
)
def test_wrong_arguments(refused, arguments, says):
    assert says in refused(*arguments.split())


def test_empty_files_and_folders_named_as_models(refused, tmp_path):
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "folder.keras").mkdir()
    assert "empty.onnx is empty" in refused("attack", tmp_path / "empty.onnx", "--data", "digits")
    line = refused("evaluate", tmp_path / "folder.keras", "--data", "digits")
    assert "folder.keras is a folder" in line


def test_a_work_folder_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused("run", "digits", "--workdir", tmp_path / "file" / "work")
    assert "cannot be written to (Not a directory)" in line


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"outputs": 7}, "the teacher tells 7 classes apart, the data has 10"),
        ({"shape": (16, 16, 1)}, "the teacher takes images of shape (None, 16, 16, 1)"),
        ({"outputs": 10, "convolution": False}, "convolution"),
    ],
)
def test_a_teacher_that_does_not_fit(refused, tiny, work, tmp_path, facts, says):
    given = classifier(tmp_path / "given.keras", **facts)
    options = ["--workdir", work, "--set", f"teacher.weights={given}", "--overwrite"]
    assert says in refused("run", tiny, *options)


def test_a_teacher_that_is_no_classifier(refused, tiny, work, tmp_path):
    images = keras.Input((8, 8, 1))
    keras.Model(images, layers.Conv2D(10, 3)(images)).save(tmp_path / "given.keras")
    options = ["--workdir", work, "--set", f"teacher.weights={tmp_path / 'given.keras'}"]
    options += ["--overwrite"]  # of the teacher that is there
    assert "a classifier" in refused("run", tiny, *options)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"factor": 2.0}, "[0, 1]"),
        ({"factor": -1.0}, "[0, 1]"),
        ({"factor": np.nan}, "NaN or infinite pixels in 40 of 40"),
        ({"labels": np.full(40, -1)}, "y holds -1; expected classes numbered from 0"),
        ({"labels": np.full(40, 10)}, "labels range from 10 to 10"),
        ({"labels": 1 + np.arange(40) % 10}, "numbered from 1 on: subtract 1"),
        ({"labels": np.zeros(39, int)}, "40 images in x and 39 labels"),
        ({"labels": np.full(40, 0.5)}, "expected an integer class"),
    ],
)
def test_images_and_labels_that_do_not_fit(refused, whole_run, tmp_path, data, says):
    path = file_of_images(tmp_path / "d.npz", **data)
    model = whole_run.folder / "student.keras"
    out = tmp_path / "out.json"
    assert says in refused("evaluate", model, "--data", path, "--json", out)
    assert not out.exists()


def test_models_that_cannot_be_evaluated(refused, whole_run, tmp_path):
    data = file_of_images(tmp_path / "d.npz")
    (tmp_path / "bad.keras").write_bytes(b"not a model")
    line = refused("evaluate", tmp_path / "bad.keras", "--data", data)
    assert "cannot be loaded as a Keras model" in line
    large = classifier(tmp_path / "large.keras", shape=(9, 9, 1))
    assert "8 x 8 x 1, but 9 x 9 x 1 is wanted" in refused("evaluate", large, "--data", data)
    assert "keras.models.load_model('m.h5').save('m.keras')" in refused("evaluate", "m.h5")
    assert "ends in .keras; got M.KERAS: rename it" in refused("evaluate", "M.KERAS")
    vector = keras.Input((64,))
    keras.Model(vector, layers.Dense(10)(vector)).save(tmp_path / "flat.keras")
    assert "expected one of images" in refused("evaluate", tmp_path / "flat.keras", "--data", data)
    line = refused("evaluate", large, "--data", data, "--json", data / "out.json")
    assert "out.json cannot be written" in line
