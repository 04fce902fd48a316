"""Bounds on connections, so that none can block the others: time, header bytes and number.

uvicorn has no timeout before a request is complete and counts idle connections as requests. This protocol closes
connections whose request is not complete in time, rejects long headers with 431, and at the largest number of
connections closes the one that has been idle longest.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

BACKLOG: Final = 4096
"""Connections the system keeps until they are accepted, as many as Linux allows; one more waits a second for its next SYN."""

_DESCRIPTORS_FOR_WORK: Final = 200
"""File descriptors that connections leave for stores, sources and workers."""

_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen by uvicorn at import
    """uvicorn's HTTP protocol with bounds on its connections.

    Attributes:
        request_timeout_s: Longest time from a connection's or request's first byte to its last.
        max_header_bytes: Largest header of a request, including its first line.
        max_connections: Largest number of open connections; beyond it the one idle longest is closed.
    """

    request_timeout_s: ClassVar[float] = 10.0
    max_header_bytes: ClassVar[int] = 64 * 1024
    max_connections: ClassVar[int] = 1000
    _waiting_of: ClassVar[weakref.WeakKeyDictionary[Any, OrderedDict[int, BoundedProtocol]]] = (
        weakref.WeakKeyDictionary()
    )

    def connection_made(self, transport: Any) -> None:
        """Register a new connection; above `max_connections`, close the connection that has been idle longest."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._seen_bytes = 0
        self._counted_cycle: Any = None
        self._await_request()
        while len(self.connections) > self.max_connections and len(self._waiting) > 1:
            _, oldest = self._waiting.popitem(last=False)
            oldest.connections.discard(oldest)
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a request until it is complete."""
        if self._timer is None:
            self._await_request()
        super().data_received(data)
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and cycle is not self._counted_cycle:
            self._counted_cycle, self._seen_bytes = cycle, 0  # the headers of a request are complete
        elif cycle is None or cycle.response_complete or not cycle.more_body:
            self._seen_bytes += len(data)  # headers of the next request
        if self._seen_bytes > self.max_header_bytes:
            self._close(_TOO_LONG)
        elif cycle is not None and not cycle.more_body and not cycle.response_complete:
            self._request_is_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a closed connection from the count."""
        self._request_is_complete()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Mark the connection as idle until its next request."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._waiting[id(self)] = self

    @property
    def _waiting(self) -> OrderedDict[int, BoundedProtocol]:
        """Connections of this server without a complete request, the longest waiting first."""
        return self._waiting_of.setdefault(self.server_state, OrderedDict())

    def _await_request(self) -> None:
        self._waiting.setdefault(id(self), self)
        self._timer = self.loop.call_later(self.request_timeout_s, self._close, _TOO_SLOW)

    def _request_is_complete(self) -> None:
        self._waiting.pop(id(self), None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self, answer: bytes) -> None:
        """Answer if that is still allowed, and close."""
        self._request_is_complete()
        if self.transport.is_closing():
            return
        answered = self.cycle is not None and not self.cycle.response_complete and self.cycle.response_started
        if not answered:
            self.transport.write(answer)
        self.transport.close()


def bounded_protocol(request_timeout_s: float, max_header_bytes: int, max_connections: int) -> type[BoundedProtocol]:
    """Return `BoundedProtocol` with these bounds; `max_connections` stays below the limit of file descriptors."""
    import resource  # Unix only

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = max_connections if soft == resource.RLIM_INFINITY else max(16, soft - _DESCRIPTORS_FOR_WORK)
    bounds = {
        "request_timeout_s": request_timeout_s,
        "max_header_bytes": max_header_bytes,
        "max_connections": min(max_connections, room),
    }
    return type("ServiceProtocol", (BoundedProtocol,), bounds)
