"""What computes the models of a run while they are attacked: Keras, or onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.engine import COMPARED, Engine, on_onnxruntime
from rnascl_keras.run.workdir import Run


@contextmanager
def computing(
    run: Run, models: dict[str, keras.Model], images: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[dict[str, Any], dict[str, Engine]]]:
    """Yield by name what computes each model, and the engine that does.

    `evaluation.engine` says which. A model that onnxruntime cannot take, or that its export does
    not agree with, is computed by Keras after all, which is said; so is every model where there is
    an accelerator, which onnxruntime's CPU would not keep up with.

    Args:
        run: whose recipe asks.
        models: by name; a name is told in front of what is said of it.
        images, labels: (n, h, w, c) in [0, 1] and (n,); on the first, the two are compared.
    """
    by_name: dict[str, Any] = dict(models)
    engines = dict.fromkeys(models, Engine("keras"))
    wanted = run.recipe.evaluation.engine == "onnxruntime" and not _accelerated()
    few = (images[:COMPARED], labels[:COMPARED])
    with ExitStack() as stack:
        for name, model in models.items() if wanted else ():
            try:
                exported = stack.enter_context(on_onnxruntime(KerasClassifier(model), *few))
            except UserError as error:
                run.say(f"evaluate: {name}: {error}; Keras computes.")
            else:
                by_name[name], engines[name] = exported
                run.say(f"evaluate: {name}: {engines[name].in_words}")
        yield by_name, engines


def _accelerated() -> bool:
    return any(tf.config.list_logical_devices(kind) for kind in ("GPU", "TPU"))
