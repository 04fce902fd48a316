"""Bounds on the rate and size of a caller's requests; plain ASGI, so that they cost microseconds."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orograph.infra.service.problem_documents import Problem

_REMEMBERED: Final = 10_000


class RateLimiter:
    """One token bucket per caller, of one minute's allowance, refilled evenly; callers unseen longest are dropped.

    Args:
        per_minute: Requests per minute of one caller.
        clock: Seconds, monotonic.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60.0
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, caller: str) -> int:
        """Take one token; return 0, or the whole seconds until one is available."""
        now = self._clock()
        with self._lock:
            tokens, seen = self._buckets.pop(caller, (self._capacity, now))
            tokens = min(self._capacity, tokens + (now - seen) * self._per_second)
            allowed = tokens >= 1.0
            self._buckets[caller] = (tokens - 1.0 if allowed else tokens, now)
            if len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1.0 - tokens) / self._per_second))


def caller_network(host: str | None) -> str:
    """Network of a caller without a key, for rate limits: the IPv4 address, or the IPv6 /64 network."""
    if not host:
        return "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


class SizeLimits:
    """Rejects long URLs (414) and long bodies (413), with or without Content-Length, before reading all of them."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_url_bytes: int) -> None:
        self._app = app
        self._max_body = max_body_bytes
        self._max_url = max_url_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within the limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > self._max_url:
            await Problem(414, "URI Too Long", f"at most {self._max_url} bytes").response()(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > self._max_body:
            await self._too_large().response()(scope, receive, send)
            return
        await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on while the body stays within bounds; beyond, whatever the application answers becomes 413."""
        received = 0
        answered = False

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._max_body:
                    raise self._too_large()
            return message

        async def guarded(message: Message) -> None:
            nonlocal answered
            if received <= self._max_body:
                await send(message)
            elif not answered:
                answered = True
                await self._too_large().response()(scope, receive, send)

        await self._app(scope, counting, guarded)

    def _too_large(self) -> Problem:
        return Problem(413, "Content Too Large", f"at most {self._max_body} bytes")
