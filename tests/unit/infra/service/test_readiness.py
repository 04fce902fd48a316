"""The store is asked at most every few seconds, and its fault is told without secrets."""

import asyncio

from orograph.infra.service import readiness
from orograph.infra.service.readiness import Readiness
from orograph.pipeline.errors import StoreUnavailable


class Store:
    def __init__(self):
        self.asked, self.fault = 0, None

    def head(self, _key):
        self.asked += 1
        if self.fault:
            raise StoreUnavailable(self.fault)


def test_probes_share_one_look(monkeypatch):
    store = Store()
    ready = Readiness(store)

    async def probe(count):
        return [await ready.fault() for _ in range(count)]

    assert asyncio.run(probe(5)) == [None] * 5
    assert store.asked == 1
    monkeypatch.setattr(readiness, "_LOOK_S", 0.0)
    store.fault = "no answer from https://me:secret@host/"
    (fault,) = asyncio.run(probe(1))
    assert "no answer" in fault
    assert "secret" not in fault
