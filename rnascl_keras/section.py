"""What the sections of a recipe have in common, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.models.included import included
from rnascl_keras.units import parse_number


def _fraction(value: Any) -> Any:
    """Let `"8/255"` stand for a number; what is none is left for pydantic to refuse."""
    number = parse_number(value) if isinstance(value, str) else None
    return value if number is None else number


def _within_pixels(length: float) -> float:
    """Return a length in pixels of [0, 1].

    Raises:
        UserError: it is none, or one of pixels of [0, 255].
    """
    if 0 < length <= 1:
        return length
    meant = f"; was {length:g}/255 meant?" if 1 < length <= 255 else ""
    raise UserError(
        f"must be above 0 and at most 1, in pixels of [0, 1], such as 8/255; got {length:g}{meant}"
    )


def _none_as_name(given: Any) -> Any:
    """Let the `none` of `--set`, which elsewhere means that nothing is given, be a name."""
    return "none" if given is None else given


def _known_start(given: str) -> str:
    """Return from which weights a student starts.

    Raises:
        UserError: it is neither one of `STARTS`, nor a student that comes with the package, nor a
            `.keras` file.
    """
    known = [*STARTS, *included("students")]
    if given not in known and not given.endswith(".keras"):
        raise UserError(
            f"a student starts from {', '.join(known)} or a .keras file; got {given!r}."
            f"{nearest(given, known)}"
        )
    return given


STARTS = ("scratch", "supernet")
"""Of a student's weights, besides files."""

Name = Annotated[str, BeforeValidator(_none_as_name)]
Start = Annotated[str, AfterValidator(_known_start)]
Radius = Annotated[float, BeforeValidator(_fraction), AfterValidator(_within_pixels)]
Positive = Annotated[float, BeforeValidator(_fraction), Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, BeforeValidator(_fraction), Field(ge=0)]
SEEDS = 2**32
"""How many NumPy's generators take, from 0 on."""
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]


class Settings(BaseModel):
    """Settings with a fixed set of typed keys; `arguments()` are those of what they configure."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )

    LATER: ClassVar[dict[str, Any]] = {}
    """Settings that were not there from the beginning, with the values at which they do nothing: so
    what was made before they were there is known again."""

    def made_from(self) -> dict[str, Any]:
        """Return as JSON what a result depends on: without settings that have no effect."""
        values = self.model_dump(mode="json")
        own = {name: getattr(self, name) for name in values}
        nested = {name: x.made_from() for name, x in own.items() if isinstance(x, Settings)}
        idle = {name for name, value in self.LATER.items() if own[name] == value}
        return {key: value for key, value in (values | nested).items() if key not in idle}

    def _only(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}


def section_in(annotation: Any) -> type[Settings] | None:
    """Return the section that a recipe's field holds, None where it holds a single setting.

    Args:
        annotation: of the field: a class, or one or none.
    """
    kinds = get_args(annotation) or (annotation,)
    found = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Settings))
    return next(found, None)


class Training(Settings):
    """SGD and the schedule of its rate, see `schedules.learning_rate`.

    Attributes:
        epochs (epochs): passes over the training images.
        batch_size (images): of a step, over all devices.
        learning_rate: the highest of the schedule.
        schedule: how the rate moves; A.1 has step and cosine.
        momentum: of SGD.
        weight_decay: rate of the coupled L2 term on kernels.
        decay_epochs (epochs): after each, step divides the rate by 10; none: at 75 and 90 %;
            [], without any: it stays.
        clip_norm: bound of the norm of all gradients together; none: without.
    """

    LATER = {"decay_epochs": None, "clip_norm": None}

    epochs: Count = 100
    batch_size: Annotated[int, Field(ge=2)] = 128
    learning_rate: Positive = 0.1
    schedule: Literal["step", "cosine", "one_cycle"] = "step"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 2e-4
    decay_epochs: tuple[Count, ...] | None = None
    clip_norm: Positive | None = None

    @model_validator(mode="after")
    def _decay_one_after_another(self) -> Training:
        epochs = list(self.decay_epochs or ())
        if epochs != sorted(set(epochs)):
            raise UserError(
                f"decay_epochs have to ascend; got {','.join(map(str, epochs))}: put them in order."
            )
        return self
