"""What every training of a run begins with."""

from __future__ import annotations

import keras
import pytest

from rnascl_keras.run.fitting import seed_stage


@pytest.mark.parametrize("seed", [0, 20240101, 2**32 - 1])
def test_every_seed_that_the_settings_take_gives_a_stage_numbers_of_its_own(seed):
    drawn = []
    for stage in (1, 2, 1):
        seed_stage(seed, stage)
        drawn.append(keras.ops.convert_to_numpy(keras.random.uniform((4,))).tolist())
    assert drawn[0] == drawn[2] != drawn[1]
