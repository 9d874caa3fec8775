"""What `evaluate` and `attack` measure of one model: options that both have, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnascl_keras.cli.options import DataDirOption
from rnascl_keras.errors import UserError
from rnascl_keras.units import parse_radii, parse_radius, usual_radius

if TYPE_CHECKING:
    from rnascl_keras.evaluation.request import Request


@dataclass(frozen=True)
class Measurement:
    """What the options say, in the order of the help; the fields are those of `Request`."""

    data: Annotated[
        str | None,
        typer.Option(
            help="A tfds name, its test split; an .npz with x and y; or a folder of a folder of "
            "pictures for each class, in val/ where there are splits."
        ),
    ] = None
    data_dir: DataDirOption = None
    attacks: Annotated[
        str,
        typer.Option(
            help="Of fgsm, pgd, mi_fgsm, cw, apgd, square, auto_attack; L0: sparse_rs; or none."
        ),
    ] = "fgsm,pgd,mi_fgsm"
    epsilon: Annotated[
        str | None,
        typer.Option(
            "--eps",
            help="Radius in pixels of [0, 1]; L0: how many pixels. Of L2, L1 and L0 there is no "
            "default.",
            show_default=usual_radius("Linf"),
        ),
    ] = None
    norm: Annotated[str, typer.Option(help="Linf, L2, L1 or L0.")] = "Linf"
    radii: Annotated[
        str | None,
        typer.Option("--sweep", help="Radii beside --eps, e.g. 2/255,4/255,16/255: a table."),
    ] = None
    plot: Annotated[
        Path | None, typer.Option(help="Draw the sweep into this .svg or .png file.")
    ] = None
    check: Annotated[
        int, typer.Option(min=0, help="Images on which to look for false robustness; 0: none.")
    ] = 200
    n: Annotated[int, typer.Option(min=1, help="The first n images of the test split.")] = 1000
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random in the attacks.")] = 0
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this .json file.")
    ] = None
    page: Annotated[
        Path | None, typer.Option("--report", help="Write a page to hand over to this .html file.")
    ] = None
    images_out: Annotated[
        Path | None,
        typer.Option("--save-images", help="Write the adversarial images to this .npz file."),
    ] = None
    least: Annotated[
        str | None,
        typer.Option(
            "--fail-below",
            help="Exit with 1 below these accuracies, e.g. pgd20=0.40,auto_attack=0.35.",
        ),
    ] = None

    corruptions: Annotated[
        str | None,
        typer.Option(
            help="Common corruptions beside attacks, at five severities: all, or e.g. "
            "gaussian_noise,fog.",
        ),
    ] = None

    def request(self, command: str) -> Request:
        """Return it in numbers and names.

        Raises:
            UserError: there is no data, where `command` is named, or an option cannot be read.
        """
        if self.data is None:
            raise UserError(
                f"{command} needs --data: a tfds name such as cifar10, an .npz, or a folder of "
                "<class>/*.jpg."
            )
        from rnascl_keras.corruptions import corruptions_named
        from rnascl_keras.evaluation.gate import parse_gate
        from rnascl_keras.evaluation.request import Request

        attacks = [] if self.attacks == "none" else self.attacks.split(",")
        epsilon = parse_radius(
            usual_radius(self.norm) if self.epsilon is None else self.epsilon, self.norm
        )
        # an empty text, as of a variable that is not set, is refused, not taken for None
        named, least = self.corruptions, self.least
        corruptions = () if named is None else corruptions_named(named)
        gate = {"epsilon": epsilon, "norm": self.norm, "corrupted": bool(corruptions)}
        parsed = {
            "attacks": attacks,
            "epsilon": epsilon,
            "radii": parse_radii(self.radii, self.norm, "--sweep"),
            "least": {} if least is None else parse_gate(least, attacks, **gate),
            "corruptions": corruptions,
        }
        return Request(**(vars(self) | parsed))


def with_measurement(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Measurement` where it has the parameter `measurement`.

    Typer reads options from a function's parameters: the one that it is shown has a parameter for
    each, and calls the given one with what they say.
    """
    options = parameters(Measurement)
    shown = []
    for parameter in parameters(command):
        shown += options if parameter.annotation is Measurement else [parameter]

    def call(**given: Any) -> None:
        said = {option.name: given.pop(option.name) for option in options}
        command(measurement=Measurement(**said), **given)

    flat: Any = wraps(command)(call)  # the type of a function has no signature to set
    flat.__signature__ = inspect.Signature(shown)
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return flat


def parameters(function: Callable) -> list[inspect.Parameter]:
    """Return what a function takes, by keyword only, as typer reads it."""
    given = inspect.signature(function, eval_str=True).parameters.values()
    return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in given]
