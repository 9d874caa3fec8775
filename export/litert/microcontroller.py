"""Which operators an interpreter on a microcontroller has.

Those that TensorFlow Lite for Microcontrollers can register: `micro_mutable_op_resolver.h` of
github.com/tensorflow/tflite-micro at 03c312b17dfae17a8ed7e21c5bdf66bb967a07cd, its custom operators
left out. Later versions have more.
"""

from __future__ import annotations

from collections.abc import Iterable

_NAMES = """
ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_TO_SPACE_ND CAST CEIL CONCATENATION CONV_2D
COS CUMSUM DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE ELU EQUAL EXP EXPAND_DIMS FILL FLOOR
FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF
L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR
LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE
REDUCE_MAX RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SHAPE SIN
SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUEEZE STRIDED_SLICE SUB
SVDF TANH TRANSPOSE TRANSPOSE_CONV UNPACK ZEROS_LIKE
"""
OPERATORS = frozenset(_NAMES.split())


def missing_on_microcontrollers(operators: Iterable[str]) -> list[str]:
    """Return those of these operators that such an interpreter has not, in their order."""
    return [name for name in dict.fromkeys(operators) if name not in OPERATORS]
