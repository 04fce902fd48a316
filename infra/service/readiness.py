"""Check whether the service's store responds."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from orograph.infra.reporting.redaction import redacted
from orograph.infra.stores.base import Store
from orograph.pipeline.errors import OrographError

_LOOK_S: Final = 5.0


class Readiness:
    """Checks whether the store responds, at most every few seconds, independent of the rate of probes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked_s = -_LOOK_S
        self._fault: str | None = None
        self._lock = asyncio.Lock()

    async def fault(self) -> str | None:
        """The reason why the service is not ready, None when it is."""
        async with self._lock:
            if time.monotonic() - self._looked_s >= _LOOK_S:
                try:
                    await asyncio.to_thread(self._store.head, "stac/catalog.json")
                    self._fault = None
                except OrographError as error:
                    self._fault = redacted(error.message)
                self._looked_s = time.monotonic()
            return self._fault
