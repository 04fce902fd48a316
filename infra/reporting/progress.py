"""Shows the progress of a run: live bars on a terminal, plain lines elsewhere, JSON lines on request."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from orograph.infra.engines.protocol import Event, Outcome, Status
from orograph.infra.reporting.console import err, print_json_line

STAGES = ("fetch", "coregister", "windows", "export", "commit")
_SHARES = {"fetch": 0.05, "coregister": 0.1, "windows": 0.5, "export": 0.25, "commit": 0.1}


class Reporter(Protocol):
    """Receives progress events; a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def event(self, event: Event) -> None:
        """A running tile moved on."""

    def outcome(self, outcome: Outcome) -> None:
        """A tile ended."""


def reporter(total: int, *, as_json: bool, console: Console = err) -> Reporter:
    """Choose the reporter for the kind of output."""
    if as_json:
        return JsonLines()
    return LiveBars(total, console) if console.is_terminal else PlainLines(total, console)


class _Base:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class JsonLines(_Base):
    """One JSON object per line: every change of stage, and the end of every tile."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def event(self, event: Event) -> None:
        """Write a line when a tile enters a stage."""
        if self._last.get(event.tile) != event.stage:
            self._last[event.tile] = event.stage
            print_json_line({"event": "stage", "tile": event.tile, "stage": event.stage, "attempt": event.attempt})

    def outcome(self, outcome: Outcome) -> None:
        """Write a line when a tile ends."""
        print_json_line({"event": "tile", **outcome_document(outcome)})


class PlainLines(_Base):
    """One line per tile, for logs."""

    def __init__(self, total: int, console: Console) -> None:
        self._total, self._console, self._done, self._start = total, console, 0, time.monotonic()

    def event(self, event: Event) -> None:
        """Ignored: plain logs report finished tiles only."""

    def outcome(self, outcome: Outcome) -> None:
        """Print how the tile ended and the estimated time left."""
        self._done += 1
        spent = time.monotonic() - self._start
        left = spent / self._done * (self._total - self._done)
        self._console.print(f"{self._done}/{self._total} {describe(outcome)}, about {left:.0f} s left", markup=False)
        sys.stderr.flush()


class LiveBars(_Base):
    """A bar for the run and one for each running tile."""

    def __init__(self, total: int, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[stage]:<12}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            transient=False,
        )
        self._console = console
        self._all = self._progress.add_task("all", total=float(total), stage="")
        self._tiles: dict[str, TaskID] = {}
        self._ended = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def event(self, event: Event) -> None:
        """Update the tile's bar."""
        if event.tile not in self._tiles:
            self._tiles[event.tile] = self._progress.add_task(event.tile, total=1.0, stage="")
        self._progress.update(self._tiles[event.tile], completed=overall(event), stage=event.stage)
        running = sum(task.completed for task in self._progress.tasks if task.id in self._tiles.values())
        self._progress.update(self._all, completed=self._ended + running)

    def outcome(self, outcome: Outcome) -> None:
        """Remove the tile's bar and print its line."""
        task = self._tiles.pop(outcome.job.id, None)
        if task is not None:
            self._progress.remove_task(task)
        self._ended += 1
        self._progress.update(self._all, completed=self._ended)
        self._console.print(describe(outcome), markup=False)


def overall(event: Event) -> float:
    """Progress of a tile over all stages, 0 to 1; a cell's stages are its products."""
    before = 0.0
    for stage in STAGES:
        if stage == event.stage:
            return before + _SHARES[stage] * event.fraction
        before += _SHARES[stage]
    return event.fraction if event.stage else 0.0


def describe(outcome: Outcome) -> str:
    """One line on the result of a tile."""
    tile = outcome.job.id
    if outcome.receipt is not None and outcome.status is Status.DONE:
        seconds = sum(outcome.receipt.seconds.values())
        return f"{tile} done in {seconds:.1f} s, {outcome.receipt.bytes_written / 2**20:.1f} MB"
    if outcome.status is Status.UP_TO_DATE:
        return f"{tile} is up to date"
    return f"{tile} {outcome.status}: {outcome.error}"


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """The result of a tile as JSON-ready values."""
    receipt = outcome.receipt
    document: dict[str, Any] = {
        "tile": outcome.job.id,
        "run_key": outcome.job.run_key,
        "status": str(outcome.status),
        "attempts": outcome.attempts,
    }
    if receipt is not None:
        document |= {
            "manifest": receipt.manifest_key,
            "seconds": receipt.seconds,
            "cpu_seconds": receipt.cpu_seconds,
            "bytes_read": receipt.bytes_read,
            "bytes_written": receipt.bytes_written,
            "reads": receipt.reads,
            "peak_rss_mb": receipt.peak_rss_mb,
            "heights_outside": receipt.outside,
        }
    if outcome.error is not None:
        document |= outcome.error.to_dict()
    return document


class JsonCells(JsonLines):
    """One JSON object per line, with the cell's name as `cell`."""

    def event(self, event: Event) -> None:
        """Write a line for every event."""
        print_json_line({"event": "progress", "cell": event.tile, "stage": event.stage, "fraction": event.fraction})

    def outcome(self, outcome: Outcome) -> None:
        """Write a line when a cell ends."""
        error = outcome.error.to_dict() if outcome.error else None
        print_json_line({"event": "cell", "cell": outcome.job.id, "status": str(outcome.status), "error": error})
