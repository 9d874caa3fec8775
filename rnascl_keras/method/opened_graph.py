"""The operations of a functional model, call by call, with nested models opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

from rnascl_keras.models.ending import is_functional
from rnascl_keras.models.operations import REARRANGING

Tensor = Any


class Renamed(layers.Layer):
    """An operation under another name: Keras wants each name once in a model."""

    def __init__(self, operation: Any, name: str) -> None:
        super().__init__(name=name, autocast=False)
        self.operation = operation

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the operation."""
        return self.operation(*args, **kwargs)


@dataclass
class OpenedGraph:
    """What a model computes, in order; each call is known by its number.

    Attributes:
        operations: what was called; one that is called twice stands here twice.
        operands, results: the tensors that went in, and what came out.
        paths: names of the nested models around each call, from the outside.
        turns: which call of its operation each is in the order in which the user wrote them, and
            before that the same of the nested models around it.
        input: the model's input in this graph.
    """

    operations: list[Any] = field(default_factory=list)
    operands: list[list[Tensor]] = field(default_factory=list)
    results: list[Tensor] = field(default_factory=list)
    paths: list[tuple[str, ...]] = field(default_factory=list)
    turns: list[tuple[int, ...]] = field(default_factory=list)
    input: Tensor = None
    _around: tuple[str, ...] = ()
    _turns_around: tuple[int, ...] = ()
    _called: dict[int, Any] = field(default_factory=dict)

    def open(self, model: keras.Model, inputs: Tensor = None) -> Tensor:
        """Call the model operation by operation; return its output.

        The output is caught at an identity behind it: where the model is nested, Keras would give
        one of a copied graph that the outer model's input does not reach.
        """
        # a name of its own: Keras counts its names anew in every process
        end = layers.Identity(name=f"end_{id(model)}_{len(self.operations)}")
        outputs = []
        own: dict[int, Tensor] = {}  # the model's own tensor, by the id of the one made here

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if operation is end:
                outputs.append(args[0])
                return args[0]
            operands = [own.get(id(t), model.inputs[0]) for t in _tensors((args, kwargs))]
            turn, made = _written(operation, operands)
            result = self._record(operation, turn, *args, **kwargs)
            own.update((id(new), old) for new, old in zip(_tensors(result), made, strict=False))
            return result

        copy = keras.models.clone_model(
            keras.Model(model.inputs[0], end(model.outputs[0])),
            input_tensors=inputs,
            clone_function=lambda x: x,
            call_function=call,
        )
        if inputs is None:
            self.input = copy.inputs[0]
        return outputs[0]

    def names(self) -> list[str]:
        """Return a name for each call: the layer's, where no other call has it.

        Else the names of the nested models around it stand before, e.g. ``stage1/conv``, and
        behind it, from a layer's second call on, which one it is: ``conv#2``.
        """
        own = Counter(operation.name for operation in self.operations)
        seen: Counter[str] = Counter()
        found = [operation.name for operation in self.operations]
        for k in sorted(range(len(found)), key=self.turns.__getitem__):
            if own[found[k]] > 1:
                name = "/".join((*self.paths[k], found[k]))
                seen[name] += 1
                found[k] = name + (f"#{seen[name]}" if seen[name] > 1 else "")
        return found

    def in_turn(self, calls: Sequence[int]) -> list[int]:
        """Return calls in the order given, but those of one operation as the user wrote them.

        Keras computes what does not depend on one another in an order of its own.
        """
        found = list(calls)
        places: dict[int, list[int]] = {}
        for place, k in enumerate(found):
            places.setdefault(id(self.operations[k]), []).append(place)
        for same in places.values():
            in_order = sorted((found[place] for place in same), key=self.turns.__getitem__)
            for place, k in zip(same, in_order, strict=True):
                found[place] = k
        return found

    def consumers(self, tensor: Tensor) -> list[int]:
        """Return the calls that take a tensor."""
        return [k for k, xs in enumerate(self.operands) if any(x is tensor for x in xs)]

    def ancestors(self, tensor: Tensor) -> Iterator[int]:
        """Yield the calls that a tensor comes from, the nearest first."""
        makers = {id(result): k for k, result in enumerate(self.results)}
        waiting, found = [tensor], set()
        for x in waiting:
            k = makers.get(id(x))
            if k is not None and k not in found:
                found.add(k)
                waiting += self.operands[k]
                yield k

    def is_channels_first(self, tensor: Tensor) -> bool:
        """Return whether a tensor's axes are (batch, channels, height, width), by the nearest layer
        before it that says so."""
        for k in self.ancestors(tensor):
            if type(self.operations[k]).__name__ in REARRANGING:
                return False
            if layout := getattr(self.operations[k], "data_format", None):
                return layout == "channels_first"
        return False

    def _record(self, operation: Any, turn: int, *args: Any, **kwargs: Any) -> Any:
        if is_functional(operation):
            before = self._around, self._turns_around
            self._around += (operation.name,)
            self._turns_around += (turn,)
            output = self.open(operation, args[0])
            self._around, self._turns_around = before
            return output
        result = self._under_one_name(operation)(*args, **kwargs)
        self.operations.append(operation)
        self.operands.append(_tensors((args, kwargs)))
        self.results.append(result)
        self.paths.append(self._around)
        self.turns.append((*self._turns_around, turn))
        return result

    def _under_one_name(self, operation: Any) -> Any:
        """Return the operation, or what stands for it where another has its name."""
        called = self._called.get(id(operation))
        if called is None:
            taken = any(other.name == operation.name for other in self._called.values())
            called = Renamed(operation, f"{operation.name}_{id(operation)}") if taken else operation
            self._called[id(operation)] = called
        return called


def _written(operation: Any, operands: list[Tensor]) -> tuple[int, list[Tensor]]:
    """Return which call of an operation has these operands, and what it makes."""
    wanted = [id(tensor) for tensor in operands]
    for turn, node in enumerate(operation._inbound_nodes):
        if [id(tensor) for tensor in node.input_tensors] == wanted:
            return turn, node.outputs
    return 0, []


def _tensors(structure: Any) -> list[Tensor]:
    return [x for x in keras.tree.flatten(structure) if isinstance(x, keras.KerasTensor)]
