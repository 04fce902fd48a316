"""The engine of a Ray cluster; the only module of the batch path that imports ray.

Every worker is an actor that runs one whole tile a call, from store to store; only jobs and receipts cross Ray. Tries,
deadlines and the replacement of dead actors are ours (`orograph.infra.engines.schedule`), not Ray's: Ray retries a task that runs out of
memory for ever, cannot interrupt C code, and waits in silence for a resource no node has.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from orograph.infra.engines.attempt import deadline_error, execute, settle
from orograph.infra.engines.environment import apply_gdal_env, worker_env
from orograph.infra.engines.protocol import Event, EventCallback, Outcome, Receipt, Runner
from orograph.infra.engines.schedule import Attempt, Policy, Schedule
from orograph.pipeline.errors import EngineError, OrographError, OutOfMemory, ResourcesMissing, WorkerLost
from orograph.pipeline.job import Job

_POLL_S: Final = 0.25
_POST_S: Final = 2.0
"""How long a sign of life may take where somebody waits for it; without it the work goes on all the same."""


@dataclass(frozen=True, slots=True)
class RayOptions:
    """What a worker is given, and how many there are.

    Attributes:
        address: Of the cluster; None takes `RAY_ADDRESS`, the job's own cluster, or starts one on this machine.
        workers: Actors at once; 0 means as many as the cluster's resources hold.
        cpus_per_worker, gpus_per_worker: May be fractions; `1/k` lets k workers share a GPU.
        memory_mb_per_worker: Declared to Ray, which places no more workers on a node than fit.
        start_timeout_s: How long the first worker may stay unplaced, for clusters that grow on demand.
    """

    address: str | None = None
    workers: int = 0
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    memory_mb_per_worker: int = 0
    start_timeout_s: float = 300.0
    autoscaling: bool = False

    @property
    def demand(self) -> dict[str, float]:
        """One worker's resources by Ray's names."""
        wanted = {
            "CPU": self.cpus_per_worker,
            "GPU": self.gpus_per_worker,
            "memory": float(self.memory_mb_per_worker * 2**20),
        }
        return {name: amount for name, amount in wanted.items() if amount}


class TileWorker:
    """The actor: one process, one tile at a time."""

    def __init__(self, mailbox: Any, runner_type: type) -> None:
        # Unpickling the type imported its module, and with it everything that a job needs, before this worker becomes
        # ready: the deadline of the first job is for the job alone.
        del runner_type
        apply_gdal_env()
        self._mailbox = mailbox

    def run(self, runner: Runner, job: Job, ticket: int) -> Receipt | OrographError:
        """Run one job; errors are returned, because Ray wraps or loses those that are raised."""
        import ray

        begun = ""

        def post(stage: str, fraction: float) -> None:
            nonlocal begun
            letter = self._mailbox.post.remote(ticket, stage, fraction)
            if stage != begun:
                # Should this process be killed in the stage, the driver must be able to name it.
                ray.wait([letter], timeout=_POST_S)
                begun = stage

        return execute(runner, job, post)


class Mailbox:
    """Holds the workers' signs of life until the driver fetches them."""

    def __init__(self) -> None:
        self._letters: list[tuple[int, str, float]] = []

    def post(self, ticket: int, stage: str, fraction: float) -> None:
        """Leave a sign of life."""
        self._letters.append((ticket, stage, fraction))

    def fetch(self) -> list[tuple[int, str, float]]:
        """Take all that has come."""
        letters, self._letters = self._letters, []
        return letters


class RayEngine:
    """Runs jobs on a Ray cluster.

    Args:
        options: What a worker is given.
        policy: Attempts, deadline, waits.
    """

    name = "ray"

    def __init__(self, options: RayOptions | None = None, policy: Policy | None = None) -> None:
        self.options = options or RayOptions()
        self.policy = policy or Policy()
        self._schedule: Schedule | None = None
        self.workers = self.options.workers

    def drain(self) -> None:
        """Start no further job; `run` ends when those that run have ended. May be called from a signal handler."""
        if self._schedule is not None:
            self._schedule.drain()

    def run(self, jobs: Iterable[Job], runner: Runner, on_event: EventCallback) -> Iterator[Outcome]:
        """Run every job and yield its outcome; one tile's failure never stops the others.

        Raises:
            ResourcesMissing: no node has what one worker needs, or none became free in time.
        """
        connect(self.options.address)
        size = self.workers = worker_count(self.options)
        self._schedule = Schedule(jobs, self.policy)
        return _Actors(self._schedule, size, self.options, runner, on_event).run()


def _ray() -> Any:
    """The ray module without its types, which do not know half of its own options."""
    import ray

    return ray


def connect(address: str | None) -> None:
    """Join the cluster this process belongs to or was pointed at, unless it has already."""
    import ray

    if not ray.is_initialized():
        # Without an address Ray takes up whatever cluster last ran on this machine, and waits long if it is gone.
        own = "local" if address is None and "RAY_ADDRESS" not in os.environ else address
        ray.init(address=own, log_to_driver=False, configure_logging=False)


def worker_count(options: RayOptions) -> int:
    """How many workers to start.

    Raises:
        ResourcesMissing: not one fits the cluster as it is, and the cluster does not grow on demand.
    """
    ray = _ray()
    fitting = [_fitting(node["Resources"], options.demand) for node in ray.nodes() if node["Alive"] and options.demand]
    total = sum(fitting)
    if total == 0 and not options.autoscaling:
        have = ", ".join(f"{name} {amount:g}" for name, amount in sorted(_public(ray.cluster_resources()).items()))
        need = ", ".join(f"{name} {amount:g}" for name, amount in options.demand.items())
        raise ResourcesMissing(
            f"a worker needs {need}; no node of this cluster has that (together they have {have})",
            remedy="start nodes that have it, ask for less, or say --autoscaling if the cluster grows on demand",
        )
    if options.workers and (options.autoscaling or not total):
        return options.workers
    return min(options.workers, total) if options.workers else max(total, 1)


def _fitting(resources: dict[str, float], demand: dict[str, float]) -> int:
    return min(int(resources.get(name, 0.0) / amount + 1e-6) for name, amount in demand.items())


def _public(resources: dict[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in resources.items() if ":" not in name}


class _Worker:
    """An actor's handle and what it is doing."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.ref: Any = handle.__ray_ready__.remote()
        self.ready = False
        self.attempt: Attempt | None = None
        self.stage: str | None = None


class _Actors:
    """Keeps every actor busy with one job, replaces the dead, kills the late, lets go of the idle."""

    def __init__(
        self, schedule: Schedule, size: int, options: RayOptions, runner: Runner, on_event: EventCallback
    ) -> None:
        self.ray = _ray()
        self.schedule = schedule
        self.size = size
        self.on_event = on_event
        # Handed over with every call: an object in the store would be lost with the node that holds it.
        self.runner = runner
        self.workers: list[_Worker] = []
        self.options = options
        # Its process or node may go while workers live: what they tell afterwards must still arrive.
        self.mailbox: Any = self.ray.remote(num_cpus=0, max_restarts=-1)(Mailbox).remote()
        self.letters = self.mailbox.fetch.remote()
        demand = options.demand
        self.actor_class = self.ray.remote(
            num_cpus=demand.get("CPU", 0),
            num_gpus=demand.get("GPU", 0),
            memory=demand.get("memory"),
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=1,
            runtime_env={"env_vars": worker_env()},
        )(TileWorker)
        self.last_ready_s = time.monotonic()

    def run(self) -> Iterator[Outcome]:
        """Run the schedule to its end."""
        try:
            while not self.schedule.finished:
                self._hire()
                self._assign()
                yield from self._collect()
                self._deliver()
                yield from self._kill_overdue()
                self._check_placement()
            self._deliver(wait=True)
        finally:
            for worker in list(self.workers):
                self._dismiss(worker)
            self.ray.kill(self.mailbox)

    def _hire(self) -> None:
        """As many actors as there is work for, and no more: an idle one would keep a node from being given back."""
        wanted = self.schedule.wanted(self.size)
        while len(self.workers) < wanted:
            self.workers.append(_Worker(self.actor_class.remote(self.mailbox, type(self.runner))))
        for worker in [w for w in self.workers if w.attempt is None][: len(self.workers) - wanted]:
            self._dismiss(worker)

    def _assign(self) -> None:
        for worker in self.workers:
            if worker.ready and worker.attempt is None:
                attempt = self.schedule.next_attempt(time.monotonic())
                if attempt is None:
                    return
                worker.attempt, worker.stage = attempt, None
                worker.ref = worker.handle.run.remote(self.runner, attempt.job, attempt.ticket)

    def _collect(self) -> Iterator[Outcome]:
        refs = {worker.ref: worker for worker in self.workers if worker.ref is not None}
        wake_s = self.schedule.wake_s(time.monotonic())
        timeout_s = _POLL_S if wake_s is None else min(_POLL_S, wake_s)
        if not refs:
            time.sleep(timeout_s)
            return
        done, _ = self.ray.wait(list(refs), num_returns=1, timeout=timeout_s)
        if any(refs[ref].attempt is not None for ref in done):
            # What the worker told before its end comes before its end.
            self._deliver(wait=True)
            self._deliver(wait=True)
        for ref in done:
            outcome = self._settle(refs[ref])
            if outcome is not None:
                yield outcome

    def _settle(self, worker: _Worker) -> Outcome | None:
        """Take a finished call's end: readiness of a new actor, or the end of an attempt."""
        attempt, worker.attempt = worker.attempt, None
        end: Any
        try:
            end, worker.ref = self.ray.get(worker.ref), None
        except Exception as error:  # noqa: BLE001 - Ray's errors share no base class
            end = self._translated(error, worker)
            self._dismiss(worker)
        if attempt is None:
            if isinstance(end, OrographError):
                return None
            worker.ready, self.last_ready_s = True, time.monotonic()
            return None
        return settle(self.schedule, attempt, end)

    def _translated(self, error: Exception, worker: _Worker) -> OrographError:
        from ray import exceptions

        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        if isinstance(error, exceptions.OutOfMemoryError) or "OutOfMemory" in type(error).__name__:
            return OutOfMemory(
                f"Ray killed the worker for its memory: {line}",
                stage=worker.stage,
                remedy="declare more memory per worker, so that fewer share a node",
            )
        lost = (
            exceptions.RayActorError,
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.ObjectLostError,
        )
        if isinstance(error, lost):
            return WorkerLost(f"the worker's process or node died: {line}", stage=worker.stage)
        return EngineError(f"{type(error).__name__}: {line}", stage=worker.stage)

    def _deliver(self, *, wait: bool = False) -> None:
        """Pass on the signs of life that have come; at most one fetch is under way.

        With `wait`, those it brings are waited for; it may have left before the last was written, a second has not.
        """
        done, _ = self.ray.wait([self.letters], timeout=_POST_S if wait else 0)
        if not done:
            return
        letters = []
        with contextlib.suppress(self.ray.exceptions.RayActorError):
            letters = self.ray.get(self.letters)
        self.letters = self.mailbox.fetch.remote()
        by_ticket = {w.attempt.ticket: w for w in self.workers if w.attempt is not None}
        for ticket, stage, fraction in letters:
            worker = by_ticket.get(ticket)
            if worker is not None and worker.attempt is not None:
                worker.stage = stage
                attempt = worker.attempt
                self.on_event(Event(attempt.job.tile.id, stage, fraction, attempt.number))

    def _kill_overdue(self) -> Iterator[Outcome]:
        late = {attempt.ticket for attempt in self.schedule.overdue(time.monotonic())}
        for worker in [w for w in self.workers if w.attempt is not None and w.attempt.ticket in late]:
            attempt = worker.attempt
            if attempt is None:
                continue
            error = deadline_error(attempt, self.schedule.policy, worker.stage)
            self._dismiss(worker)
            outcome = settle(self.schedule, attempt, error)
            if outcome is not None:
                yield outcome

    def _check_placement(self) -> None:
        if any(worker.ready for worker in self.workers) or not self.workers:
            self.last_ready_s = time.monotonic()
        elif time.monotonic() - self.last_ready_s > self.options.start_timeout_s:
            raise ResourcesMissing(
                f"no worker could be placed within {self.options.start_timeout_s:g} s: {self.options.demand} each",
                remedy="look at `ray status`: other jobs may hold the resources, or no node grows",
            )

    def _dismiss(self, worker: _Worker) -> None:
        worker.ref = None
        self.ray.kill(worker.handle, no_restart=True)
        if worker in self.workers:
            self.workers.remove(worker)
