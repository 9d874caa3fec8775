"""What a run tells of its images, batches, teacher and folders."""

import numpy as np
import pytest
from PIL import Image

from rnascl_keras.data import load_data
from rnascl_keras.errors import UserError
from rnascl_keras.recipe import load_recipe
from rnascl_keras.report.words import model_card
from rnascl_keras.run.export_stage import _metadata
from rnascl_keras.run.pipeline import run_stages
from rnascl_keras.run.workdir import Run


@pytest.fixture
def images(tmp_path):
    """A folder of 40 x 60 images, a class in red and one in blue."""
    for split in ("train", "val"):
        for channel, name in ((0, "red"), (2, "blue")):
            place = tmp_path / "images" / split / name
            place.mkdir(parents=True)
            pixels = np.zeros((40, 60, 3), np.uint8)
            pixels[..., channel] = 200
            for k in range(4):
                Image.fromarray(pixels).save(place / f"{k}.png")
    return tmp_path / "images"


def test_the_preparation_of_image_files_is_told(images, tiny, work):
    said = []
    recipe = load_recipe(str(tiny), [f"data.source={images}", "data.image_size=8"])
    recipe = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"limit_train": None})}
    )
    run = Run(recipe, work, listener=said.append)
    with pytest.raises(UserError, match="batch_size is 60, but there are only 8"):
        _ = run.data
    words = load_data(str(images), image_size=8).test.preprocessing
    assert "224/256 of the shorter side" in words and "unless it is 8 x 8" in words
    assert said[-1] == f"data: each image of {images} is {words}"
    run = Run(recipe, work, listener=said.append)
    vars(run)["data"] = load_data(str(images), image_size=8)
    student = run.student("student")
    assert _metadata(run, student)["preprocessing"] == words
    card = model_card(
        {
            "data": {
                "image_shape": [8, 8, 3],
                "classes": ["a", "b"],
                "train": 8,
                "validation": 0,
                "test": 8,
                "preprocessing": words,
            },
            "settings": recipe.model_dump(mode="json"),
            "n": 8,
            "epsilon": 0.1,
        }
    )
    assert words in card["Takes"]


def test_nothing_is_told_of_images_that_come_as_they_are(tiny, work):
    said = []
    run = Run(load_recipe(str(tiny)), work, listener=said.append)
    assert run.data.test.preprocessing == "" and said == []
    assert "preprocessing" not in _metadata(run, run.student("student"))


def test_images_that_fill_no_batch_are_told_with_what_leaves_out_fewer(tiny, tmp_path, rnascl):
    sets = ["teacher.batch_size=128", "teacher.epochs=1", "teacher.method=fast"]
    options = [part for change in sets for part in ("--set", change)]
    result = rnascl("teacher", tiny, "--workdir", tmp_path / "work", *options)
    assert result.code == 0
    assert "1 epoch of 1 batch of 128 images" in result.err
    assert "112 of the 240 images are left out of each epoch" in result.err
    assert "teacher.batch_size=120 leaves out 0" in result.err


def test_the_teacher_of_the_package_is_told_first(tmp_path, monkeypatch):
    def no_data(*args, **kwargs):
        raise UserError("no data.")

    said = []
    monkeypatch.setattr("rnascl_keras.data.load_data", no_data)
    run = Run(load_recipe("cifar10_s3_wrt34"), tmp_path / "work", listener=said.append)
    with pytest.raises(UserError, match="no data"):
        run_stages(run)
    assert said[0].startswith("teacher: cifar10_small, which comes with the package")
    assert "--set teacher.weights=FILE.keras" in said[0]


def test_a_command_that_fails_leaves_no_empty_folders(rnascl, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (
        ("train", tiny),
        ("run", tiny, "--set", "data.source=./no", "--workdir", "a/b"),
    ):
        assert rnascl(*command).code == 2
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    assert rnascl("train", tiny, "--workdir", "mine").code == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


@pytest.mark.parametrize("name", ["a/b", "..", "a\\b", "/etc", "."])
def test_a_recipe_s_name_is_one_of_a_folder(tiny, name):
    with pytest.raises(UserError, match="name: a recipe's name is also that of a folder"):
        load_recipe(str(tiny), [f"name={name}"])
