"""The engine of a Ray cluster; with the modules `ray_*` the only ones of the batch path that import ray.

Every worker is an actor that makes one tile per call, from store to store; only jobs and receipts cross Ray.
`orograph.infra.engines.schedule` decides on retries, deadlines and replaced actors, because Ray retries a task that
runs out of memory indefinitely, cannot interrupt C code, and waits silently for a resource that no node has. Ray places
actors, grows the cluster for pending ones, and excludes nodes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from orograph.infra.engines.protocol import EventCallback, Outcome, Runner, Work
from orograph.infra.engines.ray_actors import Actors
from orograph.infra.engines.ray_capacity import Demand, capacity_of, check_fits, has_autoscaler
from orograph.infra.engines.schedule import Policy, Schedule

_GROWING_START_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Resources of each worker, and the number of workers.

    Attributes:
        address: Address of the cluster; None takes `RAY_ADDRESS`, the job's own cluster, or starts one on this machine.
        workers: Number of actors; 0 means as many as the cluster's resources allow, counted again during the run.
        cpus_per_worker, gpus_per_worker: May be fractions; `1/k` lets k workers share a GPU.
        memory_mb_per_worker: Memory per worker declared to Ray, which then places only as many workers on a node as
            fit.
        start_timeout_s: Longest time without a ready worker; None means half an hour on a cluster that grows.
        autoscaling: The cluster grows on demand; False lets Ray report it.
    """

    address: str | None = None
    workers: int = 0
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    memory_mb_per_worker: int = 0
    start_timeout_s: float | None = None
    autoscaling: bool = False

    @property
    def demand(self) -> dict[str, float]:
        """Resources of one worker, by Ray's names."""
        wanted = {
            "CPU": self.cpus_per_worker,
            "GPU": self.gpus_per_worker,
            "memory": float(self.memory_mb_per_worker * 2**20),
        }
        return {name: amount for name, amount in wanted.items() if amount}


class RayEngine:
    """Runs jobs on a Ray cluster.

    Args:
        options: Resources of each worker.
        policy: Number of attempts, deadline and waiting times.
    """

    name = "ray"

    def __init__(self, options: RayOptions | None = None, policy: Policy | None = None) -> None:
        self.options = options or RayOptions()
        self.policy = policy or Policy()
        self._schedule: Schedule | None = None
        self._actors: Actors | None = None

    @property
    def workers(self) -> int:
        """Largest number of workers that were ready at once; before the first is ready, the requested number."""
        return (self._actors.most_ready if self._actors is not None else 0) or self.options.workers

    @property
    def notes(self) -> tuple[str, ...]:
        """Nodes that were excluded, one line each."""
        return tuple(self._actors.health.aside.values()) if self._actors is not None else ()

    def drain(self) -> None:
        """Start no further job; `run` ends after the running ones. May be called from a signal handler."""
        if self._schedule is not None:
            self._schedule.drain()

    def run(self, jobs: Iterable[Work], runner: Runner[Work], on_event: EventCallback) -> Iterator[Outcome]:
        """Run every job and yield its outcome; one tile's failure never stops the others.

        Raises:
            ResourcesMissing: no node has what one worker needs, or none became free in time.
            EngineError: workers cannot start; the message names the host and the cause.
        """
        connect(self.options.address)
        ray = _ray()
        resources = self.options.demand
        grows = self.options.autoscaling or has_autoscaler(resources)
        demand = Demand(resources, self.options.workers, grows)
        check_fits(ray, demand, capacity_of(ray, resources))
        patience_s = self.options.start_timeout_s or (_GROWING_START_S if grows else self.policy.start_timeout_s)
        self._schedule = Schedule(jobs, self.policy)
        self._actors = Actors(ray, self._schedule, demand, patience_s, runner, on_event)
        return self._actors.run()


def _ray() -> Any:
    """The ray module without its types, which do not know half of its own options."""
    import ray

    return ray


def connect(address: str | None) -> None:
    """Connect to the cluster of this address or of this process, unless it is connected already."""
    import ray

    if not ray.is_initialized():
        # Without an address Ray takes up whatever cluster last ran on this machine, and waits long if it is gone.
        own = "local" if address is None and "RAY_ADDRESS" not in os.environ else address
        ray.init(address=own, log_to_driver=False, configure_logging=False)
