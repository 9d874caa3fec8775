"""The float graph that a file of bytes, half precision, integer or fused kernels stands for.

`float_twin.float_twin` makes it; `kernels` says what each integer kernel computes, and `fused` what
onnxruntime's own operators do.
"""
