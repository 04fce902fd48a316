"""The engine of one machine: runs jobs in this process, or in worker processes that are replaced when they die."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

from orograph.infra.engines.attempt import deadline_error, execute, settle
from orograph.infra.engines.environment import worker_env
from orograph.infra.engines.memory import usable_workers
from orograph.infra.engines.protocol import Event, EventCallback, Outcome, Receipt, Runner, Work
from orograph.infra.engines.schedule import Attempt, Policy, Schedule
from orograph.pipeline.errors import OrographError, OutOfMemory, WorkerLost

_LONGEST_WAIT_S: Final = 0.5
_WORKER: Final = "orograph.infra.engines.local_worker"


class LocalEngine:
    """Runs jobs on this machine.

    One worker runs in this process: simplest to debug, but a crash in a library ends the run and a deadline cannot
    be enforced. Several workers, or `isolate`, run in processes of their own, which are killed at the deadline and
    replaced when they die.

    Args:
        workers: Jobs at once; 0 means as many as cores and memory allow, and a single job runs in this process.
        policy: Number of attempts, deadline and waiting times.
        isolate: Use processes even for one worker.
    """

    name = "local"

    def __init__(self, workers: int = 1, policy: Policy | None = None, *, isolate: bool = False) -> None:
        self.workers = workers or usable_workers()
        self.policy = policy or Policy()
        self.isolate = isolate or self.workers > 1
        self._may_stay = not workers and not isolate
        self._schedule: Schedule | None = None

    def drain(self) -> None:
        """Start no further job; `run` ends after the running ones. May be called from a signal handler."""
        if self._schedule is not None:
            self._schedule.drain()

    def run(self, jobs: Iterable[Work], runner: Runner[Work], on_event: EventCallback) -> Iterator[Outcome]:
        """Run every job and yield its outcome; one tile's failure never stops the others."""
        self._schedule = Schedule(jobs, self.policy)
        # Starting a process takes longer than a small tile.
        alone = self._may_stay and self._schedule.available(2) < 2
        if self.isolate and not alone:
            return _Pool(self._schedule, self.workers, runner, on_event).run()
        return _run_here(self._schedule, runner, on_event)


def _run_here(schedule: Schedule, runner: Runner[Any], on_event: EventCallback) -> Iterator[Outcome]:
    while not schedule.finished:
        attempt = schedule.next_attempt(time.monotonic())
        if attempt is None:
            time.sleep(min(_LONGEST_WAIT_S, schedule.wake_s(time.monotonic()) or 0.0))
            continue
        tile = attempt.job.id
        number = attempt.number
        end = execute(
            runner,
            attempt.job,
            lambda stage, fraction: on_event(Event(tile, stage, fraction, number)),  # noqa: B023 - called at once
        )
        outcome = settle(schedule, attempt, end)
        if outcome is not None:
            yield outcome


class _Worker:
    """A process, the connection to it, and its current attempt."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        parent_pipe, self._parent_pipe = os.pipe()
        paths = [str(Path(entry).resolve()) for entry in sys.path if entry]
        with theirs:
            self.process = subprocess.Popen(
                # -P: no module of the current folder is imported by accident.
                [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno()), str(parent_pipe)],
                pass_fds=(theirs.fileno(), parent_pipe),
                env={**os.environ, **worker_env(), "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))},
                stdin=subprocess.DEVNULL,
                # Ctrl-C is for the driver, which lets the workers end their tiles or kills them.
                start_new_session=True,
            )
        os.close(parent_pipe)
        self.connection = Connection(ours.detach())
        self.attempt: Attempt | None = None
        self.stage: str | None = None
        self._oom_kills = 0

    def start(self, runner: Runner[Any], attempt: Attempt) -> bool:
        """Send a job; False when the process is already gone."""
        self.attempt, self.stage, self._oom_kills = attempt, None, _oom_kills()
        try:
            self.connection.send_bytes(pickle.dumps((runner, attempt.job)))
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def exit_reason(self) -> OrographError:
        """Why the process is gone."""
        code = self.process.wait()
        tile = self.attempt.job.id if self.attempt else None
        if code == -9 and _oom_kills() > self._oom_kills:
            return OutOfMemory(
                "the operating system killed the worker for its memory",
                tile=tile,
                stage=self.stage,
                remedy="run fewer workers at once (--workers), or raise the memory limit",
            )
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return WorkerLost(f"the worker process {how}", tile=tile, stage=self.stage)

    def close(self) -> None:
        """Kill the process, busy or not, and let go of its handles."""
        self.process.kill()
        self.process.wait()
        self.connection.close()
        with contextlib.suppress(OSError):
            os.close(self._parent_pipe)
        self._parent_pipe = -1


class _Pool:
    """Keeps every worker busy with one job, replaces the dead, kills the late."""

    def __init__(self, schedule: Schedule, size: int, runner: Runner[Any], on_event: EventCallback) -> None:
        self.schedule = schedule
        self.size = size
        self.runner = runner
        self.on_event = on_event
        self.workers: list[_Worker] = []

    def run(self) -> Iterator[Outcome]:
        """Run the schedule to its end."""
        try:
            while not self.schedule.finished:
                self._assign()
                yield from self._collect()
                yield from self._kill_overdue()
        finally:
            for worker in self.workers:
                worker.close()

    def _assign(self) -> None:
        while True:
            idle = next((worker for worker in self.workers if worker.attempt is None), None)
            if idle is None and len(self.workers) >= self.size:
                return
            attempt = self.schedule.next_attempt(time.monotonic(), starting=True)
            if attempt is None:
                return
            if idle is None:
                idle = _Worker()
                self.workers.append(idle)
            if not idle.start(self.runner, attempt):
                # It died while idle: no fault of this tile.
                self._remove_worker(idle)
                self.schedule.withdrawn(attempt)

    def _collect(self) -> Iterator[Outcome]:
        wake_s = self.schedule.wake_s(time.monotonic())
        timeout_s = _LONGEST_WAIT_S if wake_s is None else min(_LONGEST_WAIT_S, wake_s)
        busy = {worker.connection: worker for worker in self.workers if worker.attempt is not None}
        if not busy:
            time.sleep(timeout_s)
            return
        for connection in wait(list(busy), timeout_s):
            worker = busy[connection]  # type: ignore[index]  # only our connections were waited for
            attempt = worker.attempt
            if attempt is None:
                continue
            end = self._receive(worker, attempt)
            if end is not None:
                worker.attempt = None
                outcome = settle(self.schedule, attempt, end)
                if outcome is not None:
                    yield outcome

    def _receive(self, worker: _Worker, attempt: Attempt) -> Receipt | OrographError | None:
        """One message of a worker: None for an event, else how the attempt ended."""
        try:
            message: tuple[Any, ...] = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            error = worker.exit_reason()
            self._remove_worker(worker)
            return error
        if message[0] == "ready":
            self.schedule.began(attempt, time.monotonic())
            return None
        if message[0] == "event":
            worker.stage = message[1]
            self.on_event(Event(attempt.job.id, message[1], message[2], attempt.number))
            return None
        end: Receipt | OrographError = message[1]
        return end

    def _kill_overdue(self) -> Iterator[Outcome]:
        late = {attempt.ticket for attempt in self.schedule.overdue(time.monotonic())}
        for worker in [w for w in self.workers if w.attempt is not None and w.attempt.ticket in late]:
            attempt = worker.attempt
            if attempt is None:
                continue
            self._remove_worker(worker)
            outcome = settle(self.schedule, attempt, deadline_error(attempt, self.schedule.policy, worker.stage))
            if outcome is not None:
                yield outcome

    def _remove_worker(self, worker: _Worker) -> None:
        worker.close()
        self.workers.remove(worker)


def _oom_kills() -> int:
    """How many processes the operating system has killed because memory ran out since it started."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
