"""The method's terms as Keras' losses of distillation.

`keras.distillation.DistillationLoss` is a function of what a teacher and a student give. The KL
term and one tutor's attention term are, so they also work in `keras.distillation.Distiller`.
TRADES and the attacks are not, for they ask the student about other images than the batch's; nor
is input-gradient alignment; nor is eq. 1 as a whole, whose teacher's maps may come from a cache.
They are a `Term` of ours.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from rnascl_keras.errors import check_name
from rnascl_keras.method.attention import (
    common_size,
    tutored_attention_loss,
    unit_maps,
)
from rnascl_keras.method.losses import check_kl, distillation_kl

Tensor = Any

OVER_CLASSES = ("sum", "mean")


@keras.saving.register_keras_serializable("rnascl_keras")
class KLDistillation(keras.distillation.DistillationLoss):
    """The KL term of eq. 2 and 3, averaged over the batch; both outputs are logits.

    It differs from `keras.distillation.LogitsDistillation` in its direction, which by default is
    the paper's, and in that no probability enters: Keras' clips them at 1e-7. Keras' own has to be
    given `loss=keras.losses.KLDivergence()`: where that is named by its text, as by default, Keras
    3.15 takes logits for probabilities.

    Args:
        direction, softening: see `losses.distillation_kl`.
        over_classes: "sum", which is the divergence, or "mean", which is that by the number of
            classes: PyTorch's `KLDivLoss` averages so, unless it is told otherwise.

    Raises:
        UserError: `direction` or `over_classes` is unknown.
    """

    def __init__(
        self,
        direction: str = "student_teacher",
        softening: float = 1.0,
        over_classes: str = "sum",
    ) -> None:
        check_kl(direction)
        check_name("over_classes", over_classes, OVER_CLASSES)
        self.direction = direction
        self.softening = softening
        self.over_classes = over_classes

    def of_images(self, teacher_outputs: Tensor, student_outputs: Tensor) -> Tensor:
        """Return the divergence for each image, float32 (batch,), of logits (batch, classes)."""
        kl = distillation_kl(student_outputs, teacher_outputs, self.direction, self.softening)
        return kl / student_outputs.shape[-1] if self.over_classes == "mean" else kl

    def compute_loss(self, teacher_outputs: Tensor, student_outputs: Tensor, **_: Any) -> Tensor:
        """Return the mean over the batch, a scalar, of logits (batch, classes)."""
        return ops.mean(self.of_images(teacher_outputs, student_outputs))

    def get_config(self) -> dict[str, Any]:
        return {
            "direction": self.direction,
            "softening": self.softening,
            "over_classes": self.over_classes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> KLDistillation:
        return cls(**config)


@keras.saving.register_keras_serializable("rnascl_keras")
class AttentionDistillation(keras.distillation.FeatureDistillation):
    """||s - t|| of eq. 1 for one student layer and its tutor, averaged over the batch.

    Eq. 1 of n_s layers is the sum of n_s such losses over n_s n_t. In Keras' `Distiller` a layer is
    its own output: name the activation behind a convolution, where `taps.tap` goes on by itself. It
    computes layer by layer, and asks the teacher in every step; `TutoredAttention` is for ours.

    Args:
        teacher_layer_name, student_layer_name: of layers that give (batch, h, w, c).
        map_size: common (height, width) of the maps; None: `attention.default_map_size` of the
            student's activation.
    """

    def __init__(
        self,
        teacher_layer_name: str,
        student_layer_name: str,
        map_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__("mse", teacher_layer_name, student_layer_name)  # its loss is not asked
        self.map_size = map_size

    def compute_loss(self, teacher_outputs: Tensor, student_outputs: Tensor, **_: Any) -> Tensor:
        """Return the mean over the batch, a scalar, of activations (batch, h, w, c)."""
        size = common_size(self.map_size, student_outputs.shape[1:3])
        student, teacher = (unit_maps([x], size) for x in (student_outputs, teacher_outputs))
        return tutored_attention_loss(student, teacher, n_t=1)

    def get_config(self) -> dict[str, Any]:
        return {
            "teacher_layer_name": self.teacher_layer_name,
            "student_layer_name": self.student_layer_name,
            "map_size": self.map_size,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AttentionDistillation:
        return cls(**config)
