"""Simulates a run: the real scheduler with modelled stages on modelled nodes.

Jobs pass through `orograph.infra.engines.schedule.Schedule`, with the same decisions as on a cluster; only time is
simulated. A tile is a
series of stages, and each stage asks for one resource of its node: cores, GPU or network. Cores and network are divided
equally among their current users, a GPU serves one tile after the other; rates change when a stage begins
or ends. Failures come from a seeded random generator.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from orograph.infra.engines.protocol import Outcome, Receipt, Status
from orograph.infra.engines.schedule import Attempt, Policy, Schedule
from orograph.pipeline.core.runnable import Runnable
from orograph.pipeline.errors import WorkerLost

CPU: Final = "cpu"
GPU: Final = "gpu"
NETWORK: Final = "network"
_EPSILON: Final = 1e-9


@dataclass(frozen=True, slots=True)
class StageModel:
    """One stage of a tile.

    Attributes:
        name: Name of the stage in receipts.
        resource: `cpu` (core-seconds), `gpu` (GPU-seconds) or `network` (megabytes).
        amount: Amount of the resource.
        limit: Largest rate for one tile: one core, one GPU, or a connection's MB/s.
        requests: Requests to the store.
    """

    name: str
    resource: str
    amount: float
    limit: float = 1.0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class NodeModel:
    """One kind of node.

    Attributes:
        cores, gpus: Number per node.
        network_mb_s: Network throughput in MB/s; 25 Gb/s are 3,125.
        workers: Number of simultaneous tiles on a node.
        price_per_hour: Price in any currency.
    """

    cores: float
    gpus: float = 0.0
    network_mb_s: float = 3125.0
    workers: int = 16
    price_per_hour: float = 0.0

    def capacity(self, resource: str) -> float:
        """Amount of a resource that a node provides per second."""
        return {CPU: self.cores, GPU: self.gpus, NETWORK: self.network_mb_s}[resource]


@dataclass(frozen=True, slots=True)
class ClusterModel:
    """Simulated cluster.

    Attributes:
        dispatch_s: The driver's time for one tile; it serves one tile after the other.
        start_s: Time to start a worker.
        loss_rate: Probability that a worker dies during an attempt.
        spread: Sigma of the log-normal factor (mean 1) that scales the amounts of each tile.
    """

    node: NodeModel
    nodes: int = 1
    dispatch_s: float = 0.005
    start_s: float = 3.0
    loss_rate: float = 0.0
    spread: float = 0.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """Result of a simulated run.

    Attributes:
        makespan_s: Time from submission to the last tile.
        utilisation: Used fraction of each resource over all nodes.
        binding: The resource that was used most.
        requests_per_s, megabytes_per_s: Average load of the store.
        outcomes: Number of tiles by final state.
    """

    makespan_s: float
    utilisation: dict[str, float]
    binding: str
    requests_per_s: float
    megabytes_per_s: float
    cost: float
    outcomes: dict[str, int]
    retries: int


@dataclass(slots=True)
class _SimulatedTile:
    attempt: Attempt
    stages: Sequence[StageModel]
    factor: float
    dies_in: int | None
    place: int = -1
    left: float = 0.0
    rate: float = 0.0
    updated_s: float = 0.0
    version: int = 0
    entered: int = 0

    @property
    def stage(self) -> StageModel:
        return self.stages[self.place]


@dataclass(slots=True)
class _Node:
    """Shares one node's resources among its tasks."""

    model: NodeModel
    tasks: list[_SimulatedTile] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)

    def share(self, resource: str, now_s: float) -> list[_SimulatedTile]:
        """Divide a resource again after a task began or ended; return the tasks whose rate changed."""
        users = [task for task in self.tasks if task.place >= 0 and task.stage.resource == resource]
        users.sort(key=lambda task: task.entered)
        divide = _in_turn if resource == GPU else _fair_shares
        fair = divide(self.model.capacity(resource), [task.stage.limit for task in users])
        changed = []
        for task, rate in zip(users, fair, strict=True):
            self.settle(task, now_s)
            if abs(rate - task.rate) > _EPSILON or task.version == 0:
                task.rate = rate
                task.version += 1
                changed.append(task)
        return changed

    def settle(self, task: _SimulatedTile, now_s: float) -> None:
        """Account for what a task has used since it was last looked at."""
        done = min(task.left, task.rate * (now_s - task.updated_s))
        task.left -= done
        task.updated_s = now_s
        self.used[task.stage.resource] += done  # type: ignore[assignment]  # amounts are fractional


def _in_turn(capacity: float, limits: Sequence[float]) -> list[float]:
    """First come, first served: a GPU runs one tile's kernels, then the next one's."""
    shares = []
    for limit in limits:
        shares.append(min(limit, capacity))
        capacity -= shares[-1]
    return shares


def _fair_shares(capacity: float, limits: Sequence[float]) -> list[float]:
    """Max-min fair shares: none exceeds its limit, and the unused remainder goes to the others."""
    shares = [0.0] * len(limits)
    left, waiting = capacity, sorted(range(len(limits)), key=lambda index: limits[index])
    while waiting:
        equal = left / len(waiting)
        index = waiting.pop(0)
        shares[index] = min(limits[index], equal)
        left -= shares[index]
    return shares


class Simulator:
    """Runs jobs on a modelled cluster; make a new one for each run."""

    def __init__(
        self, jobs: Iterable[Runnable], stages: Sequence[StageModel], cluster: ClusterModel, policy: Policy
    ) -> None:
        for stage in stages:
            if not cluster.node.capacity(stage.resource) > 0:
                raise WorkerLost(f"stage {stage.name} needs {stage.resource}, and the nodes have none")
        self.schedule = Schedule(jobs, policy)
        self.stages = stages
        self.cluster = cluster
        self.nodes = [_Node(cluster.node) for _ in range(cluster.nodes)]
        self.random = random.Random(cluster.seed)  # noqa: S311 - a simulation must be repeatable
        self.events: list[tuple[float, int, _SimulatedTile, _Node, int]] = []
        self.serial = 0
        self.now_s = cluster.start_s
        self.driver_free_s = cluster.start_s
        self.outcomes: list[Outcome] = []
        self.requests = 0

    def run(self) -> SimulatedRun:
        """Simulate the run to its end."""
        self._assign()
        while self.events or not self.schedule.finished:
            if self.events:
                moment, _, task, node, version = heapq.heappop(self.events)
                if version != task.version:
                    continue
                self.now_s = moment
                self._advance(task, node)
            else:
                self.now_s += self.schedule.wake_s(self.now_s) or 0.0
            self._assign()
        return self._summary()

    def _assign(self) -> None:
        """As the engine does: every free worker gets the next job, the emptiest node first."""
        while True:
            node = min(self.nodes, key=lambda n: len(n.tasks))
            if len(node.tasks) >= self.cluster.node.workers:
                return
            attempt = self.schedule.next_attempt(self.now_s)
            if attempt is None:
                return
            spread = self.cluster.spread
            factor = math.exp(self.random.gauss(-spread * spread / 2, spread)) if spread else 1.0
            dies = self.random.random() < self.cluster.loss_rate
            task = _SimulatedTile(
                attempt, self.stages, factor, self.random.randrange(len(self.stages)) if dies else None
            )
            node.tasks.append(task)
            # The driver hands out one job after the other.
            self.driver_free_s = max(self.driver_free_s, self.now_s) + self.cluster.dispatch_s
            task.version = 1
            self._push(self.driver_free_s, task, node)

    def _advance(self, task: _SimulatedTile, node: _Node) -> None:
        """A task's stage has ended (or its dispatch has): the next begins, or the tile has ended."""
        before = None
        if task.place >= 0:
            node.settle(task, self.now_s)
            before = task.stage.resource
        task.place += 1
        if task.place == len(task.stages) or task.dies_in == task.place:
            self._end(task, node)
        else:
            task.left, task.rate, task.updated_s = task.stage.amount * task.factor, 0.0, self.now_s
            self.serial += 1
            task.entered = self.serial
            self.requests += task.stage.requests
        for resource in {before, task.stage.resource if task in node.tasks else before} - {None}:
            for changed in node.share(str(resource), self.now_s):
                # A queued task is woken when another one leaves.
                if changed.rate > 0:
                    self._push(self.now_s + changed.left / changed.rate, changed, node)

    def _end(self, task: _SimulatedTile, node: _Node) -> None:
        node.tasks.remove(task)
        task.version += 1
        attempt = task.attempt
        if task.place < len(task.stages):
            outcome = self.schedule.failed(attempt, WorkerLost("the simulated worker died"), self.now_s)
        else:
            receipt = Receipt(attempt.job.id, attempt.job.run_key, Status.DONE, attempt.job.manifest_key)
            outcome = self.schedule.succeeded(attempt, receipt)
        if outcome is not None:
            self.outcomes.append(outcome)

    def _push(self, moment_s: float, task: _SimulatedTile, node: _Node) -> None:
        self.serial += 1
        heapq.heappush(self.events, (moment_s, self.serial, task, node, task.version))

    def _summary(self) -> SimulatedRun:
        used: Counter[str] = Counter()
        for node in self.nodes:
            used.update(node.used)
        span_s = max(self.now_s, _EPSILON)
        utilisation = {
            resource: round(used[resource] / (self.cluster.node.capacity(resource) * len(self.nodes) * span_s), 4)
            for resource in (CPU, GPU, NETWORK)
            if self.cluster.node.capacity(resource)
        }
        return SimulatedRun(
            makespan_s=round(self.now_s, 3),
            utilisation=utilisation,
            binding=max(utilisation, key=lambda resource: utilisation[resource]),
            requests_per_s=round(self.requests / span_s, 2),
            megabytes_per_s=round(used[NETWORK] / span_s, 2),
            cost=round(span_s / 3600 * self.cluster.node.price_per_hour * len(self.nodes), 2),
            outcomes=dict(Counter(str(outcome.status) for outcome in self.outcomes)),
            retries=sum(outcome.attempts - 1 for outcome in self.outcomes),
        )


def simulate(
    jobs: Iterable[Runnable], stages: Sequence[StageModel], cluster: ClusterModel, policy: Policy | None = None
) -> SimulatedRun:
    """Simulate a run of jobs that all take the modelled stages."""
    return Simulator(jobs, stages, cluster, policy or Policy()).run()
