"""Accuracy, clean and under attack, of models, of `.keras` files and of ONNX files."""
