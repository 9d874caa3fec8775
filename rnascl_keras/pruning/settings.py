"""How a model is pruned: the way to a mask, how much stays, and the trainings."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from rnascl_keras.errors import UserError
from rnascl_keras.section import Count, Positive, Radius, Training


class Pruning(Training):
    """The settings of `prune.prune_run`; those of `Training` are of the fine-tuning.

    `way` leads to the mask: "magnitude" takes the largest weights of each layer (LWM), "hydra"
    learns scores in `mask_epochs`, "admm" pulls the weights to a pruned copy in as many. `keep` is
    the share of each layer's weights that stay, with `structured` that of the channels. All
    trainings are adversarial, by `method` within `epsilon`, in `steps` of `step_size` where the
    method takes several, see `AdversarialTrainer`.
    """

    LATER: ClassVar[dict[str, Any]] = {
        **Training.LATER,
        "steps": 7,
        "step_size": None,
        "trades_beta": 6.0,
    }

    way: Literal["magnitude", "hydra", "admm"] = "magnitude"
    keep: Annotated[float, Field(gt=0, le=1)] = 0.1
    structured: bool = False
    epochs: Annotated[int, Field(ge=0)] = 20  # pyright: ignore[reportIncompatibleVariableOverride]
    mask_epochs: Count = 20
    mask_learning_rate: Positive = 0.1
    learning_rate: Positive = 0.01
    schedule: Literal["step", "cosine", "one_cycle"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    method: Literal["pgd", "trades", "fast", "n_fgsm"] = "n_fgsm"
    epsilon: Radius = 8 / 255
    steps: Count = 7
    step_size: Positive | None = None
    trades_beta: Positive = 6.0

    @model_validator(mode="after")
    def _way_to_channels(self) -> Pruning:
        if self.structured and self.way != "magnitude":
            raise UserError(
                f"whole channels are chosen by magnitude; got way {self.way!r}: leave out --way or "
                "--structured."
            )
        return self

    @classmethod
    def checked(cls, **given: Any) -> Pruning:
        """Return the settings.

        Raises:
            UserError: one is out of its range, or unknown.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0]).replace("_", "-") if problem["loc"] else "prune"
            ours = problem.get("ctx", {}).get("error")
            words = ours or f"--{name}: {problem['msg']}; got {problem['input']!r}."
            raise UserError(str(words)) from error

    def arguments(self) -> dict[str, Any]:
        """Return those of `AdversarialTrainer`."""
        attack = ("method", "epsilon", "steps", "step_size", "trades_beta")
        return self._only(*attack, "weight_decay")

    def of_mask(self) -> Training:
        """Return the settings of the training that leads to the mask."""
        return Training(
            epochs=self.mask_epochs,
            batch_size=self.batch_size,
            learning_rate=self.mask_learning_rate,
            schedule=self.schedule,
            momentum=self.momentum,
            clip_norm=self.clip_norm,
        )

    def title(self) -> str:
        """Return a name for files: `hydra_0.1`, `channels_0.5`."""
        return f"{'channels' if self.structured else self.way}_{self.keep:g}"
