"""`rnascl new`: what it finds, what it chooses, and that the recipe runs as it is."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import ExifTags, Image

from rnascl_keras.data import ImageData, Splits
from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.drafting import command
from rnascl_keras.drafting.choices import FEW, LARGEST_BATCH, STEPS, STUDENT, draft
from rnascl_keras.drafting.facts import Facts, look_at
from rnascl_keras.drafting.source import TAKES
from rnascl_keras.errors import UserError
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.workdir import Run
from rnascl_keras.section import Settings

RANDOM = np.random.default_rng(5)


def photo(path, height=60, width=80, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width) if mode == "L" else (height, width, 3)
    Image.fromarray(RANDOM.integers(0, 256, shape).astype(np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path):
    """Sixty photographs of two classes, half of one grey, and a file that is none."""
    root = tmp_path / "photos"
    for k in range(40):
        photo(root / "ant" / f"{k}.jpg", height=60 + k)
    for k in range(20):
        photo(root / "bee" / f"{k}.png", mode="L" if k < 12 else "RGB")
    (root / "bee" / "notes.txt").touch()
    return root


@pytest.fixture
def unhurried(monkeypatch):
    """Nothing is timed."""
    monkeypatch.setattr("rnascl_keras.drafting.duration.seconds", lambda recipe, facts: 90.0)


def facts(n, shape=(32, 32, 3), classes=3, test=100):
    """What would be found of an `.npz` of n training images."""

    def split(count):
        labels = np.arange(count) % classes
        return ImageData(
            ArrayPixels(np.zeros((count, *shape), np.uint8)), labels, tuple("abcdefghij"[:classes])
        )

    sides = np.array([shape[:2]])
    return Facts(
        "/x.npz", Splits(split(n), None, split(test)), False, None, sides, float(shape[2] == 1), 0
    )


def test_what_is_found(photos):
    said = []
    found = look_at(str(photos), None, said.append)
    assert (found.train, found.test, found.classes) == (48, 12, 2)
    assert found.held_out == 0.2 and found.source == str(photos)
    assert len(said) == 1 and "1 file left out, no JPEG or PNG: 1 .txt" in said[0]
    counted = dict(zip(("ant", "bee"), np.bincount(found.splits.train.labels), strict=True))
    told = " ".join(found.told())
    assert f"(bee: {counted['bee']}, ant: {counted['ant']})" in told
    assert "80 x 60 to 80 x 9" in told and "part grey" in told
    assert 0 < found.grey < 0.5
    assert found.turned == 0 and "stored turned" not in told


def test_photos_that_exif_turns_are_counted(photos):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for k in range(3):
        Image.new("RGB", (40, 30)).save(photos / "bee" / f"turned{k}.jpg", exif=exif)
    found = look_at(str(photos), None, print)
    assert 0 < found.turned <= 3
    assert "by their EXIF orientation, which is not applied" in " ".join(found.told())


def test_the_recipe_runs_as_it_is_and_says_why(photos, unhurried, tmp_path):
    out, said = tmp_path / "mine.py", []
    command.new_recipe(str(photos), out, None, said.append)
    recipe = load_recipe(str(out))
    assert recipe.name == "mine" and recipe.data.source == str(photos)
    assert recipe.data.image_size == 64
    assert recipe.teacher.start == recipe.train.start == "cifar10_s3"
    data = Run(recipe, tmp_path / "run").data  # checks every stage's batch against the images
    assert data.validation is None and len(data.train) == 48
    assert len(data.test) == recipe.evaluation.n == 12
    text = out.read_text()
    assert text.count("epsilon=4 / 255,") == 3 and recipe.train.epsilon == 4 / 255
    assert "about 1 min 30 s, as estimated" in text
    for key in ("image_size", "held_out", "start", "epochs", "epsilon"):
        assert re.search(rf"^ +# .*\n(?: +# .*\n)* +{key}=", text, re.MULTILINE), key
    spoken = "\n".join(said)
    assert f"rnascl run {out}" in spoken and "about 1 min 30 s" in spoken
    assert "train.epsilon=4/255: " in spoken and "data.validation=0: none is held" in spoken


def test_what_is_there_is_not_overwritten(photos, refused, tmp_path):
    (tmp_path / "mine.py").write_text("precious")
    assert "is there already" in refused("new", photos, "--out", tmp_path / "mine.py")
    assert "takes a .py file" in refused("new", photos, "--out", tmp_path / "mine.txt")


def test_damaged_images_are_named_and_nothing_is_written(photos, tmp_path):
    for name in ("ant/3.jpg", "bee/4.png"):
        (photos / name).write_bytes((photos / name).read_bytes()[:300])
    with pytest.raises(UserError, match=r"2 of 60 images cannot be used.*3\.jpg.*4\.png"):
        command.new_recipe(str(photos), tmp_path / "mine.py", None, print)
    assert not (tmp_path / "mine.py").exists()


def test_too_few_images_and_other_folders_are_refused(photos, tmp_path):
    for path in sorted(photos.rglob("*.jpg"))[:30]:
        path.unlink()
    with pytest.raises(UserError) as error:
        look_at(str(photos), None, print)
    assert (
        "has 2 classes of 30 images; 6 of them are held out to test on, and 24 are left; expected "
        "at least two classes and 40 images to train on, 50 in all."
    ) in str(error.value)


@pytest.mark.parametrize(
    ("made", "given", "says"),
    [
        ([], "nowhere/", "nowhere/ is not there; "),
        (["other.pdf"], "other.pdf", "other.pdf is a file, but no .npz; "),
        (["empty/"], "empty", "empty holds no folder for each class. It holds nothing; "),
        (["empty/"], "./empty", "./empty holds no folder for each class. It holds nothing; "),
        (["of/a/", "of/b/"], "of", "of has no picture in its folders. It holds a, b; "),
        (["flat/1.jpg", "flat/2.JPG"], "flat/", "flat/ holds pictures, but no folder for each"),
    ],
)
def test_a_place_without_labelled_images_is_told_what_new_takes(
    made, given, says, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in made:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.mkdir() if name.endswith("/") else path.touch()
    with pytest.raises(UserError) as error:
        look_at(given, None, print)
    assert str(error.value).startswith(says)
    assert str(error.value).endswith(f"; {TAKES}.")


def test_one_class_is_too_few(tmp_path):
    for k in range(12):
        photo(tmp_path / "one" / "cat" / f"{k}.jpg")
    with pytest.raises(UserError, match=r"1 class of 12 images; 2 of them are held out"):
        look_at(str(tmp_path / "one"), None, print)


def test_only_a_few_classes_are_named():
    told = " ".join(facts(100, classes=7).told())
    assert (
        "7 classes, 100 images to train on (c: 14, d: 14, e: 14, f: 14, g: 14, and 2 larger" in told
    )
    assert "and 1 larger class)" in " ".join(facts(100, classes=6).told())


@pytest.mark.parametrize(
    ("n", "says"),
    [
        (240, "9,600 images in all; none is seen more than 40 times"),
        (1000, "20,000 images in all, close to the 20,000 aimed at"),
        (50_000, "245,000 images in all; none is seen fewer than 5 times"),
    ],
)
def test_the_reason_for_the_epochs_follows_from_them(n, says):
    drafted = draft(facts(n), "x")
    (reason,) = (choice.reason for choice in drafted.choices if choice.key == "train.epochs")
    assert reason == says
    seen = drafted.recipe.train.epochs * (n - drafted.recipe.data.validation)
    assert reason.startswith(f"{seen:,} images")


def test_a_folder_with_splits_and_an_npz(tmp_path):
    for split in ("train", "val"):
        for name in ("a", "b"):
            for k in range(25):
                photo(tmp_path / "split" / split / name / f"{k}.png", 20, 20)
    found = look_at(str(tmp_path / "split"), None, print)
    assert found.held_out is None and (found.train, found.test) == (50, 50)
    assert draft(found, "x").recipe.data.image_size == 32
    np.savez(tmp_path / "d.npz", x=np.zeros((100, 28, 28), np.uint8), y=np.arange(100) % 10)
    found = look_at(str(tmp_path / "d.npz"), None, print)
    assert (found.train, found.test, found.grey) == (80, 20, 1.0)
    recipe = draft(found, "x").recipe
    assert recipe.train.epsilon == 0.1 and recipe.data.image_size is None


@pytest.mark.parametrize("n", [40, 60, 240, 1000, 2500, 50_000])
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 48, 3), (128, 128, 3)])
def test_the_settings_fit_whatever_comes(n, shape):
    drafted = draft(facts(n, shape), "x")
    recipe, data = drafted.recipe, drafted.recipe.data
    trained_on = n - data.validation
    assert 0 <= data.validation <= n / 10 + 1
    few_and_started = recipe.train.start == STUDENT and n < FEW
    assert bool(data.validation) is not few_and_started
    for _, section in recipe.trainings():
        steps = trained_on // section.batch_size
        assert steps >= STEPS or section.batch_size == 2
        assert section.batch_size <= LARGEST_BATCH
    radii = {recipe.train.epsilon, recipe.teacher.epsilon, recipe.evaluation.epsilon}
    assert len(radii) == 1
    assert recipe.evaluation.n <= 100
    assert recipe.train.epochs * trained_on <= 5 * 50_000
    for choice in drafted.choices:
        section, key = choice.key.split(".") if "." in choice.key else ("", choice.key)
        of = getattr(recipe, section) if section else recipe
        assert isinstance(of, Settings) and hasattr(of, key)
        assert choice.reason and not choice.reason.endswith(".")


def test_a_teacher_of_the_package_is_taken_for_its_own_images():
    found = replace(facts(500), source="cifar10")
    assert draft(found, "x").recipe.teacher.weights == "cifar10"


def test_twice_the_work_takes_about_twice_as_long(monkeypatch):
    from rnascl_keras.drafting import duration

    monkeypatch.setattr(duration, "_seconds_of_an_image", lambda model, shape: 1e-3)
    found = facts(240, (8, 8, 1), classes=10)
    recipe = draft(found, "x").recipe
    longer = recipe.model_copy(
        update={"train": recipe.train.model_copy(update={"epochs": 2 * recipe.train.epochs})}
    )
    once, twice = duration.seconds(recipe, found), duration.seconds(longer, found)
    trained_on = 240 - recipe.data.validation
    assert twice - once == pytest.approx(recipe.train.epochs * trained_on * 6e-3)


def test_names_of_folders_harm_nothing(tmp_path, unhurried):
    root = tmp_path / 'my "photos" \\'
    for name in ('a"""', "b\x1b[2J"):
        for k in range(30):
            photo(root / name / f"{k}.png", 50, 50)
    said = []
    command.new_recipe(str(root), tmp_path / "mine.py", None, said.append)
    assert "\n".join(said).replace("\n", "").isprintable()
    recipe = load_recipe(str(tmp_path / "mine.py"))
    assert recipe.data.source == str(root)
    odd = root.with_name(root.name + "\udcff")
    root.rename(odd)
    with pytest.raises(UserError, match="rename it"):
        look_at(str(odd), None, print)


def test_a_folder_of_a_data_sets_name_that_holds_no_classes_is_not_meant(tmp_path, monkeypatch):
    (tmp_path / "digits" / "3.0.2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert look_at("digits", None, print).test == 450
