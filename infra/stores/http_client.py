"""One HTTP client per process: connections are kept and shared by all threads, and their number is bounded."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from orograph.pipeline.version import __version__

if TYPE_CHECKING:
    import httpx

AGENT: Final = "orograph"
"""Name by which servers know this program, also in robots.txt."""
USER_AGENT: Final = f"{AGENT}/{__version__}"
CONNECTIONS: Final = 32
"""Requests at once in one process; more wait for a connection."""
_KEPT: Final = 16
_CONNECT_S: Final = 10.0

_lock = threading.Lock()


def http_client(read_timeout_s: float = 60.0, *, follow_redirects: bool = False) -> httpx.Client:
    """The client of this process for a time limit; never close it.

    A forked process gets its own client: two processes on one connection would read each other's responses.
    """
    with _lock:
        return _client(os.getpid(), read_timeout_s, follow_redirects)


@lru_cache(maxsize=8)
def _client(_process: int, read_timeout_s: float, follow_redirects: bool) -> httpx.Client:
    import httpx

    return httpx.Client(
        timeout=httpx.Timeout(read_timeout_s, connect=_CONNECT_S, pool=None),
        limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=_KEPT),
        headers={"Accept-Encoding": "identity", "User-Agent": USER_AGENT},
        follow_redirects=follow_redirects,
    )
