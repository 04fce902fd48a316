"""One attempt inside a worker of any engine: limits progress messages and converts every error to one of the tree."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable
from typing import Final

from orograph.infra.engines.memory import reset_peak
from orograph.infra.engines.protocol import Outcome, Receipt, Runner, Work
from orograph.infra.engines.schedule import Attempt, Policy, Schedule
from orograph.pipeline.core.extras import missing_package
from orograph.pipeline.errors import DeadlineExceeded, DiskFull, EngineError, OrographError, OutOfMemory
from orograph.pipeline.job import ProgressCallback

_EVENT_INTERVAL_S: Final = 0.25


class Progress:
    """Forwards a new stage at once and fractions at most four times per second; records the last stage."""

    def __init__(self, send: Callable[[str, float], None]) -> None:
        self._send = send
        self._sent_at_s = 0.0
        self.stage: str | None = None

    def __call__(self, stage: str, fraction: float) -> None:
        """Take a sign of life from a runner."""
        now_s = time.monotonic()
        if stage != self.stage or fraction >= 1.0 or now_s - self._sent_at_s >= _EVENT_INTERVAL_S:
            self.stage, self._sent_at_s = stage, now_s
            self._send(stage, fraction)


def execute(runner: Runner[Work], job: Work, send: ProgressCallback) -> Receipt | OrographError:
    """Run one job; an error is returned, not raised, so that no engine can change it."""
    progress = Progress(send)
    reset_peak()
    try:
        return runner(job, progress)
    except Exception as error:  # noqa: BLE001 - a worker must outlive any tile
        return as_orograph_error(error).at(tile=job.id, stage=progress.stage)


def as_orograph_error(error: Exception) -> OrographError:
    """Convert any exception to an error of the tree; for unknown ones it contains their type and line."""
    if isinstance(error, OrographError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(f"memory ran out: {error}", remedy="give each worker more memory, or run fewer workers")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"scratch disk: {error}", remedy="free some space or set OROGRAPH_SCRATCH to a larger disk")
    if isinstance(error, ModuleNotFoundError) and (missing := missing_package(error)):
        return missing
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return EngineError(f"{type(error).__name__}: {error}{where}", remedy="this is a bug in Orograph: please report it")


def settle(schedule: Schedule, attempt: Attempt, end: Receipt | OrographError) -> Outcome | None:
    """Record the end of an attempt in the schedule; return the outcome if the job will not be tried again."""
    if isinstance(end, OrographError):
        return schedule.failed(attempt, end, time.monotonic())
    return schedule.succeeded(attempt, end)


def deadline_error(attempt: Attempt, policy: Policy, stage: str | None) -> DeadlineExceeded:
    """The error of an attempt that was killed at its deadline."""
    return DeadlineExceeded(
        f"not finished after {policy.deadline_s:g} s, so its worker was killed",
        tile=attempt.job.id,
        stage=stage,
        remedy="raise OROGRAPH_DEADLINE_S if the tile is merely large",
    )
