"""What every attack shares: the projection, the one ascent loop, and running over a data set.

All attacks are L-infinity on pixels of [0, 1]. An attack is a small class on `Attack` that says
only how it differs: its steps, its start, its objective, its direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    Direction = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def project(adversarial: tf.Tensor, images: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Return `adversarial` moved into the ball around `images`, then into [0, 1].

    Args:
        adversarial: (batch, h, w, c).
        images: (batch, h, w, c), pixels in [0, 1].
        epsilon: radius of the L-infinity ball in pixel units of [0, 1], e.g. 8 / 255.
    """
    import tensorflow as tf

    in_ball = tf.minimum(tf.maximum(adversarial, images - epsilon), images + epsilon)
    return tf.clip_by_value(in_ball, 0.0, 1.0)


def sign_direction(gradient: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Steepest ascent in the L-infinity norm: the gradient's sign. Remembers nothing."""
    import tensorflow as tf

    return tf.sign(gradient), memory


def ascend(
    objective: Callable[[tf.Tensor], tf.Tensor],
    start: tf.Tensor,
    images: tf.Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    direction: Direction = sign_direction,
) -> tf.Tensor:
    """Raise `objective` by projected gradient steps from `start`; the package's only attack loop.

    It is a `tf.while_loop`, so it compiles (also with XLA) inside a training step. No gradient
    flows through the result.

    Args:
        objective: (batch, h, w, c) -> one value per image, (batch,). Each must depend on its own
            image only, so that the gradient of their sum is every image's own gradient.
        start: (batch, h, w, c), projected before the first step.
        images: (batch, h, w, c), the centre of the ball, pixels in [0, 1].
        epsilon: radius of the L-infinity ball in pixel units of [0, 1].
        step_size: length of one step, in pixel units of [0, 1].
        steps: number of steps; 0 gives the projected start.
        direction: (gradient, memory) -> (step in units of `step_size`, memory), all of the images'
            shape; the memory is zeros at first.

    Returns:
        (batch, h, w, c) adversarial images, within `epsilon` of `images` and in [0, 1].
    """
    import tensorflow as tf

    def step(index, adversarial, memory):
        with tf.GradientTape() as tape:
            tape.watch(adversarial)
            total = tf.reduce_sum(objective(adversarial))
        move, memory = direction(tape.gradient(total, adversarial), memory)
        return index + 1, project(adversarial + step_size * move, images, epsilon), memory

    _, adversarial, _ = tf.while_loop(
        lambda index, *_: index < steps,
        step,
        (0, project(start, images, epsilon), tf.zeros_like(images)),
        maximum_iterations=steps,
    )
    return tf.stop_gradient(adversarial)


def uniform_noise(shape: tuple[int, ...], seed: int, indices: np.ndarray) -> np.ndarray:
    """Return noise of U(-1, 1), (len(indices), *shape) float32; row k depends on (seed, indices[k])
    only, so an image's random start is the same in batches of any size."""
    rows = [np.random.default_rng((seed, int(i))).uniform(-1.0, 1.0, shape) for i in indices]
    return np.stack(rows).astype(np.float32)


def map_batches(
    function: Callable[..., np.ndarray], arrays: Sequence[np.ndarray], batch_size: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index of the first row, function(*batch)) over batches of `batch_size` rows.

    The last batch is filled up with its last row, and the result cut back, so that `function`
    compiles for one shape only.
    """
    count = len(arrays[0])
    for first in range(0, count, batch_size):
        rows = np.minimum(np.arange(first, first + batch_size), count - 1)
        result = function(*(array[rows] for array in arrays))
        yield first, np.asarray(result)[: count - first]


class Attack:
    """An L-infinity attack: projected gradient ascent on the cross-entropy.

    Subclasses set the settings and `key`, and override what differs: `objective`, `direction`, or,
    for an attack with another loop, `adversarial_batch`.

    Args:
        epsilon: radius of the L-infinity ball in pixel units of [0, 1], e.g. 8 / 255.
        steps: number of gradient steps.
        step_size: length of a step, in pixel units of [0, 1].
        random_start: start from a uniform point of the ball instead of the image.

    Raises:
        UserError: `epsilon` is not in (0, 1].
    """

    key: str

    def __init__(self, epsilon: float, *, steps: int, step_size: float, random_start: bool):
        self.epsilon = check_epsilon(epsilon)
        self.steps = steps
        self.step_size = step_size
        self.random_start = random_start
        self._compiled: tuple[keras.Model, Callable] | None = None

    def objective(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """What the attack raises, (batch, classes) and (batch,) -> (batch,): the cross-entropy.

        It is the log-odds m against the true class, for the cross-entropy is log(1 + exp(m)). Its
        gradient is sigmoid(m) times that of m, so sign and normalised directions are the same,
        but where the model is sure, sigmoid(m) underflows to 0 and the attack would stand still.
        """
        import tensorflow as tf

        true_class = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False)
        others = tf.where(true_class, logits.dtype.min, logits)
        true_logit = tf.gather(logits, labels, axis=1, batch_dims=1)
        return tf.reduce_logsumexp(others, axis=1) - true_logit

    def direction(self, gradient: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where the next step goes, see `ascend`."""
        return sign_direction(gradient, memory)

    def adversarial_batch(
        self,
        logits: Callable[[tf.Tensor], tf.Tensor],
        start: tf.Tensor,
        images: tf.Tensor,
        labels: tf.Tensor,
    ) -> tf.Tensor:
        """Attack one batch in graph mode; `logits` maps (batch, h, w, c) to (batch, classes)."""
        return ascend(
            lambda adversarial: self.objective(logits(adversarial), labels),
            start,
            images,
            epsilon=self.epsilon,
            step_size=self.step_size,
            steps=self.steps,
            direction=self.direction,
        )

    def perturb(
        self,
        model: keras.Model,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int = 128,
        seed: int = 0,
        progress: Callable[[int, np.ndarray], None] | None = None,
    ) -> np.ndarray:
        """Attack every image against its true label, `model` running in inference mode.

        Args:
            model: gives logits, (batch, h, w, c) -> (batch, classes).
            images: (n, h, w, c) float32, pixels in [0, 1].
            labels: (n,) integers.
            batch_size: images attacked at a time. What is found does not depend on it, but for
                rounding of float32.
            seed: of the random starts, not negative.
            progress: called after each batch with the index of its first image and its
                adversarial images.

        Returns:
            (n, h, w, c) float32 adversarial images.
        """
        images = np.asarray(images, np.float32)
        size = max(1, min(batch_size, len(images)))
        attack = self._compiled_for(model, (size, *images.shape[1:]))

        def attack_batch(batch: np.ndarray, batch_labels: np.ndarray, indices: np.ndarray):
            noise = np.zeros_like(batch)
            if self.random_start:
                noise = self.epsilon * uniform_noise(batch.shape[1:], seed, indices)
            return attack(batch, noise, batch_labels)

        adversarial = np.empty_like(images)
        arrays = (images, np.asarray(labels, np.int64), np.arange(len(images)))
        for first, result in map_batches(attack_batch, arrays, size):
            adversarial[first : first + len(result)] = result
            if progress is not None:
                progress(first, result)
        return adversarial

    def _compiled_for(self, model: keras.Model, shape: tuple[int, ...]) -> Callable:
        """Return the compiled attack on batches of `shape`: (images, noise, labels) -> images.

        It is kept for as long as the model stays the same one, and reads the model's variables
        when it runs, so training in between is seen.
        """
        import tensorflow as tf

        if self._compiled is None or self._compiled[0] is not model:

            def logits(images):
                return tf.cast(model(images, training=False), images.dtype)

            def attack(images, noise, labels):
                return self.adversarial_batch(logits, images + noise, images, labels)

            self._compiled = (model, tf.function(attack))
        pixels = tf.TensorSpec(shape, tf.float32)
        compiled = self._compiled[1].get_concrete_function(
            pixels, pixels, tf.TensorSpec(shape[:1], tf.int64)
        )
        return lambda *arrays: compiled(*(tf.constant(array) for array in arrays)).numpy()


def check_epsilon(epsilon: float) -> float:
    """Return `epsilon` as a float; UserError where it is not a radius in (0, 1]."""
    if not 0.0 < epsilon <= 1.0:
        raise UserError(
            f"epsilon is {epsilon}; expected a radius in (0, 1], in pixel units of [0, 1]: "
            "for 8 of 255 grey levels give 8/255."
        )
    return float(epsilon)
