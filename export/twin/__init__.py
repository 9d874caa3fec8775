"""The float graph that a file of bytes, half precision or integer kernels stands for.

`float_twin.float_twin` makes it; `kernels` says what each integer kernel computes.
"""
