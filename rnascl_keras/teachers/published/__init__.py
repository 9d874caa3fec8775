"""Published checkpoints: files of weights, under whichever names, into Keras models."""
