"""Files of torch.save: what PyTorch writes comes back, what would run code does not run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.teachers.published.torch_file import MAGIC, PROTOCOL, read_torch_file
from rnascl_keras.teachers.published.torch_pickle import load_pickle

FORMATS = ("zip", "legacy")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, which writes the files, is not installed")


def tensors(torch):
    """Tensors of every type and layout; each value is exact in float32."""
    whole = torch.arange(24.0).reshape(2, 3, 4)
    kinds = (
        torch.float64, torch.float32, torch.float16, torch.bfloat16,
        torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
    )  # fmt: skip
    return {
        **{str(kind): torch.tensor([[0, 1], [3, 100]]).to(kind) for kind in kinds},
        "whole": whole,
        "transposed": whole.permute(2, 0, 1),
        "slice": whole[1, ::2, 1:],
        "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "expanded": torch.tensor([2.5]).expand(3),
        "scalar": torch.tensor(7.5),
        "empty": torch.zeros(0, 3),
        "negative": torch.tensor([-1.5, 3.0], dtype=torch.bfloat16),
        "parameter": torch.nn.Parameter(torch.tensor([1.0, 2.0])),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=FORMATS)
def test_tensors_of_every_type_and_layout_come_back(torch, tmp_path, zipped):
    state = tensors(torch)
    torch.save(state, tmp_path / "state.pt", _use_new_zipfile_serialization=zipped)
    found = read_torch_file(tmp_path / "state.pt")
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        expected = tensor.detach().float().numpy()
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], expected, err_msg=name, strict=True)


@pytest.mark.parametrize("zipped", [True, False], ids=FORMATS)
def test_a_file_cut_anywhere_is_told(torch, tmp_path, zipped):
    path = tmp_path / "cut.pt"
    torch.save({"a": torch.rand(50)}, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 37):
        path.write_bytes(content[:length])
        refusal(path)


@pytest.mark.parametrize("zipped", [True, False], ids=FORMATS)
def test_a_damaged_file_is_read_or_told(torch, tmp_path, zipped):
    path = tmp_path / "damaged.pt"
    torch.save({"a": torch.rand(2, 3)}, path, _use_new_zipfile_serialization=zipped)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    told = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_torch_file(path)
        except UserError as error:
            assert "\n" not in str(error)
            told += 1
    assert told > 30


# A pickle written by hand, so that it can say what no honest program would.


@dataclass
class Name:
    module: str
    name: str


@dataclass
class Call:
    function: Any
    arguments: tuple
    state: Any = None


@dataclass
class Lies:
    """A storage, by its persistent id."""

    description: tuple


def assembled(x) -> bytes:
    match x:
        case Name():
            return f"c{x.module}\n{x.name}\n".encode()
        case Call():
            state = b"" if x.state is None else assembled(x.state) + b"b"
            return assembled(x.function) + assembled(x.arguments) + b"R" + state
        case Lies():
            return assembled(x.description) + b"Q"
        case str():
            return b"X" + len(x).to_bytes(4, "little") + x.encode()
        case int():
            return f"I{x}\n".encode()
        case tuple():
            return b"(" + b"".join(map(assembled, x)) + b"t"
        case dict():
            pairs = b"".join(assembled(k) + assembled(v) for k, v in x.items())
            return b"}(" + pairs + b"u"
        case None:
            return b"N"


def pickled(x) -> bytes:
    return b"\x80\x02" + assembled(x) + b"."


def storage(kind="FloatStorage", key="0", length=6, mark="storage"):
    return Lies((mark, Name("torch", kind), key, "cpu", length))


def tensor(lies=None, offset=0, size=(2, 3), stride=(3, 1)):
    rebuild = Name("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, (lies or storage(), offset, size, stride, 0, None))


NUMBERS = np.arange(6, dtype="<f4")
CONTENT = NUMBERS.tobytes()


def write_zip(path, content: bytes, numbers=CONTENT, **members):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", numbers)
        for name, value in members.items():
            archive.writestr(f"archive/{name}", value)
    return path


def write_legacy(path, content: bytes, numbers=CONTENT, little=True):
    head = [MAGIC, PROTOCOL, {"little_endian": little}]
    start = b"".join(pickle.dumps(x, 2) for x in head) + content + pickle.dumps(["0"], 2)
    path.write_bytes(start + (6).to_bytes(8, "little") + numbers)
    return path


WRITE = {"zip": write_zip, "legacy": write_legacy}


def refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        read_torch_file(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_written_by_hand_is_read(tmp_path, kind):
    path = WRITE[kind](tmp_path / "weights.pth", pickled({"w": tensor(), "epoch": 3}))
    found = read_torch_file(path)
    assert list(found) == ["w"]
    np.testing.assert_array_equal(found["w"], NUMBERS.reshape(2, 3))


COMMAND = "touch ran"
HOSTILE = {
    "posix.system": Call(Name("posix", "system"), (COMMAND,)),
    "os.system": Call(Name("os", "system"), (COMMAND,)),
    "builtins.eval": Call(Name("builtins", "eval"), (f"__import__('os').system('{COMMAND}')",)),
    "builtins.getattr": Call(Name("builtins", "getattr"), ("", "format")),
    "torch._utils.os.system": Call(Name("torch._utils", "os.system"), (COMMAND,)),
    "torch.load": Call(Name("torch", "load"), ("weights.pth",)),
    "torch.storage._load_from_bytes": Call(Name("torch.storage", "_load_from_bytes"), ("",)),
    "collections.Counter": Call(Name("collections", "Counter"), ()),
    "numpy_.f": Call(Name("numpy_", "f"), ()),
    "__main__.Net": Call(Name("__main__", "Net"), (), {"a": 1}),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_run_code_is_refused_by_name(tmp_path, monkeypatch, kind, name):
    monkeypatch.chdir(tmp_path)
    content = pickled({"w": tensor(), "rest": HOSTILE[name]})
    told = refusal(WRITE[kind](tmp_path / "weights.pth", content))
    assert f"{name!r}" in told and "torch.save(model.state_dict()" in told
    assert os.listdir(tmp_path) == ["weights.pth"]


def test_a_bare_pickle_is_refused_before_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(pickled(HOSTILE["posix.system"]))
    assert "'posix.system'" in refusal(tmp_path / "weights.pth")
    assert os.listdir(tmp_path) == ["weights.pth"]


def test_objects_beside_the_weights_are_left_out_and_their_code_is_not_run(tmp_path, monkeypatch):
    """Also where a package of that name is installed and would answer."""
    ran = []
    module = types.ModuleType("dill")
    module._dill = types.ModuleType("dill._dill")
    module._dill._create_function = lambda *arguments: ran.append(arguments)
    monkeypatch.setitem(sys.modules, "dill", module)
    monkeypatch.setitem(sys.modules, "dill._dill", module._dill)
    function = Call(Name("dill._dill", "_create_function"), ("code",), {"x": 1})
    rest = {
        "schedule": Call(function, (3,)),
        "args": Call(Name("argparse", "Namespace"), (), {"lr": 1}),
        "parameters": Call(Name("cox.utils", "Parameters"), ({"lr": 1},)),
        "figure": Call(Name("numpy.core.multiarray", "scalar"), (Name("numpy", "dtype"), "x")),
    }
    state = Call(Name("collections", "OrderedDict"), ((),), {"_metadata": 1})
    content = pickled({"model": {"w": tensor()}, "state": state, **rest})
    found = read_torch_file(write_zip(tmp_path / "weights.pth", content))
    assert list(found) == ["w"]
    assert ran == []


BEYOND = {
    "offset": tensor(offset=1),
    "stride": tensor(stride=(4, 1)),
    "size": tensor(size=(3, 3)),
    "negative stride": tensor(stride=(3, -1)),
    "negative offset": tensor(offset=-1),
    "negative size": tensor(size=(2, -3)),
    "rank": tensor(stride=(1,)),
    "huge by repetition": tensor(size=(1 << 40, 1 << 40), stride=(0, 0)),
    "storage": tensor(storage(length=7)),
    "no integer": tensor(size=(2, "3")),
    "no storage": tensor(lies="archive/data/0"),
    "unknown type": tensor(storage(kind="OrderedDict")),
    "unknown key": tensor(storage(key="../0")),
    "unknown mark": tensor(storage(mark="module")),
    "no tuple": tensor(Lies("storage")),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("what", BEYOND)
def test_tensors_that_claim_more_than_there_is_are_told(tmp_path, kind, what):
    refusal(WRITE[kind](tmp_path / "weights.pth", pickled({"w": BEYOND[what]})))


PROGRAMS = {
    "a memo of 2 ** 31": b"\x80\x02}r\xff\xff\xff\x7f.",
    "an array of 2 ** 40 bytes": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",
    "a string of 2 ** 60": b"\x80\x04\x8d" + (1 << 60).to_bytes(8, "little") + b".",
    "an empty stack": b"\x80\x02.",
    "no end": b"\x80\x02}",
    "no opcode": b"\x80\x02\xff.",
    "protocol 200": b"\x80\xc8}.",
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("what", PROGRAMS)
def test_spoiled_pickles_are_told(tmp_path, kind, what):
    refusal(WRITE[kind](tmp_path / "weights.pth", PROGRAMS[what]))


def test_a_pickle_cannot_change_the_reader(tmp_path):
    """State set on what stands for a function does not change what it does."""
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        spoil = Call(Call(Name("torch._utils", name), ()), ())
        refusal(write_zip(tmp_path / "weights.pth", pickled({"a": spoil})))
        state = assembled((None, {"__defaults__": (1,), "__code__": 1}))
        content = b"\x80\x02" + assembled(Name("torch._utils", name)) + state + b"b."
        refusal(write_zip(tmp_path / "weights.pth", content))
    test_a_file_written_by_hand_is_read(tmp_path, "zip")


def test_other_files_are_told(tmp_path):
    path = tmp_path / "weights.pth"
    honest = pickled({"w": tensor()})
    assert "compressed" in refusal(compressed(path, honest))
    assert "big-endian" in refusal(write_zip(path, honest, byteorder="big"))
    assert "big-endian" in refusal(write_legacy(path, honest, little=False))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    refusal(path)
    for content in (b"", b"\x89PNG\r\n", b"PK", pickle.dumps([1, 2])):
        path.write_bytes(content)
        refusal(path)
    told = refusal(write_zip(path, pickled({"epoch": 3, "lr": 1})))
    assert "no state_dict" in told and "it holds epoch, lr." in told
    assert "it holds int" in refusal(write_zip(path, pickled(3)))


def test_parts_that_lie_in_each_other_are_told(tmp_path):
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled({"w": tensor()}))
        archive.writestr("archive/data/0", bytes(10_000))
        archive.filelist.append(archive.getinfo("archive/data/0"))
    assert "its parts lie in each other" in refusal(path)


def compressed(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", content)
    return path


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def zipped(path, body, storage=bytes(48)):
    """A file of the zip format whose pickle is `body`."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + body + b".")
        file.writestr("archive/data/0", storage)
    return path


DEEP = b"N" + b"\x85" * 200_000
"""A tuple in a tuple, 200,000 times: to hash it ends the process."""
TWICE = b"K\x01K\x02\x86q\x01" + b"0h\x01h\x01\x86q\x01" * 60
"""t = (t, t), sixty times: to hash it never ends."""
ORDERED = b"ccollections\nOrderedDict\n"


@pytest.mark.parametrize("key", [DEEP, TWICE], ids=["deep", "twice"])
@pytest.mark.parametrize(
    "around",
    [
        lambda key: b"}" + key + b"Ns",
        lambda key: b"}(" + key + b"Nu",
        lambda key: b"(" + key + b"Nd",
        lambda key: ORDERED + b"]" + key + b"N\x86a\x85R",
        lambda key: ORDERED + b")R" + key + b"Ns",
    ],
    ids=["item", "items", "dict", "ordered", "ordered item"],
)
def test_keys_that_cannot_be_hashed_are_refused(key, around, tmp_path):
    path = zipped(tmp_path / "bomb.pt", around(key))
    with pytest.raises(UserError, match="a key that is no name or number"):
        read_torch_file(path)


def test_members_of_sets_are_looked_at_too():
    for made in (b"\x8f(" + TWICE + b"\x90", b"(" + TWICE + b"\x91"):
        with pytest.raises(pickle.UnpicklingError, match="a key that is no name"):
            load_pickle(io.BytesIO(b"\x80\x04" + made + b"."))


def test_a_storage_is_read_once_however_many_tensors_lie_in_it(tmp_path, monkeypatch):
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    storage += b"J" + struct.pack("<i", 12) + b"tQ"
    items = b"".join(
        text(f"w{k}")
        + b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + bytes([75, k])  # the offset
        + b"K\x01\x85K\x01\x85\x89}tR"
        for k in range(12)
    )
    numbers = np.arange(12, dtype=np.float32)
    path = zipped(tmp_path / "many.pt", ORDERED + b")R(" + items + b"u", numbers.tobytes())
    reads = []
    read = zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile, "read", lambda self, name: reads.append(name) or read(self, name)
    )
    found = read_torch_file(path)
    assert [found[f"w{k}"].item() for k in range(12)] == numbers.tolist()
    assert reads.count("archive/data/0") == 1
