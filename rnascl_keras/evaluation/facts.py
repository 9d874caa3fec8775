"""The JSON of `rnascl evaluate` and `rnascl attack`: what it says, and its schema."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from rnascl_keras.data.image_files import shown_path
from rnascl_keras.errors import printable
from rnascl_keras.evaluation.measured import Measured
from rnascl_keras.evaluation.request import Request
from rnascl_keras.hardware import hardware, processor
from rnascl_keras.report.keys import attack_how, attack_keys, attack_name

SCHEMA_VERSION = 1
SATURATES = (
    "onnxruntime's products of bytes saturate on this processor, as on any x86 without VNNI, so on "
    "others the file may answer otherwise: these figures are this processor's."
)
INTERVALS = "95 % Wilson score intervals"
PACKAGES = ("rnascl-keras", "numpy", "onnx", "onnxruntime", "keras", "tensorflow")
"""Whose versions are noted."""


class AttackFacts(BaseModel):
    """How an attack is written, and with which settings it was run."""

    name: str = Field(description="as tables write it, e.g. PGD-20")
    how: str = Field(description="steps, their length, start, queries, in words")


class SweepFacts(BaseModel):
    """Accuracies at several radii, each on its own."""

    model_config = ConfigDict(extra="forbid")

    n: int = Field(description="number of images, the first ones")
    norm: str = Field(description="of the ball")
    epsilon: list[float] = Field(description="radii, ascending")
    accuracy: dict[str, list[float]] = Field(description="by attack, at each radius")
    intervals: dict[str, list[tuple[float, float]]] = Field(description=INTERVALS)


class CorruptionFacts(BaseModel):
    """Accuracies under common corruptions (Hendrycks and Dietterich, 2019), by severity."""

    model_config = ConfigDict(extra="forbid")

    n: int = Field(description="number of images, the first ones")
    seed: int = Field(description="of the corruptions' random numbers")
    published: str = Field(
        description="set whose parameters they have: CIFAR-10-C, Tiny-ImageNet-C or ImageNet-C"
    )
    scale: float = Field(description="by how much lengths in pixels are longer than that set's")
    accuracy: dict[str, list[float]] = Field(description="by corruption, at severities 1 to 5")
    intervals: dict[str, list[tuple[float, float]]] = Field(description=INTERVALS)
    mean: float = Field(description="of all; of all fifteen corruptions: mCA")
    mean_interval: tuple[float, float] = Field(description="as wide as of n images")
    error: float = Field(description="1 - mean; the published mCE divides by AlexNet's errors")
    notes: list[str] = Field(
        description="what is not as published, and what left the images as they were"
    )


class EngineFacts(BaseModel):
    """What computed a Keras model, and how far from Keras that is on the first images."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="keras or onnxruntime")
    logits: float | None = Field(description="largest difference of a logit; null of keras")
    gradients: float | None = Field(
        description="largest difference of an image's gradient, over its length; null of keras"
    )


class FileFacts(BaseModel):
    """What was measured of one file.

    Shares are from 0 to 1; keys of accuracies are "clean", those of attacks, and "worst": right
    when clean and under every attack.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = Field(description="of this schema; it grows where a key changes meaning")
    model: str = Field(description="path of the file, as it was given")
    sha256: str = Field(description="of the file's bytes, in hexadecimal")
    bytes: int = Field(description="size of the file")
    input: str = Field(description="what the file takes, and which of its outputs was attacked")
    data: str = Field(description="as it was given: a name, or a path")
    data_origin: str = Field(description="where the images came from, in words")
    data_fingerprint: str = Field(description="hash of the images measured on, and their labels")
    class_names: list[str] = Field(description="of each of the model's outputs")
    image_shape: list[int] = Field(description="height, width and channels")
    command: str = Field(description="as it was typed")
    date: str = Field(description="ISO 8601, in UTC")
    versions: dict[str, str] = Field(description="of the packages that computed")
    hardware: str = Field(description="what computed")
    depends_on_processor: str | None = Field(
        default=None, description="why the figures may be others on another processor"
    )
    attacks: dict[str, AttackFacts] = Field(description="by key")
    n: int = Field(description="number of images, the first ones")
    norm: str = Field(description="of the ball: Linf, L2, L1 or L0")
    epsilon: float = Field(
        description="its radius; Linf: in pixel units of [0, 1]; L0: number of pixels"
    )
    seed: int = Field(description="of everything random in the attacks")
    accuracy: dict[str, float] = Field(description="share of images that stay right")
    intervals: dict[str, tuple[float, float]] = Field(description=INTERVALS)
    per_class: dict[str, list[float | None]] = Field(
        description="accuracy of each class's images; null of a class without any"
    )
    class_counts: list[int] = Field(description="images of each class")
    confusion: dict[str, list[list[int]]] | None = Field(
        default=None,
        description="images of each class (row) that are given each class (column); without those "
        "that are given none, by NaN",
    )
    near_chance: str | None = Field(description="why the figures say nothing about robustness")
    failed: str | None = Field(description="what ended the work before all was measured")
    check: dict[str, Any] | None = Field(description="signs of false robustness looked for")
    sweep: SweepFacts | None = Field(default=None, description="accuracy over the radius")
    corrupted: CorruptionFacts | None = Field(default=None, description="common corruptions")
    engine: EngineFacts | None = Field(default=None, description="of a Keras model")


class Difference(BaseModel):
    """How two files' accuracies differ on the same images, from -1 to 1."""

    model_config = ConfigDict(extra="forbid")

    first: str = Field(description="path of one file")
    second: str = Field(description="path of the other")
    key: str = Field(description="of the accuracy")
    difference: float = Field(description="first less second")
    interval: tuple[float, float] = Field(description="95 %, of the paired difference")
    attacks: list[str] | None = Field(
        default=None,
        description="of worst, where the files underwent different attacks: those of both, which "
        "it is then taken over",
    )


class SeveralFacts(BaseModel):
    """What was measured of several files, and how they differ."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = Field(description="of this schema")
    files: list[FileFacts] = Field(description="each file's own figures")
    differences: list[Difference] = Field(description="of each two files")
    transfer: dict[str, list[list[float | None]]] = Field(
        description="by attack, a row for each file that images were made on, and in it the "
        "accuracy of each file on these; null where it did not answer any more"
    )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of what `--json` writes; it stands in docs/evaluation.schema.json."""
    return TypeAdapter(FileFacts | SeveralFacts).json_schema()


def facts_of(measured: Measured, request: Request) -> dict[str, Any]:
    """Return what is known of a file as plain JSON values, as `FileFacts` describes them."""
    file, images = measured.file, measured.images
    attacks = {
        key: {"name": attack_name(key), "how": attack_how(key, request.norm)}
        for key in attack_keys(measured.evaluation.accuracy)
    }
    in_keras = measured.engine is not None and measured.engine.name == "keras"
    figures = measured.evaluation.as_dict() | {"failed": measured.failed}
    return {
        "schema_version": SCHEMA_VERSION,
        "model": shown_path(file.path),
        "sha256": file.sha256,
        "bytes": file.bytes,
        "input": input_in_words(measured.classifier),
        "data": shown_path(request.data),
        "data_origin": printable(images.origin),
        "data_fingerprint": images.fingerprint(),
        "class_names": measured.class_names,
        "image_shape": list(images.input_shape),
        "command": printable(shlex.join(["rnascl", *sys.argv[1:]])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": _versions(measured.classifier),
        "hardware": hardware() if in_keras else processor(),
        "depends_on_processor": SATURATES if saturates(measured.classifier) else None,
        "attacks": attacks,
        **figures,
        **({"sweep": measured.sweep.as_dict()} if measured.sweep else {}),
        **({"engine": asdict(measured.engine)} if measured.engine else {}),
        **({"corrupted": measured.corrupted.as_dict()} if measured.corrupted else {}),
    }


def saturates(classifier: Any) -> bool:
    """Return whether what a classifier answers hangs on the processor, as far as it says."""
    return bool(getattr(classifier, "saturates", False))


def input_in_words(classifier: Any) -> str:
    """Return what a classifier takes, and which of its outputs is attacked, as far as it says."""
    words = getattr(classifier, "in_words", "")
    layout = getattr(classifier, "layout", None) or "each image as a row"
    return f"takes {layout}, {words}" if words else "; ".join(getattr(classifier, "remarks", ()))


def _versions(classifier: Any) -> dict[str, str]:
    """Return the versions of what took part; of a package that is not loaded, none."""
    own = {"python": platform.python_version()}
    loaded = [name for name in PACKAGES if name.replace("-", "_") in sys.modules]
    runtime = getattr(classifier, "runtime", None)  # loaded where a deployed file is computed
    names = dict.fromkeys([*loaded, runtime] if runtime else loaded)
    return own | {name: importlib.metadata.version(name) for name in names}
