"""Pickles of PyTorch tensors, read without PyTorch and without running anything in them.

A pickle is a program: it names classes and functions to call. Here only names from the tables below
get an answer, and what they get are this module's own inert stand-ins, so nothing else is ever
called. Any other name ends the reading with `ForeignClass`.
"""

from __future__ import annotations

import mmap
import pickle
import pickletools
from typing import Any, BinaryIO, ClassVar, NamedTuple, cast

import numpy as np

STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # the upper half of a float32
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

PLAIN_KEYS = (bool, bytes, float, int, str)

INERT_PACKAGES = ("argparse", "cox", "dill", "numpy", "robustness")
"""What published checkpoints (Engstrom et al.'s, for one) keep beside the weights: settings,
figures, functions pickled by dill. Their objects become `Inert`, whatever the pickle wants done."""

INERT_NAMES = {
    ("__builtin__", "__main__"),  # dill's name for the module that was run
    ("__builtin__", "set"),
    ("_codecs", "encode"),  # how bytes look in protocol 2
    ("builtins", "set"),
    ("collections", "defaultdict"),
    ("torch", "Size"),
    ("torch", "device"),
}


class ForeignClass(Exception):
    """The pickle names a class or function that is not among the known ones."""


class Storage(NamedTuple):
    """A run of numbers that lies elsewhere in the file."""

    kind: str
    key: str
    length: int


class StoredTensor(NamedTuple):
    """A view of a storage, as PyTorch pickles a tensor; offset and strides count numbers."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self, content: bytes) -> np.ndarray:
        """Return the tensor as a float32 array.

        Args:
            content: the bytes of the storage.

        Raises:
            ValueError: the view reaches beyond the storage, or the storage beyond `content`.
        """
        kind, _, length = self.storage
        numbers = np.frombuffer(content, "<" + STORAGES[kind], count=length)
        integers = (self.offset, *self.size, *self.stride)
        if len(self.size) != len(self.stride) or min(integers) < 0:
            raise ValueError(f"a tensor of size {self.size} has strides {self.stride}")
        steps = [(n - 1) * step for n, step in zip(self.size, self.stride, strict=True)]
        if 0 in self.size:
            return np.zeros(self.size, np.float32)
        if self.offset + sum(steps) >= length:
            raise ValueError(f"a tensor of size {self.size} lies in a storage of {length} numbers")
        strides = [step * numbers.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.size, strides)
        if kind == "BFloat16Storage":
            return (view.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # too large for float32 is told as not finite
            return view.astype(np.float32)


def check_key(key: Any) -> None:
    """Raise UnpicklingError for what is no plain key, or a tuple of these.

    To hash a tuple of tuples Python goes down into each: a deep one ends the process, one that
    holds itself twice, sixty times over, never ends.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not all(part is None or type(part) in PLAIN_KEYS for part in parts):
        raise pickle.UnpicklingError("a dictionary or a set has a key that is no name or number")


class Mapping(dict):
    """In place of `collections.OrderedDict`, without its attributes."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__()
        for key, value in items:
            check_key(key)
            self[key] = value

    def __setstate__(self, state: Any) -> None:
        """Leave out `_metadata`, which a state_dict carries."""


class Inert:
    """In place of an object beside the weights: takes everything, does nothing."""

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        return super().__new__(cls)

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass


# Python's own unpickler is written twice; the one in Python can be told what to look at.
_Unpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class TensorUnpickler(_Unpickler):
    """Unpickles numbers, strings, containers and `StoredTensor`s; `storages` are those met."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Unpickler.dispatch)

    def __init__(self, file: BinaryIO | mmap.mmap) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")
        self.storages: dict[str, Storage] = {}

    def load_setitem(self) -> None:
        """Set an item of a dictionary."""
        check_key(self.stack[-2])
        _Unpickler.load_setitem(self)

    def load_setitems(self) -> None:
        """Set many of them."""
        for key in self.stack[::2]:
            check_key(key)
        _Unpickler.load_setitems(self)

    def load_additems(self) -> None:
        """Add members to a set."""
        for member in self.stack:
            check_key(member)
        _Unpickler.load_additems(self)

    def load_frozenset(self) -> None:
        """Make a frozen set."""
        for member in self.stack:
            check_key(member)
        _Unpickler.load_frozenset(self)

    def load_dict(self) -> None:
        """Make a dictionary."""
        for key in self.stack[::2]:
            check_key(key)
        _Unpickler.load_dict(self)

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.FROZENSET[0]] = load_frozenset
    dispatch[pickle.DICT[0]] = load_dict

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return name
        known = {
            ("collections", "OrderedDict"): Mapping,
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("torch._utils", "_rebuild_parameter"): self.parameter,
        }
        if (module, name) in known:
            return known[module, name]
        if module.split(".")[0] in INERT_PACKAGES or (module, name) in INERT_NAMES:
            return Inert
        raise ForeignClass(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Storage:
        """Return the storage of ("storage", kind, key, device, length), or of the older form that
        ends in a None besides."""
        mark, kind, key, _, length, *view = pid
        types = tuple(type(x) for x in (mark, kind, key, length))
        if types != (str, str, str, int) or mark != "storage" or kind not in STORAGES or any(view):
            raise pickle.UnpicklingError("a storage is not described as PyTorch does")
        storage = Storage(kind, key, length)
        if self.storages.setdefault(key, storage) != storage:
            raise pickle.UnpicklingError(f"storage {key} is described twice, differently")
        return storage

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> StoredTensor:
        """Stand for `torch._utils._rebuild_tensor_v2`."""
        integers = (offset, *size, *stride)
        if not isinstance(storage, Storage) or not all(type(n) is int for n in integers):
            raise pickle.UnpicklingError("a tensor is not described as PyTorch does")
        return StoredTensor(storage, offset, tuple(size), tuple(stride))

    def parameter(self, data: Any, *_: Any) -> Any:
        """Stand for `torch._utils._rebuild_parameter`."""
        return data


def load_pickle(file: BinaryIO | mmap.mmap) -> tuple[Any, dict[str, Storage]]:
    """Read the pickle that starts where `file` stands; leave `file` behind it.

    Returns:
        its object, and the storages its tensors lie in, by key.

    Raises:
        ForeignClass: it names something unknown.
        Exception: of many kinds, where it is malformed.
    """
    start = file.tell()
    for opcode, argument, place in pickletools.genops(cast(BinaryIO, file)):
        # Python makes room in its memo up to the largest index, however large.
        if opcode.name.endswith("PUT") and cast(int, argument) > cast(int, place) - start:
            raise pickle.UnpicklingError(f"{opcode.name} {argument} before so many objects")
    end = file.tell()
    file.seek(start)
    unpickler = TensorUnpickler(file)
    content = unpickler.load()
    file.seek(end)
    return content, unpickler.storages
