"""The record of a run, kept in the store next to the tiles: running tiles, outcomes and resources used.

`runs/<run>/state.json` is rewritten every few seconds while the run lasts, so that `orograph status` can show it
on any machine; `report.json` and `report.html` are written at the end. The run's name gives its start time and its
kind.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from orograph.infra.engines.protocol import Event, Outcome, Status
from orograph.infra.objects.counts import summed
from orograph.infra.reporting.redaction import redacted
from orograph.infra.stores.base import Store
from orograph.pipeline.errors import OrographError

if TYPE_CHECKING:
    from orograph.infra.reporting.tile_pictures import TilePictures

ROOT: Final = "runs"
_FAILURES_KEPT: Final = 200


@dataclass(slots=True)
class Journal:
    """Collects a run's events and outcomes, and writes them to the store at intervals.

    Args:
        store: Store of the run's products.
        run: The run's name.
        total: Number of jobs, if known.
        every_s: Shortest interval between two writes of the state, seconds.
    """

    store: Store
    run: str
    engine: str
    total: int | None = None
    every_s: float = 5.0
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    workers: int = 0
    price_per_hour: float = 0.0
    notes: tuple[str, ...] = ()
    _written_s: float = 0.0
    _began_s: float = field(default_factory=time.monotonic)
    _running: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ended: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Key of the state."""
        return f"{ROOT}/{self.run}/state.json"

    @property
    def running(self) -> int:
        """Number of running tiles."""
        return len(self._running)

    def event(self, event: Event) -> None:
        """A running tile moved on."""
        entry = self._running.setdefault(event.tile, {"tile": event.tile, "since": _now()})
        entry |= {"stage": event.stage, "fraction": round(event.fraction, 3), "attempt": event.attempt}
        self._write_if_due()

    def outcome(self, outcome: Outcome) -> None:
        """A tile ended."""
        self._running.pop(outcome.job.id, None)
        self._ended.append(_ending(outcome))
        self._write_if_due()

    def finish(self, *, interrupted: bool = False, pictures: Sequence[TilePictures] = ()) -> dict[str, Any]:
        """Write the last state and the report, whose page shows the pictures, and return the report."""
        from orograph.infra.reporting.html import html_of

        self._write("interrupted" if interrupted else "ended")
        report = self.report(interrupted=interrupted)
        self._put("report.json", orjson.dumps(report, option=orjson.OPT_INDENT_2), "application/json")
        self._put("report.html", html_of(report, pictures).encode(), "text/html; charset=utf-8")
        return report

    def report(self, *, interrupted: bool = False) -> dict[str, Any]:
        """The whole run as one document."""
        wall_s = time.monotonic() - self._began_s
        made = [entry for entry in self._ended if entry["status"] == Status.DONE]
        return {
            "run": self.run,
            "engine": self.engine,
            "workers": self.workers,
            "started": self.started.isoformat(timespec="seconds"),
            "wall_seconds": round(wall_s, 2),
            "interrupted": interrupted,
            "tiles": {"planned": self.total, **_counts(self._ended)},
            "retries": sum(entry["attempts"] - 1 for entry in self._ended),
            "stages": _stages(made),
            "bytes_read": sum(entry.get("bytes_read", 0) for entry in made),
            "bytes_written": sum(entry.get("bytes_written", 0) for entry in made),
            "reads": _reads(made),
            "peak_rss_mb": _spread([entry["peak_rss_mb"] for entry in made]),
            "tile_seconds": _spread([sum(entry["seconds"].values()) for entry in made]),
            "busy_fraction": _busy(made, wall_s, self.workers),
            "cost": round(wall_s / 3600 * self.workers * self.price_per_hour, 4) if self.price_per_hour else None,
            "notes": [redacted(note) for note in self.notes],
            "failures": [entry for entry in self._ended if "error" in entry],
            "ended": self._ended,
        }

    def _write_if_due(self) -> None:
        if time.monotonic() - self._written_s >= self.every_s:
            self._write("running")

    def _write(self, state: str) -> None:
        self._written_s = time.monotonic()
        wall_s = time.monotonic() - self._began_s
        ended = len(self._ended)
        left_s = None
        if self.total is not None and ended and state == "running":
            left_s = round(wall_s / ended * max(0, self.total - ended), 1)
        document = {
            "run": self.run,
            "state": state,
            "engine": self.engine,
            "workers": self.workers,
            "started": self.started.isoformat(timespec="seconds"),
            "updated": _now(),
            "wall_seconds": round(wall_s, 1),
            "seconds_left": left_s,
            "tiles": {"planned": self.total, "running": len(self._running), **_counts(self._ended)},
            "running": list(self._running.values()),
            "failures": [entry for entry in self._ended if "error" in entry][-_FAILURES_KEPT:],
        }
        self._put("state.json", orjson.dumps(document), "application/json")

    def _put(self, name: str, data: bytes, media_type: str) -> None:
        try:
            self.store.put(f"{ROOT}/{self.run}/{name}", data, media_type=media_type)
        except OrographError as error:
            # A run must not fail because its record cannot be written; the tiles' own writes report a lost store.
            import logging

            logging.getLogger(__name__).warning("the run's record could not be written: %s", error)


def run_name(digest: str, moment: datetime | None = None) -> str:
    """Name of a run: its start time, and eight digits of the digest of its content."""
    moment = moment or datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{digest[:8]}"


def latest_run(store: Store) -> str | None:
    """Name of the run that began last; None without runs."""
    names = [info.key.split("/")[1] for info in store.list(f"{ROOT}/") if info.key.endswith("/state.json")]
    return max(names, default=None)


def _reads(made: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Requests and bytes by remote source, over all tiles that were made."""
    sources = sorted({source for entry in made for source in entry.get("reads", {})})
    return {source: summed([entry["reads"].get(source, {}) for entry in made]) for source in sources}


def _ending(outcome: Outcome) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "tile": outcome.job.id,
        "run_key": outcome.job.run_key,
        "status": str(outcome.status),
        "attempts": outcome.attempts,
        "at": _now(),
    }
    if outcome.receipt is not None:
        receipt = outcome.receipt
        entry |= {
            "seconds": dict(receipt.seconds),
            "cpu_seconds": dict(receipt.cpu_seconds),
            "bytes_read": receipt.bytes_read,
            "bytes_written": receipt.bytes_written,
            "reads": dict(receipt.reads),
            "peak_rss_mb": round(receipt.peak_rss_mb, 1),
        }
    if outcome.error is not None:
        entry |= {name: redacted(v) if isinstance(v, str) else v for name, v in outcome.error.to_dict().items() if v}
    return entry


def _counts(ended: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found = Counter(entry["status"] for entry in ended)
    return {str(status): found[str(status)] for status in Status}


def _stages(made: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    walls: dict[str, list[float]] = {}
    cpus: Counter[str] = Counter()
    for entry in made:
        for stage, value in entry["seconds"].items():
            walls.setdefault(stage, []).append(value)
        cpus.update(entry["cpu_seconds"])
    return {stage: {**_spread(values), "cpu_total": round(cpus[stage], 3)} for stage, values in walls.items()}


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "total": round(sum(ordered), 3),
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 3),
        "max": round(ordered[-1], 3),
    }


def _busy(made: Iterable[Mapping[str, Any]], wall_s: float, workers: int) -> float | None:
    busy = sum(sum(entry["seconds"].values()) for entry in made)
    return round(busy / (wall_s * workers), 3) if workers and wall_s else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
