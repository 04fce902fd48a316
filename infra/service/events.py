"""Progress as server-sent events: one broadcast to a bounded number of watchers."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import orjson

from orograph.infra.service.job_records import JobRecord

_BACKLOG: Final = 64
KEEPALIVE_S: Final = 15.0


class Broadcast:
    """Sends every change of a record to the watchers of its job; any thread may report changes.

    Args:
        limit: Largest number of watchers at once.
        per_caller: The same for one caller.
    """

    def __init__(self, limit: int, per_caller: int) -> None:
        self._limit = limit
        self._per_caller = per_caller
        self._callers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._watchers: dict[str, set[Watcher]] = {}
        self._count = 0

    def publish(self, record: JobRecord) -> None:
        """Notify the watchers of a job."""
        with self._lock:
            watchers = tuple(self._watchers.get(record.id, ()))
        for watcher in watchers:
            watcher.offer(record)

    @property
    def open(self) -> int:
        """Number of open watchers."""
        return self._count

    def watch(self, id_: str, caller: str) -> Watcher | None:
        """Open a watcher of a job, to be closed by the caller; None when the limit is reached."""
        with self._lock:
            if self._count >= self._limit or self._callers[caller] >= self._per_caller:
                return None
            watcher = Watcher(self, id_, caller, asyncio.get_running_loop())
            self._callers[caller] += 1
            self._watchers.setdefault(id_, set()).add(watcher)
            self._count += 1
        return watcher

    def drop(self, watcher: Watcher) -> None:
        """Remove a watcher."""
        with self._lock:
            group = self._watchers.get(watcher.id, set())
            if watcher in group:
                group.remove(watcher)
                self._count -= 1
                self._callers[watcher.caller] -= 1
                if not self._callers[watcher.caller]:
                    del self._callers[watcher.caller]
            if not group:
                self._watchers.pop(watcher.id, None)


class Watcher:
    """One open stream. A slow reader misses intermediate changes, never the latest."""

    def __init__(self, broadcast: Broadcast, id_: str, caller: str, loop: asyncio.AbstractEventLoop) -> None:
        self.id = id_
        self.caller = caller
        self._broadcast = broadcast
        self._loop = loop
        self._queue: asyncio.Queue[JobRecord] = asyncio.Queue(_BACKLOG)

    def offer(self, record: JobRecord) -> None:
        """Queue a change, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, record)

    async def next(self, timeout_s: float) -> JobRecord | None:
        """Return the next change; None if there is none within `timeout_s`."""
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return None

    def close(self) -> None:
        """Stop listening."""
        self._broadcast.drop(self)

    def _put(self, record: JobRecord) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(record)


def event(name: str, id_: int, data: dict[str, object]) -> bytes:
    """Format one server-sent event."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (id_, name.encode(), orjson.dumps(data))


async def keepalive(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the clients' reconnection delay, then the events of a stream, and comments that keep it open."""
    yield b"retry: 2000\n\n"
    async for chunk in source:
        yield chunk
