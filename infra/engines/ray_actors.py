"""The actors of one run: starts as many as the cluster has room for, replaces dead ones and kills late ones.

The room is counted again every few seconds, so nodes may come and go. A job whose fault may be its node's is tried on
other nodes (`orograph.infra.engines.node_health`); Ray's label selector excludes faulty nodes.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Iterator
from typing import Any, Final

from orograph.infra.engines.attempt import deadline_error, settle
from orograph.infra.engines.environment import worker_env
from orograph.infra.engines.node_health import NodeHealth, may_belong_to_node
from orograph.infra.engines.protocol import Event, EventCallback, Outcome, Receipt, Runner
from orograph.infra.engines.ray_capacity import Capacity, Demand, capacity_of
from orograph.infra.engines.ray_worker import EventQueue, PreparedWorker, TileWorker
from orograph.infra.engines.schedule import Attempt, Schedule
from orograph.pipeline.errors import EngineError, OrographError, OutOfMemory, ResourcesMissing, WorkerLost

_POLL_S: Final = 0.25
_POST_S: Final = 2.0
_LOOK_S: Final = 2.0
"""How often nodes are counted."""
_STARTS: Final = 5
"""Failed starts in a row, while no worker is ready, after which the run ends."""
_LONGEST_START_WAIT_S: Final = 15.0
_NODE_LABEL: Final = "ray.io/node-id"
_HOST: Final = re.compile(r"\bip=([0-9a-fA-F.:]+)")

log = logging.getLogger(__name__)


class Worker:
    """An actor's handle and its current attempt."""

    def __init__(self, handle: Any, runner: bytes) -> None:
        self.handle = handle
        # Not by a runtime environment: that would need another process than those a node starts in advance.
        self.ref: Any = handle.prepare.remote(runner, worker_env())
        self.ready = False
        self.node = ""
        self.attempt: Attempt | None = None
        self.stage: str | None = None


class Actors:
    """Gives every actor one job at a time, replaces dead actors, kills late ones and stops idle ones.

    Args:
        ray: The ray module, connected.
        schedule: Jobs to run and their attempts.
        demand: Resources of a worker and number of workers.
        patience_s: Longest time without a ready worker.
        runner, on_event: Arguments of `RayEngine.run`.

    Attributes:
        most_ready: Most workers that were ready at once.
        health: Faults of nodes.
    """

    def __init__(
        self,
        ray: Any,
        schedule: Schedule,
        demand: Demand,
        patience_s: float,
        runner: Runner[Any],
        on_event: EventCallback,
    ) -> None:
        self.ray = ray
        self.schedule = schedule
        self.demand = demand
        self.patience_s = patience_s
        self.on_event = on_event
        self.health = NodeHealth()
        self.most_ready = 0
        # Handed over with every actor: an object in the store would be lost with the node that holds it.
        self.runner = ray.cloudpickle.dumps(runner)
        self.workers: list[Worker] = []
        # Its process or node may go while workers live: their later messages must still arrive.
        self.queue: Any = ray.remote(num_cpus=0, max_restarts=-1)(EventQueue).remote()
        self.events = self.queue.fetch.remote()
        self.actor_class = ray.remote(TileWorker)
        self.capacity = Capacity()
        self.looked_s = -_LOOK_S
        self.start_after_s = 0.0
        self.failed_starts = 0
        self.last_ready_s = time.monotonic()

    def run(self) -> Iterator[Outcome]:
        """Run the schedule to its end."""
        try:
            while not self.schedule.finished:
                self._look()
                self._start_worker()
                self._assign()
                yield from self._collect()
                self._deliver()
                yield from self._kill_overdue()
                self._check_placement()
            self._deliver(wait=True)
        finally:
            for worker in list(self.workers):
                self._stop_worker(worker)
            self.ray.kill(self.queue)

    def _look(self) -> None:
        """Count the nodes again."""
        if time.monotonic() - self.looked_s < _LOOK_S:
            return
        self.capacity = capacity_of(self.ray, self.demand.resources).without(self.health.aside)
        self.looked_s = time.monotonic()
        if self.capacity.rooms:
            self.schedule.release(frozenset(self.capacity.rooms))

    def _start_worker(self) -> None:
        """As many actors as there is work for, and no more: an idle one would keep a node from being given back."""
        shunned = self.schedule.shunned() | frozenset(self.health.aside)
        for worker in [w for w in self.workers if w.ready and w.attempt is None and w.node in shunned]:
            self._stop_worker(worker)
        wanted = self.schedule.wanted(self.capacity.target(self.demand))
        while len(self.workers) < wanted and time.monotonic() >= self.start_after_s:
            self.workers.append(Worker(self._started(shunned), self.runner))
        idle = sorted((w for w in self.workers if w.attempt is None), key=lambda worker: worker.ready)
        for worker in idle[: max(0, len(self.workers) - wanted)]:
            self._stop_worker(worker)

    def _started(self, shunned: frozenset[str]) -> Any:
        resources = self.demand.resources
        options: dict[str, Any] = (
            {"label_selector": {_NODE_LABEL: f"!in({','.join(sorted(shunned))})"}} if shunned else {}
        )
        actor = self.actor_class.options(
            num_cpus=resources.get("CPU", 0),
            num_gpus=resources.get("GPU", 0),
            memory=resources.get("memory"),
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=1,
            **options,
        )
        return actor.remote(self.queue)

    def _assign(self) -> None:
        for worker in self.workers:
            if worker.ready and worker.attempt is None:
                only_retries = not self.health.takes_new(worker.node)
                attempt = self.schedule.next_attempt(time.monotonic(), node=worker.node, only_retries=only_retries)
                if attempt is None:
                    continue
                worker.attempt, worker.stage = attempt, None
                worker.ref = worker.handle.run.remote(attempt.job, attempt.ticket)

    def _collect(self) -> Iterator[Outcome]:
        refs = {worker.ref: worker for worker in self.workers if worker.ref is not None}
        wake_s = self.schedule.wake_s(time.monotonic())
        timeout_s = _POLL_S if wake_s is None else min(_POLL_S, max(wake_s, 0.01))
        if not refs:
            time.sleep(timeout_s)
            return
        done, _ = self.ray.wait(list(refs), num_returns=1, timeout=timeout_s)
        if any(refs[ref].attempt is not None for ref in done):
            # Deliver the worker's messages before its end.
            self._deliver(wait=True)
            self._deliver(wait=True)
        for ref in done:
            outcome = self._settle(refs[ref])
            if outcome is not None:
                yield outcome

    def _settle(self, worker: Worker) -> Outcome | None:
        """Handle the result of a finished call: an actor has started, or an attempt has ended."""
        attempt, worker.attempt = worker.attempt, None
        end: Any
        try:
            end, worker.ref = self.ray.get(worker.ref), None
        except Exception as error:  # noqa: BLE001 - Ray's errors share no base class
            end = self._translated(error, worker)
            self._stop_worker(worker)
        if attempt is None:
            self._started_or_not(worker, end)
            return None
        return self._ended(worker.node, attempt, end)

    def _ended(self, node: str, attempt: Attempt, end: Receipt | OrographError) -> Outcome | None:
        """Try a fault of the node elsewhere; anything else is for the schedule."""
        tile = attempt.job.id
        if isinstance(end, OrographError):
            if attempt.number <= self.schedule.policy.attempts and may_belong_to_node(end, attempt.job):
                others = set(self.capacity.rooms) - {node, *attempt.tried_on, *self.health.aside}
                if others:
                    self.health.fault(node, tile, end)
                    log.warning("%s: %s; trying another node", self.health.label(node), end, extra={"tile": tile})
                    self.schedule.elsewhere(attempt, node)
                    return None
                self.health.cleared(tile)
            end.message = f"{end.message} (on {self.health.label(node)})"
        else:
            for bad in self.health.passed(node, tile, attempt.tried_on):
                log.error("%s", self.health.aside[bad])
                self.looked_s = -_LOOK_S
        return settle(self.schedule, attempt, end)

    def _started_or_not(self, worker: Worker, end: PreparedWorker | OrographError) -> None:
        if isinstance(end, PreparedWorker) and end.error is None:
            worker.ready, worker.node = True, end.node
            self.health.seen(end.node, end.label)
            self.failed_starts, self.last_ready_s = 0, time.monotonic()
            self.most_ready = max(self.most_ready, sum(w.ready for w in self.workers))
            return
        if isinstance(end, PreparedWorker):
            self._stop_worker(worker)
            error = end.error if isinstance(end.error, OrographError) else EngineError(str(end.error))
            node, label = end.node, end.label
        else:
            found = _HOST.search(end.message)
            node = label = found[1] if found else "an unknown host"
            error = end
        self.failed_starts += 1
        self.start_after_s = time.monotonic() + min(_LONGEST_START_WAIT_S, 0.5 * 2.0**self.failed_starts)
        log.warning("no worker on %s: %s", label, error)
        others = bool(set(self.capacity.rooms) - {node, *self.health.aside})
        if self.health.start_failed(node, label, error, others=others):
            log.error("%s", self.health.aside[node])
            self.looked_s = -_LOOK_S
        if self.failed_starts >= _STARTS and not any(w.ready for w in self.workers):
            raise type(error)(
                f"workers cannot start; the last of {self.failed_starts} failures in a row was on {label}: {error.message}",
                remedy=error.remedy or "compare the image and mounts of that node with deploy/README.md",
            )

    def _translated(self, error: Exception, worker: Worker) -> OrographError:
        from ray import exceptions

        lines = [line for line in str(error).strip().splitlines() if line.strip()] or [type(error).__name__]
        line = lines[0][:300]
        if isinstance(error, exceptions.OutOfMemoryError) or "OutOfMemory" in type(error).__name__:
            return OutOfMemory(
                f"Ray killed the worker for its memory: {line}",
                stage=worker.stage,
                remedy="declare more memory per worker, so that fewer share a node",
            )
        if not worker.ready:
            where = _HOST.search(str(error))
            # Ray's text is a traceback of the worker: its last lines name the cause.
            return EngineError(f"{lines[-1].strip()[:400]}" + (f" (ip={where[1]})" if where else ""))
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
        done, _ = self.ray.wait([self.events], timeout=_POST_S if wait else 0)
        if not done:
            return
        events = []
        with contextlib.suppress(self.ray.exceptions.RayActorError):
            events = self.ray.get(self.events)
        self.events = self.queue.fetch.remote()
        by_ticket = {w.attempt.ticket: w for w in self.workers if w.attempt is not None}
        for ticket, stage, fraction in events:
            worker = by_ticket.get(ticket)
            if worker is not None and worker.attempt is not None:
                worker.stage = stage
                attempt = worker.attempt
                self.on_event(Event(attempt.job.id, stage, fraction, attempt.number))

    def _kill_overdue(self) -> Iterator[Outcome]:
        late = {attempt.ticket for attempt in self.schedule.overdue(time.monotonic())}
        for worker in [w for w in self.workers if w.attempt is not None and w.attempt.ticket in late]:
            attempt = worker.attempt
            if attempt is None:
                continue
            error = deadline_error(attempt, self.schedule.policy, worker.stage)
            self._stop_worker(worker)
            outcome = settle(self.schedule, attempt, error)
            if outcome is not None:
                yield outcome

    def _check_placement(self) -> None:
        if any(worker.ready for worker in self.workers):
            self.last_ready_s = time.monotonic()
        elif time.monotonic() - self.last_ready_s > self.patience_s:
            raise ResourcesMissing(
                f"no worker could be placed within {self.patience_s:g} s: {dict(self.demand.resources)} each",
                remedy="look at `ray status`: other jobs may use the resources, or no node grows",
            )

    def _stop_worker(self, worker: Worker) -> None:
        worker.ref = None
        self.ray.kill(worker.handle, no_restart=True)
        if worker in self.workers:
            self.workers.remove(worker)
