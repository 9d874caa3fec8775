"""Finding a recipe's settings by trials, with Keras Tuner, which only `tuning.oracles`,
`tuning.hyper_model` and `tuning.tuner` import."""
