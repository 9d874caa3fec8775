"""The rows of Tables 3 and 4, and what is no search space."""

import json
from dataclasses import replace

import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.method.spaces import SPACES, SearchSpace, Stage, get_space

CIFAR = "16 12|32 28 24 20|64 60 56 52"
IMAGENET = [
    "28 24 20 16",
    "40 36 32 28",
    "96 88 80 72 64 56 48",
    "128 120 108 100 92 84 76 68",
    "216 208 200 192 184 176 168 160 152 144 136 128 120 108",
]
TABLES = {  # as printed: depth, stages
    "S3": ("3-3-3", CIFAR),
    "S5": ("5-5-5", CIFAR),
    "S7": ("7-7-7", CIFAR),
    "M": ("9-7-1", "80 76|160 156 152 148|128 124 120 116"),
    "L": ("9-7-1", "160 156|320 316 312 308|256 252 248 244"),
    "IS": ("3-3-3", "|".join(IMAGENET[:3])),
    "IM": ("3-3-3-4", "|".join(IMAGENET[:4])),
    "I": ("3-3-3-4-4", "|".join(IMAGENET)),
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_those_of_the_paper(name):
    depths, widths = TABLES[name]
    space = SPACES[name]
    assert "-".join(map(str, space.depths)) == depths
    assert "|".join(" ".join(map(str, stage.widths)) for stage in space.stages) == widths
    strides = [stage.stride for stage in space.stages]
    if name.startswith("I"):
        assert strides == [2, 2, 2, 1, 2][: len(strides)]
        assert (space.stem_width, space.stem_stride, space.head_width) == (16, 2, 1984)
    else:
        assert strides == [2, 2, 2]
        assert (space.stem_width, space.stem_stride, space.head_width) == (16, 1, None)


@pytest.mark.parametrize("name", SPACES)
def test_a_space_survives_json(name):
    rows = json.loads(json.dumps(SPACES[name].to_dict()))
    assert SearchSpace.from_dict(rows) == SPACES[name]


def test_a_space_is_found_by_name_and_passes_as_itself():
    assert get_space("S3") is SPACES["S3"]
    own = SearchSpace("mine", (Stage(1, (8, 4)),))
    assert get_space(own) is own
    assert own.widths_everywhere(min) == [[4]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: get_space("S33"), "'S33' is unknown.*Did you mean 'S3'"),
        (lambda: Stage(1, ()), "different positive integers"),
        (lambda: Stage(1, (8, 8)), "different positive integers"),
        (lambda: Stage(1, (8, 0)), "different positive integers"),
        (lambda: Stage(1, (8, 4.0)), "different positive integers"),
        (lambda: Stage(0, (8, 4)), "depth of at least 1"),
        (lambda: Stage(1, (8, 4), stride=3), "stride of 1 or 2"),
        (lambda: SearchSpace("none", ()), "'none' has no stages"),
    ],
)
def test_what_is_no_space_is_told(make, message):
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_space_with_one_choice_is_its_architecture():
    space = SPACES["S3_widest"]
    assert space == SPACES["S3"].with_one_choice(max, "S3_widest")
    assert [stage.widths for stage in space.stages] == [(16,), (32,), (64,)]
    assert space.depths == SPACES["S3"].depths


def test_what_is_not_as_in_the_paper_is_written_down_and_read():
    space = replace(SPACES["S3"], activation="silu", squeeze_excite=0.25)
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    assert {"activation", "squeeze_excite"}.isdisjoint(SPACES["S3"].to_dict())
    assert [space.squeezed(width) for width in (16, 1, 30)] == [4, 1, 8]
    with pytest.raises(UserError, match="activation 'swish' is unknown.*silu"):
        replace(space, activation="swish")
    with pytest.raises(UserError, match="squeeze_excite must be above 0"):
        replace(space, squeeze_excite=0)
