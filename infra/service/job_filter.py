"""Filters of the job list, by the names of the conformance class job-list of OGC API - Processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orograph.infra.service.job_records import JobRecord, JobStatus, now
from orograph.infra.service.problem_documents import Problem
from orograph.stac.serving.bad_query import BadQuery
from orograph.stac.serving.query import Interval, microseconds, parse_datetime

PROCESS_ID: Final = "reprocess-tile"
JOB_TYPE: Final = "process"


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Conditions a job must meet; None and empty for any.

    Attributes:
        types, processes, statuses: Accepted values.
        created: First and last instant of creation, microseconds since 1970.
        min_duration_s, max_duration_s: Bounds of the running time, seconds; a waiting job never matches.
        tile: Tile id.
    """

    types: frozenset[str]
    processes: frozenset[str]
    statuses: frozenset[JobStatus]
    created: Interval
    min_duration_s: int | None
    max_duration_s: int | None
    tile: str | None

    @classmethod
    def parse(
        cls,
        types: Sequence[str] | None,
        processes: Sequence[str] | None,
        statuses: Sequence[str] | None,
        created: str | None,
        min_duration_s: int | None,
        max_duration_s: int | None,
        tile: str | None,
    ) -> JobFilter:
        """Parse query parameters; lists may be comma-separated, repeated or both.

        Raises:
            Problem: 400 for an invalid state or time.
        """
        known = {status.value for status in JobStatus}
        if unknown := sorted(_listed(statuses) - known):
            raise _bad(f"status: {unknown[0][:40]!r} is not one of {', '.join(sorted(known))}")
        try:
            interval = parse_datetime(created)
        except BadQuery as error:
            raise _bad(error.message) from error
        return cls(
            types=_listed(types),
            processes=_listed(processes),
            statuses=frozenset(map(JobStatus, _listed(statuses))),
            created=interval,
            min_duration_s=min_duration_s,
            max_duration_s=max_duration_s,
            tile=tile,
        )

    def matches(self, record: JobRecord) -> bool:
        """Whether a job meets all conditions."""
        return (
            (not self.types or JOB_TYPE in self.types)
            and (not self.processes or PROCESS_ID in self.processes)
            and (not self.statuses or record.status in self.statuses)
            and self.created[0] <= microseconds(record.created) <= self.created[1]
            and self._has_duration(record)
            and self.tile in {None, record.tile}
        )

    def _has_duration(self, record: JobRecord) -> bool:
        if self.min_duration_s is None and self.max_duration_s is None:
            return True
        if record.started is None and not record.status.is_final:
            return False
        lasted_s = 0.0 if record.started is None else ((record.finished or now()) - record.started).total_seconds()
        longest_s = float("inf") if self.max_duration_s is None else self.max_duration_s
        return (self.min_duration_s or 0) <= lasted_s <= longest_s


def _listed(values: Sequence[str] | None) -> frozenset[str]:
    return frozenset(part for value in values or () for part in value.split(",") if part)


def _bad(detail: str) -> Problem:
    return Problem(400, "Invalid Parameter", detail)
