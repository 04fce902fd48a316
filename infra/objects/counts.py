"""Cost of reading a source: requests, bytes over the network, bytes needed, and bytes from the node's cache."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ReadCounts:
    """Counts of one source; safe to use from several threads.

    Attributes:
        requests: Number of requests to servers.
        bytes_fetched: Bytes received.
        bytes_needed: Bytes of headers, of the blocks that were read, and of files that must be read whole.
        cache_hits, cache_bytes: Ranges and files that another tile or worker of the node had fetched.
    """

    requests: int = 0
    bytes_fetched: int = 0
    bytes_needed: int = 0
    cache_hits: int = 0
    cache_bytes: int = 0
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def add(self, *, requests: int = 0, fetched: int = 0, needed: int = 0, hits: int = 0, cached: int = 0) -> None:
        """Add to the counts."""
        with self._lock:
            self.requests += requests
            self.bytes_fetched += fetched
            self.bytes_needed += needed
            self.cache_hits += hits
            self.cache_bytes += cached

    def to_dict(self) -> dict[str, int]:
        """The counts by name, for receipts and reports."""
        with self._lock:
            return {
                "requests": self.requests,
                "bytes_fetched": self.bytes_fetched,
                "bytes_needed": self.bytes_needed,
                "cache_hits": self.cache_hits,
                "cache_bytes": self.cache_bytes,
            }


def summed(counts: list[dict[str, int]]) -> dict[str, int]:
    """Sum the counts of several tiles or sources."""
    names = ReadCounts().to_dict()
    return {name: sum(one.get(name, 0) for one in counts) for name in names}
