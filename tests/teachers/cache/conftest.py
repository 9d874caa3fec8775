"""A cache of six shards, for the tests of its files."""

import shutil
from pathlib import Path

import pytest
from cached_teacher import IMAGES_PER_SHARD, ROW, build

from rnascl_keras.teachers.cache import shards


@pytest.fixture
def small_shards(monkeypatch):
    """Sixty images and two views make six shards."""
    monkeypatch.setattr(shards, "SHARD_BYTES", IMAGES_PER_SHARD * ROW * 2 + 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_BYTES", IMAGES_PER_SHARD * ROW * 2 + 1)
        build(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A whole cache, to spoil."""
    return Path(shutil.copytree(made, tmp_path / "cache"))
