"""Leases show which services that share a store are alive, without comparing their clocks.

A service rewrites its lease regularly. Another service records, by its own monotonic clock,
when it last saw the content change; the owner counts as dead when its lease has not changed for `lease_s`. Clocks of
machines may differ by any amount.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Final

from orograph.infra.stores.base import Store

OWNERS: Final = "service/owners/"


class Leases:
    """The leases of a store, seen by one service.

    Args:
        store: Store of the leases.
        owner: Id of this service.
        lease_s: Longest time between two renewals.
        clock: Seconds, monotonic.
    """

    def __init__(self, store: Store, owner: str, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._owner = owner
        self._lease_s = lease_s
        self._clock = clock
        self._numbers = count()
        self._seen: dict[str, tuple[bytes, float]] = {}

    def sign(self) -> None:
        """Renew this service's lease.

        Raises:
            StoreUnwritable and other errors of the store.
        """
        self._store.put(_key(self._owner), str(next(self._numbers)).encode())

    def release(self) -> None:
        """Delete this service's lease, so that others may take over its jobs at once."""
        self._store.delete(_key(self._owner))

    def lives(self, owner: str) -> bool:
        """Whether a service is alive, judged by its lease; a service seen for the first time counts as alive."""
        if owner == self._owner:
            return True
        try:
            content = self._store.get(_key(owner)) if owner else None
        except KeyError:
            content = None
        if content is None:
            self._seen.pop(owner, None)
            return False
        now_s = self._clock()
        before, since_s = self._seen.get(owner, (b"", now_s))
        if content != before:
            self._seen[owner] = (content, now_s)
            return True
        if now_s - since_s < self._lease_s:
            return True
        self._store.delete(_key(owner))
        self._seen.pop(owner, None)
        return False


def _key(owner: str) -> str:
    return f"{OWNERS}{owner}.json"
