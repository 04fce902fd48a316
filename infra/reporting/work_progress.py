"""Progress of a single long command: a bar on a terminal, occasional lines in a log; silent for short work."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from orograph.infra.reporting.console import err
from orograph.pipeline.core import progress

_QUIET_S: Final = 2.0
"""Work shorter than this shows nothing."""
_EVERY_S: Final = 10.0
"""Time between two lines of a log."""


class WorkProgress:
    """Shows step, percentage and time left of the work inside the block.

    Args:
        shown: False for `--json`, where only the result is written.
        console: Terminal for the progress.
    """

    def __init__(self, *, shown: bool = True, console: Console = err) -> None:
        self._shown, self._console = shown, console
        self._start = self._step_start = time.monotonic()
        self._printed = self._start + _QUIET_S - _EVERY_S
        self._step = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._listening = progress.listening(self._report)

    def __enter__(self) -> Self:
        self._listening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.__exit__(kind, error, trace)
        if self._bar is not None:
            self._bar.stop()

    def _report(self, step: str, done: float, due: float) -> None:
        now = time.monotonic()
        if step.partition(":")[0] != self._step.partition(":")[0]:
            self._step_start = now
        self._step = step
        if not self._shown:
            return
        if self._console.is_terminal:
            self._draw(done, due, now)
        elif now - self._printed >= _EVERY_S:
            self._printed = now
            self._console.print(f"{step}: {self._numbers(done, due, now)}", markup=False)

    def _draw(self, done: float, due: float, now: float) -> None:
        """Move the bar; it appears once the work turns out to be long, or when a step without a measure starts."""
        if self._bar is None:
            if now - self._start < _QUIET_S and done:
                return
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[numbers]}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(self._step, total=None, numbers="")
            self._bar.start()
        if self._task is not None:
            self._bar.update(
                self._task,
                description=self._step,
                total=due or None,
                completed=done,
                numbers=self._numbers(done, due, now),
            )

    def _numbers(self, done: float, due: float, now: float) -> str:
        """Percentage and time left of the step."""
        if not due:
            return "running"
        if not done:
            return "started"
        left_s = (now - self._step_start) / done * max(0.0, due - done)
        return f"{done / due:.0%}, about {duration(left_s)} left"


def duration(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
