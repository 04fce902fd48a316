"""Watchers get every change of their job, bounded in number and backlog."""

import asyncio

from orograph.infra.service.events import Broadcast, event, keepalive
from orograph.infra.service.job_records import JobRecord, now

RECORD = JobRecord(id="a" * 32, tile="T", run_key="k", created=now(), updated=now())


def test_a_watcher_gets_the_changes_of_its_job_only():
    async def scenario():
        broadcast = Broadcast(limit=2, per_caller=1)
        watcher = broadcast.watch(RECORD.id, "me")
        assert broadcast.watch(RECORD.id, "me") is None, "one caller has one"
        other = broadcast.watch("b" * 32, "you")
        assert broadcast.watch(RECORD.id, "third") is None, "all together have two"
        broadcast.publish(RECORD)
        assert await watcher.next(1.0) == RECORD
        assert await other.next(0.0) is None
        watcher.close()
        watcher.close()
        assert broadcast.open == 1
        return broadcast.watch(RECORD.id, "me")

    assert asyncio.run(scenario()) is not None


def test_a_slow_reader_loses_changes_in_between_but_never_the_latest():
    async def scenario():
        broadcast = Broadcast(limit=1, per_caller=1)
        watcher = broadcast.watch(RECORD.id, "me")
        for revision in range(100):
            broadcast.publish(RECORD.model_copy(update={"revision": revision}))
        await asyncio.sleep(0)
        found = []
        while (record := await watcher.next(0.01)) is not None:
            found.append(record.revision)
        return found

    assert asyncio.run(scenario()) == list(range(36, 100))


def test_the_form_of_the_stream():
    async def source():
        yield event("status", 3, {"a": 1})

    async def collected():
        return [chunk async for chunk in keepalive(source())]

    assert asyncio.run(collected()) == [b"retry: 2000\n\n", b'id: 3\nevent: status\ndata: {"a":1}\n\n']
