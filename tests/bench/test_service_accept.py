"""How long it takes to have a job accepted, by 50 callers at once, over real HTTP.

The service runs in a process of its own with the real planner (sources on disk, files identified by sha256) and a real
folder as store: every accepted order has its record synchronised to disk before it is answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.results import record

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

CLIENTS = 50
ORDERS_EACH = 20
PAUSE_S = 1.0

SERVER = """
import sys, uvicorn
from pathlib import Path
from orograph.infra.service.app import create_app
from orograph.infra.service.settings import ServiceSettings
from tests.service_world import Engine, World
world = World(Path(sys.argv[1]), pixel_m=500.0)
world.publish()
settings = ServiceSettings(port=int(sys.argv[2]), queue_limit=100_000, orders_per_minute=10_000_000, reads_per_minute=10_000_000)
app = create_app(settings, world.parts(Engine(open_=False)))
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""


async def order(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tile: str, key: str) -> tuple[float, int]:
    """Seconds and status of one order over a kept connection, in the fewest client instructions."""
    body = json.dumps({"inputs": {"tile": tile}}).encode()
    head = (
        "POST /processes/reprocess-tile/execution HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    start = time.perf_counter()
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return time.perf_counter() - start, int(answer[9:12])


async def client(port: int, number: int, tile: str, pause_s: float, fresh: bool) -> list[tuple[float, int]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    rng = np.random.default_rng(number)
    found = []
    for turn in range(ORDERS_EACH):
        await asyncio.sleep(pause_s * float(rng.uniform(0.2, 1.8)))
        key = f"{pause_s}-{number}-{turn}" if fresh else "same"
        found.append(await order(reader, writer, tile, key))
    writer.close()
    return found


async def crowd(port: int, tile: str, pause_s: float, fresh: bool) -> list[tuple[float, int]]:
    parts = await asyncio.gather(*(client(port, n, tile, pause_s, fresh) for n in range(CLIENTS)))
    return [one for part in parts for one in part]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(name: str, found: list[tuple[float, int]], cpu: float) -> dict[str, Any]:
    times = np.array([seconds for seconds, _ in found]) * 1e3
    p50, p99 = np.percentile(times, (50, 99))
    statuses = {status: sum(s == status for _, s in found) for status in {s for _, s in found}}
    print(
        f"{name:<34} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  max {times.max():6.1f} ms  service CPU {cpu / len(found) * 1e3:4.2f} ms/order  {statuses}"
    )
    return {"p50": p50, "p99": p99, "cpu_ms": cpu / len(found) * 1e3, "statuses": statuses}


def test_orders_are_accepted_quickly_under_fifty_callers(tmp_path: Path) -> None:
    port = 18_571
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path), str(port)])
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                asyncio.run(_answers(port))
                break
            except OSError:
                time.sleep(0.2)
        rows = {}
        for name, tile, pause_s, fresh in (
            ("new jobs, an order a second each", "E4400N2650", PAUSE_S, True),
            ("repeated orders, one a second each", "E4400N2650", PAUSE_S, False),
            ("up-to-date tile, one a second each", "E4300N2650", PAUSE_S, True),
            ("new jobs, without a pause", "E4400N2650", 0.0, True),
        ):
            before = cpu_s(process.pid)
            rows[name] = told(name, asyncio.run(crowd(port, tile, pause_s, fresh)), cpu_s(process.pid) - before)
        for slug, name in (
            ("accept", "new jobs, an order a second each"),
            ("repeat", "repeated orders, one a second each"),
        ):
            record(
                "service",
                slug,
                claim=f"{name}, 50 callers",
                ours=f"{rows[name]['cpu_ms']:.1f} ms CPU, p50 {rows[name]['p50']:.0f} ms",
                data="real planner, records synchronised to disk",
            )
        assert all(status in {200, 201} for row in rows.values() for status in row["statuses"])
        assert rows["new jobs, an order a second each"]["statuses"][201] == CLIENTS * ORDERS_EACH
    finally:
        process.kill()
        process.wait()


async def _answers(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
