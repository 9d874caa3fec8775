"""What networks are built for is checked where it is given, whichever network it is."""

from __future__ import annotations

import keras
import pytest

from rnascl_keras import Architecture, Supernet
from rnascl_keras.errors import UserError
from rnascl_keras.method.spaces import get_space
from rnascl_keras.teachers import build_teacher


def _supernet(input_shape=(8, 8, 3), classes=3):
    return Supernet("S3", input_shape=input_shape, classes=classes)


def _student(input_shape=(8, 8, 3), classes=3):
    space = get_space("S3")
    widths = [[min(stage.widths)] * stage.depth for stage in space.stages]
    return Architecture(space, widths, input_shape=input_shape, classes=classes).build()


def _teacher(input_shape=(8, 8, 3), classes=3):
    return build_teacher("digits_cnn", input_shape=input_shape, classes=classes)


BUILT = pytest.mark.parametrize("build", [_supernet, _student, _teacher])


@BUILT
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 0), (8.5, 8, 3), (8, 8, 3, 1), 8, ()])
def test_images_of_no_such_size_are_refused(build, shape):
    with pytest.raises(UserError, match=r"input_shape is .*e\.g\. \(32, 32, 3\)"):
        build(input_shape=shape)


@BUILT
@pytest.mark.parametrize("classes", [0, 1, -1, 2.5, True])
def test_a_number_of_classes_that_is_none_is_refused(build, classes):
    with pytest.raises(UserError, match="classes is .*at least 2"):
        build(classes=classes)


@BUILT
def test_channels_first_is_refused(build):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(UserError, match="set_image_data_format"):
            build()
    finally:
        keras.config.set_image_data_format("channels_last")
