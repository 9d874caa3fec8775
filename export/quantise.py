"""An int8 file from a float one: static quantisation by onnxruntime, checked before it is kept.

Weights become signed bytes with a scale for each output channel, since those of a depthwise
convolution differ a hundredfold. They take 7 of the 8 bits: with all of them a student for CIFAR-10
was right on 69.2 % of 1,000 images where products of bytes saturate and on 70.3 % where they do
not, with seven on 70.4 and 70.5 %; its float file is on 70.2 %. Activations become unsigned bytes,
which suit what a ReLU leaves: with signed ones, onnxruntime on x86 computed depthwise convolutions
in floats. An activation's range is from the least to the greatest value met on the calibration
images: on students for digits and CIFAR-10 entropy chose the same, percentiles did no better. The
input's range is [0, 1] in 255 steps, so that an 8-bit image loses nothing. Logits stay floats:
clipped ones were up to 5 away from the float file's instead of 0.6, and would hide from an attack
how far it has come.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.export.compact import compact
from rnascl_keras.export.fusion import drop_unused_opsets
from rnascl_keras.export.onnx_classifier import OnnxClassifier
from rnascl_keras.export.onnx_input import ImageInput
from rnascl_keras.export.onnx_session import CPU, SessionMaker
from rnascl_keras.export.untrusted import read_model
from rnascl_keras.files.whole import atomic_write, sha256

LEAST_AGREEMENT = 0.95
BATCH_SIZE = 64


@dataclass(frozen=True)
class QuantisedModel:
    """An int8 file and how close it comes to the float file.

    Attributes:
        path: the file.
        bytes: its size.
        sha256: of its bytes, in hexadecimal.
        max_abs_difference: largest difference of a logit on the images compared.
        agreement: share of these images, 0 to 1, that get the same class.
    """

    path: Path
    bytes: int
    sha256: str
    max_abs_difference: float
    agreement: float


def quantise(
    onnx_path: str | Path,
    out_path: str | Path,
    calibration_images: np.ndarray,
    *,
    check_images: np.ndarray | None = None,
    least_agreement: float = LEAST_AGREEMENT,
) -> QuantisedModel:
    """Write the int8 form of a float ONNX file (QDQ, opset unchanged), checked against it.

    It takes its name once ONNX's checker and onnxruntime accept it, its logits are finite, and it
    agrees with the float file; otherwise a file that had the name before stays as it was.

    Args:
        onnx_path: an image classifier that takes batches of any size, pixels in [0, 1].
        out_path: where to write; usually NAME_int8.onnx.
        calibration_images: float pixels (n, h, w, c) in [0, 1], a few hundred of the training
            images, as the file will meet them: not augmented.
        check_images: (m, h, w, c), on which both files are compared; by default those above.
        least_agreement: share of these, 0 to 1, that must get the same class from both.

    Raises:
        UserError: the file cannot be quantised, the images do not fit it, or the int8 file does
            not agree with the float one.
    """
    onnx_path, out_path = Path(onnx_path), Path(out_path)
    float_file = OnnxClassifier(onnx_path)
    check_images = calibration_images if check_images is None else check_images
    expected = float_file.logits(check_images)
    if not np.isfinite(expected).all():
        raise UserError(f"{onnx_path} gives logits that are not finite; it cannot be quantised.")
    with tempfile.TemporaryDirectory() as folder:
        # under its own name, for that is what errors tell
        made = Path(folder) / out_path.name
        onnx.save(_quantised(onnx_path, Path(folder), calibration_images), made)
        given = OnnxClassifier(made).logits(check_images)
        told = onnx_path.name
        difference, agreement = check_agreement(made, given, told, expected, least_agreement)
        atomic_write(out_path, made.read_bytes())
    size, digest = out_path.stat().st_size, sha256(out_path)
    return QuantisedModel(out_path, size, digest, difference, agreement)


def _quantised(onnx_path: Path, folder: Path, images: np.ndarray) -> onnx.ModelProto:
    from onnxruntime import quantization

    model = read_model(onnx_path)
    session = SessionMaker(onnx_path, None, [CPU]).open(model)
    given = ImageInput(onnx_path, session, layout=None, mean=0.0, std=1.0)
    given.check(images)
    if given.batch is not None:
        raise UserError(
            f"{onnx_path} takes batches of {given.batch} only; export it with its batch left open."
        )
    # a CalibrationDataReader in all but name: that class is imported only here
    reader: Any = _Reader(given, images)
    checked, prepared, made = (folder / f"{k}.onnx" for k in ("checked", "prepared", "quantised"))
    onnx.save(model, checked)
    try:
        # symbolic shapes are for transformers, and want a package more
        quantization.quant_pre_process(checked, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            made,
            reader,
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            # weights of 7 bits: products of bytes then saturate on no processor, see byte_products
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            extra_options=_options(given),
        )
        quantised = onnx.load(made)
        _tidy(quantised, model)
        onnx.checker.check_model(quantised, full_check=True)
    except Exception as error:  # the quantiser's errors have no common class
        raise UserError(f"{onnx_path} cannot be quantised: {one_line(error)}") from error
    return quantised


def _options(given: ImageInput) -> dict[str, Any]:
    return {
        "TensorQuantOverrides": {given.name: [{"rmin": np.float32(0), "rmax": np.float32(1)}]},
        # else a transpose before the first convolution moves floats
        "ForceQuantizeNoInputCheck": True,
        "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
    }


class _Reader:
    """Hands the calibration images to onnxruntime, batch by batch."""

    def __init__(self, given: ImageInput, images: np.ndarray) -> None:
        starts = range(0, len(images), BATCH_SIZE)
        self._feeds = ({given.name: given.encode(images[i : i + BATCH_SIZE])} for i in starts)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _tidy(model: onnx.ModelProto, original: onnx.ModelProto) -> None:
    """Take off what the quantiser leaves for itself, and make the file small."""
    properties = {entry.key: entry.value for entry in original.metadata_props}
    how = "int8, QDQ, per channel, weights of 7 bits"
    onnx.helper.set_model_props(model, properties | {"quantisation": how})
    drop_unused_opsets(model)
    compact(model)


def check_agreement(
    made: Path, given: np.ndarray, original: str, expected: np.ndarray, least_agreement: float
) -> tuple[float, float]:
    """Compare a quantised file with the float one.

    Args:
        made: the file.
        given: its logits, (n, classes).
        original: what the float one is called.
        expected: its logits.
        least_agreement: share of the images that must get the same class.

    Returns:
        The largest difference of the logits, and the share of images that get the same class.

    Raises:
        UserError: the share is too low, or a logit is not finite.
    """
    if not np.isfinite(given).all():
        raise UserError(f"{made.name} gives logits that are not finite. It was not kept.")
    difference = float(np.abs(given - expected).max())
    agreement = float((given.argmax(axis=-1) == expected.argmax(axis=-1)).mean())
    if agreement < least_agreement:
        raise UserError(
            f"{made.name} puts {agreement:.1%} of {len(given):,} images into the class that "
            f"{original} puts them into; expected at least {least_agreement:.1%}. It was not "
            "kept. Calibrate it with more training images (export.calibration), train the model "
            "longer, or ask for less (export.agreement)."
        )
    return difference, agreement
