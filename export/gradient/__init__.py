"""Reverse-mode differentiation of ONNX graphs: the rules, one small function per operator."""
