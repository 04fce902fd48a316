"""Prometheus metrics of the service: requests by route, jobs, queue, streams."""

from __future__ import annotations

import time
from collections import Counter as PlainCounter
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orograph.infra.service.job_records import JobRecord, JobStatus

_SECONDS: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)


class Numbers:
    """Prometheus metrics of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "orograph_http_requests", "Requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "orograph_http_request_seconds",
            "Time to the last byte",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("orograph_http_requests_in_flight", "Requests being answered", registry=self.registry)
        self.jobs = Gauge("orograph_jobs", "Jobs that this service knows, by state", ["status"], registry=self.registry)
        self.waiting = Gauge("orograph_jobs_waiting", "Accepted jobs in the queue", registry=self.registry)
        self.streams = Gauge("orograph_event_streams", "Open progress streams", registry=self.registry)
        self.read_only = Gauge("orograph_store_read_only", "1 where orders cannot be taken", registry=self.registry)

    def text(self, records: Iterable[JobRecord], *, waiting: int, streams: int, read_only: bool) -> bytes:
        """The metrics in Prometheus's text format, with the current state."""
        counts = PlainCounter(record.status for record in records)
        for status in JobStatus:
            self.jobs.labels(status.value).set(counts[status])
        self.waiting.set(waiting)
        self.streams.set(streams)
        self.read_only.set(read_only)
        return generate_latest(self.registry)


class CountedRequests:
    """Counts requests by matched route, not by path."""

    def __init__(self, app: ASGIApp, numbers: Numbers) -> None:
        self._app = app
        self._numbers = numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._numbers.in_flight.inc()
        try:
            await self._app(scope, receive, noted)
        finally:
            self._numbers.in_flight.dec()
            route = _route(scope)
            method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST", "DELETE", "OPTIONS"} else "other"
            self._numbers.requests.labels(method, route, str(status)).inc()
            if not route.endswith("/events"):
                self._numbers.seconds.labels(route).observe(time.perf_counter() - started)


def _route(scope: Scope) -> str:
    found = getattr(scope.get("route"), "path", "")
    if found:
        return str(found)
    path = str(scope.get("path", ""))
    return next((f"{mount}/*" for mount in ("/stac", "/files", "/static") if path.startswith(mount)), "unmatched")
