"""Which of what a checkpoint holds are the network's weights."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from rnascl_keras.errors import UserError, printable
from rnascl_keras.teachers.published.names import NORMALISERS
from rnascl_keras.teachers.published.torch_pickle import StoredTensor

HOLDERS = ("model", "state_dict", "model_state_dict", "net", "last")
"""Keys under which checkpoints keep the weights, beside an optimizer and the like."""
LONGEST = 200
"""Characters of a checkpoint's keys in an error."""

State = dict[str, StoredTensor]


def state_dict(content: Any, path: Path) -> State:
    """Return the tensors by name in what a file of `torch.save` holds.

    They are the file's own, or lie under one of `HOLDERS`; then the mean and std that lie beside
    them are the wrapper's around them.

    Args:
        content: of the file.
        path: of the file, for errors.

    Raises:
        UserError: there are none, or several that differ, of which nobody but the user knows the
            right ones.
    """
    own = _tensors(content)
    held = {key: _tensors(value) for key, value in _items(content)}
    networks = {key: state for key, state in held.items() if _is_network(state)}
    if networks and _is_network(own):  # or are they figures beside it, named by a word?
        sure = any(map(_has_modules, networks.values()))
        if _has_modules(own) or not sure:
            raise _several([*networks, *own], path)
    if len({tuple(sorted(state.items())) for state in networks.values()}) > 1:
        raise _several(list(networks), path)
    candidates = [networks.get(holder) for holder in HOLDERS]
    if not networks:
        candidates += [own, *(held.get(holder) for holder in HOLDERS)]
    elif _is_network(own):
        candidates.append(own)
    found = next((state for state in candidates if state), None)
    if found is None:
        kind = type(content).__name__
        if isinstance(content, Mapping):
            kind = ", ".join(key for key in content if isinstance(key, str))
        raise UserError(
            f"{path} holds no state_dict: expected tensors by name, by themselves or under one of "
            f"{', '.join(HOLDERS)}; it holds {printable(kind[:LONGEST])}."
        )
    return found if found is own else _with_normaliser(found, own, held, path)


def _items(content: Any) -> list[tuple[str, Any]]:
    items = content.items() if isinstance(content, Mapping) else ()
    return [(key, value) for key, value in items if isinstance(key, str)]


def _tensors(content: Any) -> State:
    return {key: value for key, value in _items(content) if isinstance(value, StoredTensor)}


def _is_network(state: State) -> bool:
    """Return whether there are kernels among them: figures, such as losses, are single numbers."""
    return bool(_kernels(state))


def _has_modules(state: State) -> bool:
    """Return whether there are kernels of modules, as no pictures or tables are named."""
    return any("." in name for name in _kernels(state))


def _kernels(state: State) -> list[str]:
    return [
        name
        for name, tensor in state.items()
        if len(tensor.size) > 1 and not _normalises(name)  # some have a shape of (1, c, 1, 1)
    ]


def _normalises(name: str) -> bool:
    return name.split(".")[-1] in {each.split(".")[-1] for each in chain(*NORMALISERS)}


def _with_normaliser(weights: State, own: State, held: dict[str, State], path: Path) -> State:
    """Return the weights, and those tensors beside them that a wrapper normalises by."""
    there = dict(own)
    for key, state in held.items():
        there |= {f"{key}.{name}": tensor for name, tensor in state.items()}
    beside = {n: there[n] for pair in NORMALISERS if set(pair) <= set(there) for n in pair}
    inside = list(filter(_normalises, weights))
    if beside and inside:
        raise UserError(
            f"{path} holds {', '.join(beside)} beside weights that have {printable(inside[0])}; "
            "save the weights with the one that their owner used."
        )
    return beside | weights


def _several(keys: list[str], path: Path) -> UserError:
    told, first = (printable(text)[:LONGEST] for text in (", ".join(keys), keys[0]))
    return UserError(
        f"{path} holds several sets of weights, under {told}; save the one wanted alone with "
        f"PyTorch, e.g. torch.save(torch.load({path.name!r})[{first!r}], 'weights.pth')."
    )
