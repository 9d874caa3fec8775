"""What the sections of a recipe have in common, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rnascl_keras.units import parse_number


def _fraction(value: Any) -> Any:
    """Let `"8/255"` stand for a number; what is none is left for pydantic to refuse."""
    number = parse_number(value) if isinstance(value, str) else None
    return value if number is None else number


Radius = Annotated[float, BeforeValidator(_fraction), Field(gt=0, le=1)]
Positive = Annotated[float, BeforeValidator(_fraction), Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Settings with a fixed set of typed keys; `arguments()` are those of what they configure."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )

    def made_from(self) -> dict[str, Any]:
        """Return as JSON what a result depends on: without settings that have no effect."""
        values = self.model_dump(mode="json")
        own = {name: getattr(self, name) for name in values}
        nested = {name: x.made_from() for name, x in own.items() if isinstance(x, Settings)}
        return values | nested

    def _only(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}
