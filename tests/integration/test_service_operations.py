"""What operators meet: floods of idle connections, read-only stores, probes, numbers, several services on one store."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient

from orograph.infra.service.app import create_app
from orograph.infra.service.connections import BACKLOG, bounded_protocol
from orograph.infra.service.job_records import JobBook, JobStatus
from orograph.infra.service.leases import Leases
from orograph.infra.service.settings import ServiceSettings
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.objects import ObjectInfo
from orograph.pipeline.errors import StoreUnwritable
from tests.support.catalogue_world import MemoryStore
from tests.support.service_world import UNPUBLISHED, WEST, Engine, World

ORDER = "/processes/reprocess-tile/execution"
TIMEOUT_S = 3.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"), pixel_m=500.0)
    made.publish(WEST)
    return made


def settings(**changes: Any) -> ServiceSettings:
    return ServiceSettings(**{"allowed_hosts": ("testserver", "127.0.0.1"), "orders_per_minute": 10_000, **changes})


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[tuple[str, int]]:
    """A service behind real sockets, as `orograph serve` starts it."""
    app = create_app(settings(), world.parts(Engine()))
    http = bounded_protocol(TIMEOUT_S, 64 * 1024, 1000)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", http=http, backlog=BACKLOG)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join(10)


@contextlib.contextmanager
def many_descriptors(count: int) -> Iterator[int]:
    """Room for sockets of both ends in this process; how many of them there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(count * 2 + 500, hard) if hard != resource.RLIM_INFINITY else count * 2 + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield min(count, (max(soft, wanted) - 500) // 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answer_s(address: tuple[str, int]) -> float:
    started = time.perf_counter()
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/conformance", timeout=10) as answer:
        assert answer.status == 200
    return time.perf_counter() - started


def test_idle_and_half_sent_connections_lock_nobody_out(address: tuple[str, int]) -> None:
    answer_s(address)
    with many_descriptors(2700) as room, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(address)) for _ in range(room - 200)]
        half = [stack.enter_context(socket.create_connection(address)) for _ in range(200)]
        for number, one in enumerate(half):
            body = b"Content-Length: 10\r\n\r\nhalf" if number % 2 else b"X-Half: "
            one.sendall(b"POST /stac/search HTTP/1.1\r\nHost: 127.0.0.1\r\n" + body)
        # The first request queues behind all these connections, which are accepted in order.
        first_s, *later_s = (answer_s(address) for _ in range(5))
        print(
            f"{len(idle)} idle, {len(half)} half-sent: first served in {first_s:.3f} s, others in {max(later_s):.3f} s"
        )
        assert first_s < 5.0
        assert max(later_s) < 1.0
        time.sleep(TIMEOUT_S + 1)
        for one in (idle[-1], half[0], half[1]):
            one.settimeout(2)
            with contextlib.suppress(ConnectionResetError):
                received = one.recv(1000)
                assert received == b"" or received.startswith(b"HTTP/1.1 408")


def test_header_bytes_are_bounded(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as one:
        one.sendall(b"GET /conformance HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            for number in range(1000):
                one.sendall(b"X%d: " % number + b"a" * 64_000 + b"\r\n")
                sent += 64_000
        assert sent < 32 * 2**20
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(100).startswith((b"HTTP/1.1 431", b"HTTP/1.1 400", b""))


def test_connections_are_kept_between_requests_and_large_bodies_pass(address: tuple[str, int]) -> None:
    body = json.dumps({"limit": 1, "ids": ["x" * 60_000]}).encode()
    with socket.create_connection(address, timeout=10) as one:
        for _ in range(4):
            one.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert one.recv(4000).startswith(b"HTTP/1.1 200")
        head = f"POST /stac/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        one.sendall(head.encode() + body[:30_000])
        time.sleep(0.2)
        one.sendall(body[30_000:])
        assert one.recv(4000).startswith((b"HTTP/1.1 200", b"HTTP/1.1 4"))


class ReadOnly(LocalStore):
    """A folder on a file system that is mounted read-only."""

    def put(self, key: str, *_args: Any, **_options: Any) -> ObjectInfo:
        raise StoreUnwritable(f"{key}: Read-only file system")

    def delete(self, key: str) -> None:
        raise StoreUnwritable(f"{key}: Read-only file system")


def test_a_read_only_store_is_served_and_takes_no_orders(world: World, tmp_path: Path) -> None:
    assert isinstance(world.store, LocalStore)
    viewer = World(tmp_path, pixel_m=500.0, store=ReadOnly(world.store.root))
    with TestClient(create_app(settings(lease_s=0.3), viewer.parts(Engine()))) as client:
        assert client.get("/stac/collections").json()["collections"]
        assert client.get("/map/state").status_code == 200
        assert client.get("/readyz").json() == {"status": "ok", "store": "read-only"}
        answer = client.post(ORDER, json={"inputs": {"tile": UNPUBLISHED.id}})
        assert (answer.status_code, answer.json()["title"]) == (503, "Read-Only Store")
        assert "orograph_store_read_only 1.0" in client.get("/metrics").text


def test_probes_and_numbers(world: World) -> None:
    with TestClient(create_app(settings(), world.parts(Engine()))) as client:
        assert client.get("/livez").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ok", "store": "writable"}
        client.get(f"/jobs/{'0' * 32}")
        client.get("/nothing/of/the/kind")
        client.get("/stac/collections")
        text = client.get("/metrics").text
    assert 'orograph_http_requests_total{method="GET",route="/jobs/{job_id}",status="404"} 1.0' in text
    assert 'route="unmatched",status="404"' in text
    assert 'orograph_jobs{status="running"} 0.0' in text
    assert "of/the/kind" not in text
    with TestClient(create_app(settings(auth="all"), world.parts(Engine()))) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/metrics").status_code == 401


def test_one_caller_cannot_take_every_progress_stream(world: World) -> None:
    app = create_app(settings(event_streams=50, event_streams_per_caller=2), world.parts(Engine()))

    async def watched() -> list[bool]:
        broadcast = app.state.service.broadcast
        watchers = [broadcast.watch("a" * 32, caller) for caller in ("key:1", "key:1", "key:1", "key:2")]
        watchers[0].close()
        return [watcher is not None for watcher in (*watchers, broadcast.watch("a" * 32, "key:1"))]

    import asyncio

    assert asyncio.run(watched()) == [True, True, False, True, True]


def test_leases_do_not_compare_clocks() -> None:
    store = MemoryStore()
    first_s, second_s = [1000.0], [-45.0]
    first = Leases(store, "first", 30.0, lambda: first_s[0])
    second = Leases(store, "second", 30.0, lambda: second_s[0])
    first.sign()
    for _ in range(20):
        assert second.lives("first")
        first_s[0] += 10
        second_s[0] += 10
        first.sign()
    assert second.lives("first")
    second_s[0] += 29
    assert second.lives("first")
    second_s[0] += 2
    assert not second.lives("first")
    assert not second.lives("first")
    assert second.lives("second")
    first.sign()
    first.release()
    assert not second.lives("first")


def test_a_queued_job_that_another_service_took_up_is_not_run_twice(world: World, tmp_path: Path) -> None:
    made = World(tmp_path, pixel_m=500.0)
    engine = Engine(open_=False)
    with TestClient(create_app(settings(workers=1), made.parts(engine))) as client:
        asynchronous = {"prefer": "respond-async"}
        running = client.post(ORDER, json={"inputs": {"tile": WEST.id}}, headers=asynchronous).json()["jobID"]
        queued = client.post(ORDER, json={"inputs": {"tile": UNPUBLISHED.id}}, headers=asynchronous).json()["jobID"]
        other = JobBook(made.store, lambda _record: None)
        other.change(queued, lambda found: found.changed(owner="other", status=JobStatus.ACCEPTED))
        engine.gate.set()
        deadline = time.monotonic() + 20
        while client.get(f"/jobs/{running}").json()["status"] != "successful" and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        assert len(engine.ran) == 1
        kept = other.get(queued)
        assert kept is not None
        assert (kept.owner, kept.status) == ("other", JobStatus.ACCEPTED)
