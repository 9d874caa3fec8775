"""Pruning any Keras classifier: weights to zero or channels away, then robust fine-tuning."""
