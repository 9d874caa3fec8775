"""What `fit` takes as its callbacks: none, one, several in any nesting, or Keras' own list."""

from __future__ import annotations

from typing import Any

import keras


def listed(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Return the callbacks that are in what was given to `fit`."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks.callbacks
    return keras.tree.flatten(callbacks or [])


def with_callback(
    callbacks: Any, added: keras.callbacks.Callback, model: keras.Model, *, first: bool = False
) -> Any:
    """Return what to give to `fit`, with one callback more.

    Args:
        callbacks: as the user gave them. A `CallbackList`, which `fit` takes as it is, gets the
            callback itself.
        added: the callback.
        model: that is fitted.
        first: whether it comes before all others, else after them.
    """
    found = listed(callbacks)
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        return [added, *found] if first else [*found, added]
    added.set_model(model)
    added.set_params(callbacks.params)
    found.insert(0 if first else len(found), added)
    return callbacks
