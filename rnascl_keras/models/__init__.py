"""What holds of any Keras model: its logits, its fingerprint, its file, its size."""
