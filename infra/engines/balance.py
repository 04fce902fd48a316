"""Balance of a node: the number of cores that keep its GPUs busy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orograph.infra.engines.simulate import CPU, GPU, NETWORK, NodeModel, StageModel

BUSY: Final = 0.85
"""Share of its time that a GPU should compute."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Upper bounds of a node, tiles per minute, without queues and the last tiles of a run, which `simulate` models.

    Attributes:
        by_cores, by_gpus, by_network: Tiles per minute that each resource allows; infinite where no stage needs it.
        cores_per_gpu: Cores that keep one GPU busy for the fraction `BUSY` of its time; 0 without work for a GPU.
        workers: Number of simultaneous tiles that saturates the node's limiting resource.
    """

    by_cores: float
    by_gpus: float
    by_network: float
    cores_per_gpu: float
    workers: int

    @property
    def tiles_per_minute(self) -> float:
        """The least of the three bounds."""
        return min(self.by_cores, self.by_gpus, self.by_network)

    @property
    def gpu_busy(self) -> float:
        """Fraction of the time that the GPUs compute."""
        return self.tiles_per_minute / self.by_gpus


def balance(stages: Sequence[StageModel], node: NodeModel) -> Balance:
    """Return the bounds of a node for tiles that all take the modelled stages.

    Args:
        stages: Core-seconds, GPU-seconds and megabytes of one tile.
        node: Cores, GPUs and network of the node.
    """
    need = {name: sum(stage.amount for stage in stages if stage.resource == name) for name in (CPU, GPU, NETWORK)}
    rate = {name: 60.0 * node.capacity(name) / amount if amount else float("inf") for name, amount in need.items()}
    alone_s = sum(stage.amount / min(stage.limit, node.capacity(stage.resource)) for stage in stages)
    most = min(rate.values())
    cores = BUSY * need[CPU] / need[GPU] if need[GPU] else 0.0
    return Balance(rate[CPU], rate[GPU], rate[NETWORK], cores, max(1, -(-int(most * alone_s) // 60)))
