"""Decides which job runs next and which is retried or given up, for all engines and the simulator.

It has no clock, process or cluster: callers pass the time, so that a simulated hour takes a millisecond.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from orograph.infra.engines.protocol import Outcome, Receipt, Status
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.core.runnable import Runnable
from orograph.pipeline.errors import OrographError, OutOfMemory, TileQuarantined

_OUT_OF_MEMORY_ATTEMPTS: Final = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of attempts and waiting times in a run.

    Attributes:
        attempts: Attempts at a tile before it is quarantined.
        deadline_s: Longest time of one attempt, from when its worker is ready.
        start_timeout_s: Longest time until a worker is ready, if the deadline is not longer.
        backoff: Waiting times between attempts at one tile.
    """

    attempts: int = 3
    deadline_s: float = 3600.0
    start_timeout_s: float = 300.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.5, longest_s=30.0))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job.

    Attributes:
        ticket: Unique number of the attempt.
        number: Counts from 1; attempts that failed because of their node do not count.
        starting: True until its worker is ready.
        tried_on: Nodes on which it failed in this way.
    """

    ticket: int
    number: int
    job: Runnable
    started_s: float = 0.0
    memory_failures: int = 0
    starting: bool = False
    tried_on: tuple[str, ...] = ()


class Schedule:
    """Gives out attempts and records their results; takes jobs from the iterable only when work is requested."""

    def __init__(self, jobs: Iterable[Runnable], policy: Policy) -> None:
        self.policy = policy
        self._jobs: Iterator[Runnable] = iter(jobs)
        self._tickets = count()
        self._waiting: list[tuple[float, int, Attempt]] = []
        self._running: dict[int, Attempt] = {}
        self._ahead: deque[Runnable] = deque()
        self._exhausted = False
        self._draining = False

    @property
    def running(self) -> tuple[Attempt, ...]:
        """Attempts that were given out and have not ended."""
        return tuple(self._running.values())

    @property
    def finished(self) -> bool:
        """True when no attempt runs and no job is left."""
        return not self._running and (self._draining or not (self._waiting or self.available(1)))

    def drain(self) -> None:
        """Start no further attempt; running ones may end."""
        self._draining = True

    def available(self, limit: int) -> int:
        """Number of jobs that could start now, counted up to a limit; retries that still wait are excluded."""
        if self._draining:
            return 0
        while len(self._ahead) < limit and not self._exhausted:
            job = next(self._jobs, None)
            if job is None:
                self._exhausted = True
            else:
                self._ahead.append(job)
        return min(limit, len(self._ahead))

    def wanted(self, limit: int) -> int:
        """Number of workers that have work, now or after a wait, counted up to a limit."""
        waiting = 0 if self._draining else len(self._waiting)
        return min(limit, len(self._running) + waiting + self.available(limit))

    def next_attempt(
        self, now_s: float, *, starting: bool = False, node: str = "", only_retries: bool = False
    ) -> Attempt | None:
        """Choose the next attempt: a retry whose wait is over, or a new job; None when none is ready.

        Args:
            now_s: Current time, seconds.
            starting: The worker is not ready yet and will report when it is (`began`).
            node: Node of the worker; attempts that failed because of this node are left for others.
            only_retries: Start no new job.
        """
        if self._draining:
            return None
        attempt = self._due_retry(now_s, node)
        if attempt is not None:
            pass
        elif not only_retries and self.available(1):
            attempt = Attempt(next(self._tickets), 1, self._ahead.popleft())
        else:
            return None
        attempt = replace(attempt, started_s=now_s, starting=starting)
        self._running[attempt.ticket] = attempt
        return attempt

    def began(self, attempt: Attempt, now_s: float) -> None:
        """Record that the worker of an attempt is ready; its deadline counts from now."""
        running = self._running[attempt.ticket]
        if running.starting:
            self._running[attempt.ticket] = replace(running, started_s=now_s, starting=False)

    def succeeded(self, attempt: Attempt, receipt: Receipt) -> Outcome:
        """Record the success of an attempt."""
        del self._running[attempt.ticket]
        return Outcome(attempt.job, receipt.status, receipt, None, attempt.number)

    def failed(self, attempt: Attempt, error: OrographError, now_s: float) -> Outcome | None:
        """Record the failure of an attempt; return None if it will be retried, otherwise the final outcome."""
        del self._running[attempt.ticket]
        error = error.at(tile=attempt.job.id)
        memory_failures = attempt.memory_failures + isinstance(error, OutOfMemory)
        if not error.retryable:
            return Outcome(attempt.job, Status.FAILED, None, error, attempt.number)
        if attempt.number >= self.policy.attempts or memory_failures >= _OUT_OF_MEMORY_ATTEMPTS:
            return Outcome(attempt.job, Status.QUARANTINED, None, _quarantined(attempt, error), attempt.number)
        again = Attempt(
            next(self._tickets),
            attempt.number + 1,
            attempt.job,
            memory_failures=memory_failures,
            tried_on=attempt.tried_on,
        )
        due_s = now_s + self.policy.backoff.wait_s(attempt.number)
        heapq.heappush(self._waiting, (due_s, again.ticket, again))
        return None

    def elsewhere(self, attempt: Attempt, node: str) -> None:
        """Record a fault that may be the node's; the job is due again at once on any other node."""
        del self._running[attempt.ticket]
        again = replace(attempt, ticket=next(self._tickets), starting=False, tried_on=(*attempt.tried_on, node))
        heapq.heappush(self._waiting, (0.0, again.ticket, again))

    def shunned(self) -> frozenset[str]:
        """Nodes on which none of the remaining attempts may run."""
        if self.available(1) or not self._waiting:
            return frozenset()
        return frozenset.intersection(*(frozenset(attempt.tried_on) for _, _, attempt in self._waiting))

    def release(self, nodes: frozenset[str]) -> None:
        """Allow attempts that failed on all of these nodes to run on any node again, counted as a further attempt."""
        for place, (due_s, ticket, attempt) in enumerate(self._waiting):
            if attempt.tried_on and nodes <= set(attempt.tried_on):
                self._waiting[place] = (due_s, ticket, replace(attempt, number=attempt.number + 1, tried_on=()))

    def _due_retry(self, now_s: float, node: str) -> Attempt | None:
        if not self._waiting or self._waiting[0][0] > now_s:
            return None
        if node not in self._waiting[0][2].tried_on:
            return heapq.heappop(self._waiting)[2]
        due = [entry for entry in self._waiting if entry[0] <= now_s and node not in entry[2].tried_on]
        if not due:
            return None
        first = min(due)
        self._waiting.remove(first)
        heapq.heapify(self._waiting)
        return first[2]

    def withdrawn(self, attempt: Attempt) -> None:
        """Record that an attempt never began because its worker ended; it is due again at once and does not count."""
        del self._running[attempt.ticket]
        heapq.heappush(self._waiting, (0.0, attempt.ticket, attempt))

    def overdue(self, now_s: float) -> tuple[Attempt, ...]:
        """Attempts beyond their deadline."""
        return tuple(a for a in self._running.values() if now_s > self._due_s(a))

    def _due_s(self, attempt: Attempt) -> float:
        patience_s = self.policy.deadline_s
        return attempt.started_s + (max(patience_s, self.policy.start_timeout_s) if attempt.starting else patience_s)

    def wake_s(self, now_s: float) -> float | None:
        """Seconds until a deadline passes or a retry is due; None when neither is pending."""
        moments = [self._due_s(attempt) for attempt in self._running.values()]
        if self._waiting and not self._draining:
            moments.append(self._waiting[0][0])
        return max(0.0, min(moments) - now_s) if moments else None


def _quarantined(attempt: Attempt, error: OrographError) -> TileQuarantined:
    times = "once" if attempt.number == 1 else f"{attempt.number} times"
    quarantined = TileQuarantined(
        f"failed {times}; the last error was {type(error).__name__}: {error.message}",
        tile=attempt.job.id,
        source=error.source,
        stage=error.stage,
        remedy=error.remedy or "look at the run report, fix the cause, and run the same command again",
    )
    quarantined.__cause__ = error
    return quarantined
