from __future__ import annotations

import hashlib
import os
import stat
import threading

import pytest

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.files.whole import (
    atomic_write,
    check_writable,
    parts_of,
    read_json,
    sha256,
    write_json,
    written_beside,
)


def test_content_comes_back_and_folders_are_made(tmp_path):
    path = atomic_write(tmp_path / "a" / "b" / "c.txt", "é\n")
    assert path.read_bytes() == "é\n".encode()
    atomic_write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(path.parent) == ["c.txt"]


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    path = atomic_write(tmp_path / "a.json", "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_files_of_names_like_ours_stay_and_what_a_killed_write_left_goes(tmp_path):
    (tmp_path / "part_a.json").write_text("mine")
    with written_beside(tmp_path / "a.json") as beside:
        beside.write_text("half")
        left = beside.with_name(beside.name.replace(".json", "0.json"))
        os.link(beside, left)
    assert parts_of(tmp_path / "a.json") == [left]
    atomic_write(tmp_path / "a.json", "whole")
    assert sorted(os.listdir(tmp_path)) == ["a.json", "part_a.json"]
    assert (tmp_path / "part_a.json").read_text() == "mine"


def test_what_a_link_leads_to_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.json").write_text("old")
    (tmp_path / "a.json").symlink_to("there/a.json")
    (tmp_path / "b.json").symlink_to("there/b.json")
    for name in ("a.json", "b.json"):
        check_writable(tmp_path / name)
        atomic_write(tmp_path / name, "new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "there" / name).read_text() == "new"
    assert sorted(os.listdir(tmp_path / "there")) == ["a.json", "b.json"]


def test_files_have_the_rights_that_files_here_have(tmp_path):
    path = atomic_write(tmp_path / "a.json", "")
    (tmp_path / "b.json").touch()
    assert path.stat().st_mode == (tmp_path / "b.json").stat().st_mode


def test_a_pipe_gets_the_content_and_stays(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    check_writable(pipe)
    atomic_write(pipe, "content")
    reader.join()
    assert got == ["content"] and os.listdir(tmp_path) == ["pipe"]
    atomic_write("/dev/null", "content")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_file_that_is_open_is_not_written_by_its_number(tmp_path):
    with open(tmp_path / "a.txt", "w") as file:
        for path in (f"/dev/fd/{file.fileno()}", f"/proc/self/fd/{file.fileno()}"):
            with pytest.raises(UserError, match="give that file's own name"):
                check_writable(path)
            with pytest.raises(OSError, match="give that file's own name"):
                atomic_write(path, "")
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("ending", [".json", "." + "x" * 200])
def test_a_name_as_long_as_can_be_is_written_and_a_longer_told_before(tmp_path, ending):
    path = tmp_path / (("a" * 255)[: -len(ending)] + ending)
    check_writable(path)
    atomic_write(path, "content")
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(UserError, match="cannot be written .File name too long"):
        check_writable(path.with_name("a" + path.name))


def test_json_goes_round(tmp_path):
    content = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    path = write_json(tmp_path / "a.json", content)
    assert read_json(path) == content
    assert path.read_text().endswith("}\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": [1, 2', "not complete JSON"),
        ("", "not complete JSON"),
        ("[1, 2]", "holds a list; expected a JSON object"),
        ("[" * 100_000, "not complete JSON"),
    ],
)
def test_damaged_json_is_named_in_one_line(tmp_path, text, says):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_binary_rubbish_and_missing_files_are_user_errors(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="not complete JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match="No such file"):
        read_json(tmp_path / "b.json")
    with pytest.raises(UserError, match="Is a directory"):
        read_json(tmp_path)


def test_sha256_is_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_file_that_cannot_be_written_is_told_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        check_writable(tmp_path / "file" / "out.json")
    with pytest.raises(UserError, match="cannot be written"):
        check_writable(tmp_path)
    check_writable(tmp_path / "new" / "out.json")
    assert not (tmp_path / "new" / "out.json").exists()


def test_a_file_that_is_read_is_not_written_over(tmp_path):
    (tmp_path / "a.onnx").write_text("model")
    (tmp_path / "link.json").symlink_to(tmp_path / "a.onnx")
    read = [tmp_path / "b.npz", tmp_path / "a.onnx"]
    for written in ("a.onnx", "link.json", "b.npz", "new/../a.onnx"):
        with pytest.raises(UserError, match=r"is read too and would be lost; give another name"):
            check_writable(tmp_path / written, read)
    check_writable(tmp_path / "c.json", read)
    assert (tmp_path / "a.onnx").read_text() == "model"


def test_nearest_suggests_only_what_is_near():
    assert nearest("serach", ["search", "train"]) == " Did you mean 'search'?"
    assert nearest("zzz", ["search", "train"]) == ""
