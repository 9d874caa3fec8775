"""A file is hashed once, and anew as soon as it is another."""

import hashlib
import os
import time

import pytest

from rnascl_keras.files import hashes
from rnascl_keras.files.hashes import content_hash


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture
def reads(monkeypatch):
    """The files that are read to be hashed; each counts as settled at once."""
    found, digest = [], hashlib.file_digest
    monkeypatch.setattr(hashes, "SETTLED", -(10**12))

    def noted(file, *args):
        found.append(file.name)
        return digest(file, *args)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    return found


def plain(path, start=0):
    return hashlib.sha256(path.read_bytes()[start:]).hexdigest()


@pytest.mark.parametrize("start", [0, 3, 10, 20])
def test_it_is_the_hash_of_the_rest(path, start):
    assert content_hash(path, start) == plain(path, start)


def test_a_file_is_read_once_for_each_beginning(path, reads):
    for _ in range(3):
        assert content_hash(path) == plain(path)
        assert content_hash(path, 4) == plain(path, 4)
    assert len(reads) == 2


def overwrite(path):
    path.write_bytes(b"9876543210")


def overwrite_and_set_the_time_back(path):
    before = path.stat()
    overwrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    before, other = path.stat(), path.with_name("other")
    overwrite(other)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [overwrite, overwrite_and_set_the_time_back, replace])
def test_a_change_of_the_same_length_is_noticed(path, reads, change):
    content_hash(path)
    time.sleep(0.05)  # longer than a step of the file system's clock
    change(path)
    assert content_hash(path) == plain(path)
    assert len(reads) == 2


@pytest.mark.parametrize("age", [0, 1.9, 3600])
def test_a_file_is_remembered_when_the_clock_has_gone_on(path, monkeypatch, age):
    """On a file system whose clock stands still: a change just after another does not show."""
    state = (1, 1, 10, 0, time.time_ns() - int(age * 1e9))
    monkeypatch.setattr(hashes, "_state", lambda descriptor: state)
    first = content_hash(path)
    overwrite(path)
    assert (content_hash(path) == first) == (age > 2)
