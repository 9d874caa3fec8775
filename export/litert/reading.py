"""Reading a `.tflite` file that may come from anywhere: what is handed on is small and whole.

A LiteRT file is a FlatBuffer: a graph of operators on numbered tensors. Its structure is looked
over here, in plain Python, before an interpreter or a converter works on it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.errors import UserError, naming, one_line, printable
from rnascl_keras.export.bounded_sizes import MOST_ELEMENTS
from rnascl_keras.export.litert.runtime import schema
from rnascl_keras.export.untrusted import LONGEST_NAME, MOST_BYTES, MOST_CONNECTIONS, MOST_NODES

IDENTIFIER = b"TFL3"
MOST_GRAPHS = 64
MOST_AXES = 8
_TYPES = {
    "FLOAT32": np.float32,
    "FLOAT64": np.float64,
    "FLOAT16": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "UINT16": np.uint16,
    "INT32": np.int32,
    "UINT32": np.uint32,
    "INT64": np.int64,
    "UINT64": np.uint64,
    "BOOL": np.bool_,
}
_WIDEST = 16
"""Bytes of an element of another type: complex128 has the most."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph.

    Attributes:
        name: printable.
        shape: as the file stores it, with 1 for a size that is open.
        sizes: the same, with None for a size that is open.
        dtype: of NumPy; None of a type that it has not.
        scale, zero: of a tensor quantised as a whole, (q - zero) * scale is what it stands for;
            scale is None of others.
        is_constant: whether the file holds its values.
    """

    name: str
    shape: tuple[int, ...]
    sizes: tuple[int | None, ...]
    dtype: np.dtype | None
    scale: float | None
    zero: int
    is_constant: bool

    @property
    def bytes(self) -> int:
        """What it takes in memory, of one image."""
        return math.prod(self.shape) * (self.dtype.itemsize if self.dtype else _WIDEST)


@dataclass(frozen=True)
class Operator:
    """An operator by its name in the LiteRT schema, and the numbers of its tensors."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class LiteRTFile:
    """What stands in a file.

    Attributes:
        content: its bytes.
        tensors: of the main graph.
        operators: of the main graph, in the order in which they run.
        inputs, outputs: numbers of the main graph's tensors.
    """

    content: bytes
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def with_output(self, tensor: int) -> bytes:
        """Return the content with the first output moved to another tensor, all else as it is."""
        changed = bytearray(self.content)
        # a view into the content itself
        schema().Model.GetRootAs(changed, 0).Subgraphs(0).OutputsAsNumpy()[0] = tensor
        return bytes(changed)


def read_litert(path: Path) -> LiteRTFile:
    """Return what stands in the file at `path`.

    Raises:
        UserError: there is no such file, it is no LiteRT model, it holds operators that are
            programs outside of it, or one of this package's limits is exceeded.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of a .tflite file.")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UserError(f"{path} has {size:,} bytes; a LiteRT file has at most {MOST_BYTES:,}.")
    content = path.read_bytes()
    if content[4:8] != IDENTIFIER:
        raise UserError(
            f"{path} is no LiteRT model: expected {IDENTIFIER.decode()} at its fifth byte; give a "
            ".tflite file as a converter wrote it."
        )
    with naming(path):
        try:
            return _checked(content)
        except UserError:
            raise
        except Exception as error:  # whatever offsets that lead nowhere bring about
            raise UserError(
                f"it is damaged and cannot be read as a LiteRT model: {one_line(error)}; export it "
                "again."
            ) from error


def _checked(content: bytes) -> LiteRTFile:
    model = schema().Model.GetRootAs(content, 0)
    graphs = _bounded("graphs", model.SubgraphsLength(), MOST_GRAPHS)
    if not graphs:
        raise UserError("it holds no graph; export it again.")
    names = _operator_names(model)
    nodes = sum(model.Subgraphs(k).OperatorsLength() for k in range(graphs))
    _bounded("operators", nodes, MOST_NODES)
    read = [_graph(model, model.Subgraphs(k), names) for k in range(graphs)]
    tensors, operators, inputs, outputs = read[0]
    return LiteRTFile(content, tensors, operators, inputs, outputs)


Graph = tuple[tuple[Tensor, ...], tuple[Operator, ...], tuple[int, ...], tuple[int, ...]]


def _graph(model: Any, graph: Any, names: list[str]) -> Graph:
    count = _bounded("tensors", graph.TensorsLength(), MOST_CONNECTIONS)
    tensors = tuple(_tensor(model, graph.Tensors(k)) for k in range(count))
    inputs = _numbers(graph.InputsLength, graph.Inputs)
    outputs = _numbers(graph.OutputsLength, graph.Outputs)
    operators, used = [], [*inputs, *outputs]
    for k in range(graph.OperatorsLength()):
        operator = graph.Operators(k)
        # an optional input that is left out has the number -1
        given = [n for n in _numbers(operator.InputsLength, operator.Inputs) if n != -1]
        made = _numbers(operator.OutputsLength, operator.Outputs)
        operators.append(Operator(names[operator.OpcodeIndex()], tuple(given), tuple(made)))
        used += [*given, *made]
        _bounded("inputs and outputs of operators", len(used), MOST_CONNECTIONS)
    if any(not 0 <= n < count for n in used):
        raise UserError(f"it names tensors that are none of its {count}; export it again.")
    return tensors, tuple(operators), tuple(inputs), tuple(outputs)


def _operator_names(model: Any) -> list[str]:
    """Return the names of the operators that the file lists.

    Raises:
        UserError: one of them is a program outside of the file.
    """
    known, names = _names_by_code("BuiltinOperator"), []
    for k in range(_bounded("kinds of operators", model.OperatorCodesLength(), MOST_NODES)):
        listed = model.OperatorCodes(k)
        # old files have the first of these, for which one byte became too few
        name = known.get(max(listed.DeprecatedBuiltinCode(), listed.BuiltinCode()), "unknown")
        if name == "CUSTOM":
            own = printable((listed.CustomCode() or b"").decode(errors="replace"))[:40]
            raise UserError(
                f"it has the operator {own!r}, which is a program outside of the file; expected "
                "LiteRT's own only. Export it without."
            )
        names.append(name)
    return names


def _tensor(model: Any, tensor: Any) -> Tensor:
    shape = _numbers(tensor.ShapeLength, tensor.Shape, MOST_AXES)
    signature = _numbers(tensor.ShapeSignatureLength, tensor.ShapeSignature, MOST_AXES)
    name = printable((tensor.Name() or b"").decode(errors="replace"))[:LONGEST_NAME]
    if any(size < 0 for size in shape) or math.prod(shape) > MOST_ELEMENTS:
        raise UserError(
            f"its tensor {name[:40]!r} has the shape {shape}; expected at most {MOST_ELEMENTS} "
            "values. Give a classifier of smaller images or batches."
        )
    given = signature if len(signature) == len(shape) else shape
    kind = _TYPES.get(_names_by_code("TensorType").get(tensor.Type(), ""))
    scale, zero = _quantisation(tensor.Quantization())
    return Tensor(
        name,
        tuple(shape),
        tuple(None if size < 0 else size for size in given),
        None if kind is None else np.dtype(kind),
        scale,
        zero,
        tensor.Buffer() > 0 and model.Buffers(tensor.Buffer()).DataLength() > 0,
    )


@functools.cache
def _names_by_code(kind: str) -> dict[int, str]:
    """Return the names of the schema's enumeration of this name."""
    listed = vars(getattr(schema(), kind)).items()
    return {code: name for name, code in listed if isinstance(code, int)}


def _quantisation(found: Any) -> tuple[float | None, int]:
    if found is None or (found.ScaleLength(), found.ZeroPointLength()) != (1, 1):
        return None, 0
    return float(found.Scale(0)), int(found.ZeroPoint(0))


def _numbers(
    length: Callable[[], int], at: Callable[[int], int], most: int = MOST_CONNECTIONS
) -> list[int]:
    return [int(at(k)) for k in range(_bounded("numbers in a list", length(), most))]


def _bounded(what: str, count: int, most: int) -> int:
    if count > most:
        raise UserError(f"it has {count} {what}; an image classifier has at most {most}.")
    return count
