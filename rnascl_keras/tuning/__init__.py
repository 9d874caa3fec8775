"""Finding a recipe's settings by trials, with Keras Tuner.

Only `tuning.oracles`, `tuning.hyper_model` and `tuning.tuner` import that.
"""
