"""Progress of long listings and transfers: files, bytes, rate and time left, as a bar, plain lines or JSON lines."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from orograph.infra.reporting.console import err, print_json_line

_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class TransferStep:
    """State of the work.

    Attributes:
        done: Number of finished files.
        due: Number of all files.
        size_bytes: Size of the finished files.
    """

    done: int
    due: int
    size_bytes: int = 0


class TransferProgress:
    """Shows the progress of work on many files; a context manager.

    Args:
        what: Description of the work, such as `indexing ch-swissalti3d`.
        as_json: Write JSON lines to standard output instead.
        console: Terminal for the progress.
    """

    def __init__(self, what: str, *, as_json: bool = False, console: Console = err) -> None:
        self._what, self._as_json, self._console = what, as_json, console
        self._start = self._shown = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._as_json:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("files"),
                TextColumn("{task.fields[volume]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console)
            self._bar.start()
            self._bar.add_task(self._what, total=None, volume="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, step: TransferStep) -> None:
        """Show the state of the work."""
        done, due, size_bytes = step.done, step.due, step.size_bytes
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=due, completed=done, volume=f"{size_bytes / 1e6:,.1f} MB")
            return
        if now - self._shown < _EVERY_S and done < due:
            return
        self._shown = now
        document = figures(done, due, size_bytes, now - self._start)
        if self._as_json:
            print_json_line({"event": "progress", "what": self._what, **document})
        elif due:
            left = document["seconds_left"]
            end = "" if left is None else f", {left:.0f} s left"
            per_s = document["files_per_s"]
            rate = f"{per_s:.{0 if per_s >= 10 else 1}f} files/s, {size_bytes / 1e6:,.1f} MB"
            self._console.print(f"{self._what}: {done} of {due} files, {rate}{end}", markup=False)


def figures(done: int, due: int, size_bytes: int, spent_s: float) -> dict[str, Any]:
    """Rate and time left of work on files, as text; the time is unknown before the first file."""
    rate = done / spent_s if spent_s > 0 else 0.0
    return {
        "files_done": done,
        "files": due,
        "bytes": size_bytes,
        "files_per_s": round(rate, 1),
        "bytes_per_s": round(size_bytes / spent_s) if spent_s > 0 else 0,
        "seconds_left": round((due - done) / rate, 1) if rate else None,
    }
