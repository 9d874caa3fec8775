"""From a classifier that ends in a softmax to the logits before it."""

from __future__ import annotations

import keras


def logits_model(model: keras.Model) -> keras.Model:
    """Return a model of the logits: `model` itself, unless its last layer is a softmax.

    Where a model is sure, its probabilities are 0 and 1 in float32 and have no gradient: the attack
    fails, which looks like robustness. Known are `Softmax`, `Activation("softmax")` and
    `Dense(..., activation="softmax")`; of the last, the new model holds a copy with the same
    weights, and shares all layers before it.

    Args:
        model: one input, one output (batch, classes).
    """
    last = _output_layer(model)
    if isinstance(last, keras.layers.Softmax):
        return keras.Model(model.inputs[0], last.input, name=model.name)
    if getattr(last, "activation", None) is not keras.activations.softmax:
        return model
    if isinstance(last, keras.layers.Activation):
        return keras.Model(model.inputs[0], last.input, name=model.name)
    if not isinstance(last, keras.layers.Dense):
        return model
    linear = keras.layers.Dense.from_config({**last.get_config(), "activation": "linear"})
    logits = keras.Model(model.inputs[0], linear(last.input), name=model.name)
    linear.set_weights(last.get_weights())
    return logits


def _output_layer(model: keras.Model) -> keras.layers.Layer | None:
    """Return the layer that makes the one output of the one input, or None where the model does
    not say."""
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs or len(inputs) != 1 or len(outputs) != 1:
        return None
    last = model.layers[-1]
    return last if last.output is outputs[0] else None
