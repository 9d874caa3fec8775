"""The supernet: a search space as one network with masked channel choices (section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from rnascl_keras.method import blocks
from rnascl_keras.method.channel_choice import ChannelChoice, ChannelMask
from rnascl_keras.method.spaces import EXPANSION, SearchSpace, Stage, get_space
from rnascl_keras.models.image_input import check_classes, image_input

Tensor = Any


@keras.saving.register_keras_serializable("rnascl_keras")
class Supernet(keras.Model):
    """All students of a search space in one functional model, images -> logits.

    Every block has a `ChannelChoice`. In training mode its Gumbel weights are drawn once a step and
    mask the block's output and, times 6, the hidden channels of the next block. In inference mode
    the supernet computes as the student that would be derived now.

    Args:
        space: a `SearchSpace` or the name of one, e.g. `"S3"`.
        input_shape: (height, width, channels) of images with pixels in [0, 1].
        classes: number of classes.
        noise: of the Gumbel-softmax, `"gumbel"` or `"normal"`.
        seed: of that noise: block k, from 0, draws with `seed` + 1 + k, and the tutors of a
            `CrossLayerSearch` of the same seed with `seed`. Two supernets whose noise is to be
            independent want seeds further apart than they have blocks, see `gumbel.tutor_seed`.

    Attributes:
        choices: the `ChannelChoice` of every block, in order.
    """

    def __init__(
        self,
        space: str | SearchSpace,
        input_shape: tuple[int, int, int] = (32, 32, 3),
        classes: int = 10,
        *,
        noise: str = "gumbel",
        seed: int | None = None,
        name: str = "supernet",
    ) -> None:
        space = get_space(space)
        check_classes(classes)
        choices = [
            ChannelChoice(
                stage.widths,
                noise=noise,
                seed=None if seed is None else seed + 1 + k,  # `seed` is the tutors'
                name=f"{block}_choice",
            )
            for k, (stage, block) in enumerate(_stages_and_blocks(space))
        ]
        images = image_input(input_shape)
        logits = blocks.classifier(
            images,
            lambda x: _masked_blocks(x, space, choices),
            space=space,
            classes=classes,
        )
        super().__init__(images, logits, name=name)
        self.space = space
        self.classes = classes
        self.noise = noise
        self.seed = seed
        self.choices = choices

    def get_config(self) -> dict[str, Any]:
        return {
            "space": self.space.to_dict(),
            "input_shape": list(self.input_shape[1:]),
            "classes": self.classes,
            "noise": self.noise,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Supernet:
        return cls(**{**config, "space": SearchSpace.from_dict(config["space"])})


def _stages_and_blocks(space: SearchSpace) -> list[tuple[Stage, str]]:
    names = blocks.block_names(space.depths)
    return [(stage, block) for stage, row in zip(space.stages, names, strict=True) for block in row]


def _masked_blocks(x: Tensor, space: SearchSpace, choices: list[ChannelChoice]) -> Tensor:
    before: dict[str, Callable] = {}  # masks; the stem has all its channels
    queue = iter(choices)
    for stage, row in zip(space.stages, blocks.block_names(space.depths), strict=True):
        for position, name in enumerate(row):
            choice = next(queue)
            weights = choice(x)
            x = blocks.inverted_residual(
                x,
                name,
                max(stage.widths),
                stride=stage.stride if position == 0 else 1,
                residual=position > 0,
                activation=space.activation,
                squeezed=space.squeezed(x.shape[-1]),
                output_mask=_masks(choice.widths, weights),
                **before,
            )
            squeezed = [space.squeezed(width) for width in choice.widths]
            before = {
                "hidden_mask": _masks(choice.widths, weights, EXPANSION),
                "squeezed_mask": _masks(squeezed, weights),
            }
    return x


def _masks(widths: Sequence[int], weights: Tensor, expansion: int = 1) -> Callable:
    """Return a maker of a choice's masks: name of what is masked -> mask."""

    def named(name: str) -> Callable[[Tensor], Tensor]:
        mask = ChannelMask(widths, expansion, name=f"{name}_mask")
        return lambda z: mask([z, weights])

    return named
