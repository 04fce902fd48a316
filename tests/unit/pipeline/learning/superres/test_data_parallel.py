"""Processes share a batch evenly; alone, nothing changes."""

import numpy as np
import pytest
import torch

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.data_parallel import DataParallel
from orograph.pipeline.learning.superres.dataset import Batch
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.network import Condition

CONDITION = Condition(Thinning.DECIMATED)
BATCH = Batch(
    np.arange(6, dtype=np.float32).reshape(6, 1, 1, 1), np.zeros((6, 1, 3, 3), np.float32), np.ones((6, 1, 3, 3), bool),
    np.arange(6, dtype=np.float32), CONDITION,
)  # fmt: skip


def test_ranks_take_consecutive_parts_that_make_the_whole():
    parts = [DataParallel(rank, 3).share(BATCH) for rank in range(3)]
    np.testing.assert_array_equal(np.concatenate([part.coarse for part in parts]), BATCH.coarse)
    np.testing.assert_array_equal(np.concatenate([part.noise_m for part in parts]), BATCH.noise_m)
    assert [DataParallel(rank, 3).is_rank_zero for rank in range(3)] == [True, False, False]


def test_an_uneven_batch_is_rejected():
    with pytest.raises(ConfigError, match="6 patches a step for 4"):
        DataParallel(0, 4).share(BATCH)


def test_alone_a_process_keeps_everything():
    alone = DataParallel()
    assert alone.share(BATCH) is BATCH
    value = torch.tensor(2.0)
    assert alone.mean(value) is value
    module = torch.nn.Linear(1, 1)
    assert alone.wrap(module) is module
