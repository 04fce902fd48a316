"""Processes that train one network together: each computes a part of every batch, and all make the same step.

The batch of a step is drawn from the run's seed, independent of the number of processes, and sums that a loss divides
by are taken over all of them. So a run depends on the number of processes only through the order of additions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.distributed
from torch import Tensor, nn

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.dataset import Batch


def _as_it_is(module: nn.Module) -> nn.Module:
    return module


@dataclass(frozen=True, slots=True)
class DataParallel:
    """Rank of this process among those that train together; by default it trains alone.

    Attributes:
        rank: Number of this process, from 0; process 0 keeps checkpoints, curves and figures.
        size: Number of processes; above one, they form torch's process group.
        wrap: Makes a module's gradients the mean over all processes (DistributedDataParallel).
    """

    rank: int = 0
    size: int = 1
    wrap: Callable[[nn.Module], nn.Module] = _as_it_is

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process writes checkpoints, curves and weights."""
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """This process's part of a batch.

        Raises:
            ConfigError: The batch size is not a multiple of the number of processes.
        """
        if self.size == 1:
            return batch
        count, rest = divmod(len(batch.coarse), self.size)
        if rest:
            raise ConfigError(f"{len(batch.coarse)} patches a step for {self.size} workers", remedy="take a multiple")
        own = slice(self.rank * count, (self.rank + 1) * count)
        noise_m = None if batch.noise_m is None else batch.noise_m[own]
        return replace(batch, coarse=batch.coarse[own], fine=batch.fine[own], valid=batch.valid[own], noise_m=noise_m)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a value without gradient over all processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return total / self.size
