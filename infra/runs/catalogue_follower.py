"""Updates collections, index and root catalogue while a run publishes tiles.

The cost of a rewrite is proportional to the number of tiles, so one rewrite per tile would cost the square of it. The
follower rewrites in its own thread and then rests ten times as long as the rewrite took, so that it needs less than
a tenth of one core.
"""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Final, Self

from orograph.infra.stores.base import Store
from orograph.pipeline.errors import OrographError
from orograph.stac.publishing.rebuild import rebuild

REST_S: Final = 20.0
_REST_PER_WORK: Final = 10.0

log = logging.getLogger(__name__)


class CatalogueFollower:
    """A context manager around a run; at the end of the block it updates the catalogue a last time.

    Args:
        store: Store of the published tiles.
        rest_s: Shortest time between two rewrites, seconds.
    """

    def __init__(self, store: Store, *, rest_s: float = REST_S) -> None:
        self._store = store
        self._rest_s = rest_s
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._published = False
        self._thread = threading.Thread(target=self._follow, name="orograph-catalogue", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._changed.set()
        self._thread.join()
        if self._published:
            rebuild(self._store)

    def published(self) -> None:
        """Record that a tile was published; returns at once."""
        self._published = True
        self._changed.set()

    def _follow(self) -> None:
        while True:
            self._changed.wait()
            if self._ended.is_set():
                return
            self._changed.clear()
            started = time.monotonic()
            try:
                rebuild(self._store)
            except OrographError as error:
                # The end of the run, or the next round, does it again from the same notes.
                log.warning("the catalogue could not be brought up to date: %s", error)
            if self._ended.wait(max(self._rest_s, _REST_PER_WORK * (time.monotonic() - started))):
                return
