"""Which images come on which replica, and going on inside an epoch."""

import numpy as np
import pytest

from rnascl_keras.data import Share, load_data
from rnascl_keras.errors import UserError

BATCH, STEPS = 20, 3
SETTINGS = {"augmentation": "shift", "seed": 3, "indexed": True}


@pytest.fixture(scope="module")
def digits():
    return load_data("digits").train.take(67)


def batches(data, steps, **settings):
    """Return images, labels, indices and views of the first batches."""
    made = data.training_batches(BATCH, **SETTINGS, **settings)
    return [[np.asarray(x) for x in batch] for batch in made.take(steps)]


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_every_host_gets_its_replicas_own_images_and_no_image_comes_twice(digits, hosts):
    replicas, each, steps = 4, 4 // hosts, 2 * STEPS  # two epochs
    whole = batches(digits, steps)
    by_host = [
        batches(digits, steps * each, share=Share(replicas, first * each, each))
        for first in range(hosts)
    ]
    for epoch in range(2):
        seen = [
            index
            for host in by_host
            for batch in host[epoch * STEPS * each : (epoch + 1) * STEPS * each]
            for index in batch[2]
        ]
        assert len(seen) == len(set(seen)) == STEPS * BATCH
    for step, batch in enumerate(whole):
        for replica in range(replicas):
            host, place = divmod(replica, each)
            for ours, theirs in zip(by_host[host][step * each + place], batch, strict=True):
                np.testing.assert_array_equal(ours, theirs[replica::replicas])


def test_the_first_part_of_a_batch_is_the_first_part_on_every_replica(digits):
    """So that 80 to 20 % means the same images on several replicas as on one."""
    (whole,) = batches(digits, 1)
    parts = batches(digits, 4, share=Share(4, 0, 4))
    first = {index for part in parts for index in part[2][: len(part[2]) * 4 // 5]}
    assert first == set(whole[2][: BATCH * 4 // 5])


@pytest.mark.parametrize("share", [Share(), Share(4, 2, 2)])
def test_going_on_inside_an_epoch_gives_what_would_have_come(digits, share):
    count = share.count
    whole = batches(digits, 3 * STEPS * count, share=share)
    rest = batches(digits, (2 * STEPS - 1) * count, share=share, first_epoch=1, first_step=1)
    for ours, theirs in zip(rest, whole[(STEPS + 1) * count :], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_batch_that_cannot_be_dealt_evenly_is_told(digits):
    with pytest.raises(UserError, match="batch_size=20 cannot be shared evenly by 3 replicas"):
        digits.training_batches(BATCH, share=Share(3, 0, 1))
