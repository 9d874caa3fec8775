"""Decoding, cropping, flipping and scaling of images.

Nothing here draws a random number: `draws` are given, uniform in [0, 1), a row for each image.
Column 0 places the crop vertically, column 1 horizontally, column 2 decides the flip; the rest
are areas, then ratios, of the windows that `random_window` tries, or the row and the column of the
square that is cut out.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from rnascl_keras.data.augmentation import Augmentation
from rnascl_keras.data.centre import CENTRE_SHARE

WINDOW_RATIO = (3 / 4, 4 / 3)
WINDOW_TRIES = 10


def draws_needed(augmentation: Augmentation) -> int:
    """Return how many uniform numbers an image takes."""
    if augmentation.smallest_window:
        return 3 + 2 * WINDOW_TRIES
    if augmentation.cutout:
        return 5
    return 3 if augmentation.padding or augmentation.flip else 0


def augment_batch(images: tf.Tensor, draws: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Augment images of one size.

    Args:
        images: (b, h, w, c), uint8 0..255 or float32 in [0, 1].
        draws: (b, draws_needed).
        augmentation: what to do.

    Returns:
        float32 (b, h, w, c) in [0, 1].
    """
    if smallest := augmentation.smallest_window:
        size = static_sides(images)

        def scaled_window(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            image, row = pair
            top, left, height, width = tf.unstack(random_window(tf.shape(image)[:2], row, smallest))
            return scale(image[top : top + height, left : left + width], size)

        shape = tf.TensorSpec(images.shape[1:], tf.float32)
        images = tf.map_fn(scaled_window, (images, draws), fn_output_signature=shape)
    return as_float(crop_and_flip(images, draws, augmentation))


def crop_and_flip(images: tf.Tensor, draws: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Crop each image at random out of its zero-padded self, mirror every other one, cut out.

    Args:
        images: (b, h, w, c), any type.
        draws: (b, draws_needed).
        augmentation: its `padding`, `flip` and `cutout` count here.

    Returns:
        Images of the same shape and type.
    """
    pad = augmentation.padding
    if not (pad or augmentation.flip):
        return images
    height, width = images.shape[1:3]
    padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    offsets = tf.cast(draws[:, :2] * (2 * pad + 1), tf.int32)
    columns = tf.range(width)
    if augmentation.flip:
        mirrored = (draws[:, 2] < 0.5)[:, None]
        columns = tf.where(mirrored, columns[::-1], columns)
    rows = offsets[:, :1] + tf.range(height)  # (b, h)
    columns = offsets[:, 1:] + columns  # (b, w)
    # (b, h + 2 pad, w + 2 pad, c) -> (b, h, w + 2 pad, c) -> (b, h, w, c)
    padded = tf.gather(padded, rows, axis=1, batch_dims=1)
    cropped = tf.gather(padded, columns, axis=2, batch_dims=1)
    return _cut_out(cropped, draws, augmentation.cutout) if augmentation.cutout else cropped


def _cut_out(images: tf.Tensor, draws: tf.Tensor, side: int) -> tf.Tensor:
    """Make a square black in each image, (b, h, w, c); at the border less of it is inside."""

    def within(size: int, drawn: tf.Tensor) -> tf.Tensor:
        first = tf.cast(drawn * size, tf.int32) - side // 2
        places = tf.range(size) - first[:, None]  # (b, size)
        return (places >= 0) & (places < side)

    height, width = static_sides(images)
    rows, columns = within(height, draws[:, 3]), within(width, draws[:, 4])
    square = tf.expand_dims(rows, 2) & tf.expand_dims(columns, 1)
    return tf.where(tf.expand_dims(square, 3), tf.zeros_like(images), images)


def static_sides(images: tf.Tensor) -> tuple[int, int]:
    """Return height and width of images, (b, h, w, c), which are known when a step is traced."""
    sides: Any = images.shape.as_list()[1:3]
    return sides[0], sides[1]


def random_window(shape: tf.Tensor, draws: tf.Tensor, smallest: float) -> tf.Tensor:
    """Return the (top, left, height, width) of a random window of an image, int32 (4,).

    The usual window of ImageNet training (Szegedy et al. 2015), whose smallest area there is 0.08
    of the image's: area and ratio (uniform in its logarithm) are drawn until the window fits; after
    ten misses the largest central window of an allowed ratio.

    Args:
        shape: height and width of the image, int32 (2,).
        draws: (draws_needed,).
        smallest: share of the image's area.
    """
    height, width = tf.unstack(tf.cast(shape, tf.float32))
    areas = height * width * _between(draws[3 : 3 + WINDOW_TRIES], smallest, 1.0)
    ratios = tf.exp(_between(draws[3 + WINDOW_TRIES :], *map(math.log, WINDOW_RATIO)))
    heights = tf.round(tf.sqrt(areas / ratios))
    widths = tf.round(tf.sqrt(areas * ratios))
    fits = (heights >= 1) & (heights <= height) & (widths >= 1) & (widths <= width)
    # The last column always fits.
    heights = tf.concat([heights, [tf.minimum(height, tf.round(width / WINDOW_RATIO[0]))]], 0)
    widths = tf.concat([widths, [tf.minimum(width, tf.round(height * WINDOW_RATIO[1]))]], 0)
    chosen = tf.argmax(tf.concat([fits, [True]], 0))
    size = tf.stack([heights[chosen], widths[chosen]])
    room = tf.stack([height, width]) - size
    corner = tf.where(tf.reduce_any(fits), tf.floor(draws[:2] * (room + 1)), tf.floor(room / 2))
    return tf.cast(tf.concat([corner, size], 0), tf.int32)


def central_window(shape: tf.Tensor, size: int) -> tf.Tensor:
    """Return the (top, left, height, width) of the central square for evaluation, int32 (4,).

    Scaling the shorter side to 256/224 of the image size and cropping the centre, as is usual,
    is cropping 224/256 of the shorter side and scaling that (to within half a source pixel):
    so only the pixels that are needed get decoded and scaled. An image that has the size already
    is left as it is.

    Args:
        shape: height and width of the image, int32 (2,).
        size: height and width of the result.
    """
    shorter = tf.cast(tf.reduce_min(shape), tf.float32)
    side = tf.maximum(tf.cast(tf.round(shorter * CENTRE_SHARE), tf.int32), 1)
    side = tf.where(tf.reduce_all(shape == size), size, side)
    return tf.concat([(shape - side) // 2, [side, side]], 0)


def read_image(path: tf.Tensor, size: int, draws: tf.Tensor, smallest: float) -> tf.Tensor:
    """Read a window of a JPEG or PNG file.

    Args:
        path: scalar string.
        size: height and width of the result.
        draws: (draws_needed,), used for a random window.
        smallest: share of the image's area that a random window takes; 0: the central one.

    Returns:
        float32 (size, size, 3) in [0, 1].
    """
    contents = tf.io.read_file(path)

    def window(shape: tf.Tensor) -> tf.Tensor:
        return random_window(shape, draws, smallest) if smallest else central_window(shape, size)

    def decode_jpeg() -> tf.Tensor:
        shape = tf.io.extract_jpeg_shape(contents)[:2]
        return tf.io.decode_and_crop_jpeg(contents, window(shape), channels=3)

    def decode_other() -> tf.Tensor:
        image = tf.io.decode_png(contents, channels=3)
        top, left, height, width = tf.unstack(window(tf.shape(image)[:2]))
        return image[top : top + height, left : left + width]

    return scale(tf.cond(tf.io.is_jpeg(contents), decode_jpeg, decode_other), (size, size))


def scale(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Scale an image bilinearly, with antialiasing where it shrinks.

    Args:
        image: (h, w, c), uint8 0..255 or float32 in [0, 1].
        size: height and width of the result.

    Returns:
        float32 (*size, c) in [0, 1].
    """
    # Weights sum to 1 only within rounding, so the ends need clipping.
    scaled = tf.image.resize(as_float(image), size, antialias=True)
    return tf.clip_by_value(scaled, 0.0, 1.0)


def as_float(images: tf.Tensor) -> tf.Tensor:
    """Return uint8 0..255 as float32 in [0, 1]; float32 as it is."""
    return tf.cast(images, tf.float32) / 255.0 if images.dtype == tf.uint8 else images


def _between(draws: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + (high - low) * draws
