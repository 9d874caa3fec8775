"""Accuracy, clean and under attack, of models, of `.keras` files and of deployed files.

`evaluate.evaluate` gives a model's figures, `sweep.sweep_radii` those over the radius,
`false_robustness.check_robustness` tells whether to believe them; `keras_file` and `onnx_file` do
all of that for a file, as a `request.Request` wants it.
"""
