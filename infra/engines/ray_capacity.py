"""Number of workers that a Ray cluster has room for, and number to request where it grows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orograph.pipeline.errors import ResourcesMissing

_GROWTH: Final = 16
"""Workers asked for beyond those that fit, where the cluster grows: pending actors make Ray start nodes."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Resources of one worker, and number of workers.

    Attributes:
        resources: Amounts by Ray's names of resources.
        workers: Largest number; 0 means as many as fit.
        grows: The cluster starts nodes for pending actors.
    """

    resources: Mapping[str, float]
    workers: int = 0
    grows: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room for workers, by node id; nodes without room are left out."""

    rooms: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Number of workers that fit on all nodes."""
        return sum(self.rooms.values())

    def without(self, nodes: Mapping[str, str]) -> Capacity:
        """The room on all nodes except these."""
        return Capacity({node: room for node, room in self.rooms.items() if node not in nodes})

    def target(self, demand: Demand) -> int:
        """Number of workers to start."""
        if demand.workers:
            return demand.workers if demand.grows else min(demand.workers, self.total)
        return self.total + (max(self.total, _GROWTH) if demand.grows else 0)


def capacity_of(ray: Any, resources: Mapping[str, float]) -> Capacity:
    """The room on the nodes that are alive."""
    rooms = {node["NodeID"]: _fitting(node["Resources"], resources) for node in ray.nodes() if node["Alive"]}
    return Capacity({node: room for node, room in rooms.items() if room > 0})


def has_autoscaler(resources: Mapping[str, float]) -> bool:
    """Whether Ray reports an autoscaler that could provide a worker's resources."""
    limits: dict[str, int] = {}
    with contextlib.suppress(Exception):  # no public API reports it; without an answer the setting decides
        from ray._private.state import state

        limits = state.get_max_resources_from_cluster_config() or {}
    return bool(limits) and all(limits.get(name, 0) >= amount for name, amount in resources.items())


def check_fits(ray: Any, demand: Demand, capacity: Capacity) -> None:
    """Check that a worker fits on a present node, or on a node that the cluster can add.

    Raises:
        ResourcesMissing: no node fits, and the cluster does not grow.
    """
    if capacity.total or demand.grows:
        return
    have = ", ".join(f"{name} {amount:g}" for name, amount in sorted(_public(ray.cluster_resources()).items()))
    need = ", ".join(f"{name} {amount:g}" for name, amount in demand.resources.items())
    raise ResourcesMissing(
        f"a worker needs {need}; no node of this cluster has that (together they have {have})",
        remedy="start nodes that have it, ask for less, or set OROGRAPH_AUTOSCALING=true if the cluster grows on demand",
    )


def _fitting(resources: Mapping[str, float], demand: Mapping[str, float]) -> int:
    return min((int(resources.get(name, 0.0) / amount + 1e-6) for name, amount in demand.items()), default=0)


def _public(resources: Mapping[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in resources.items() if ":" not in name}
