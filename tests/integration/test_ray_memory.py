"""Ray's memory monitor kills a worker for real: the tile is named, tried once more and given up; its neighbours live."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psutil
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DRIVER = """
import json, sys
from orograph.infra.engines.ray import RayEngine, RayOptions
from orograph.infra.engines.schedule import Policy
from orograph.infra.stores.retry import Backoff
from tests.support import runners
from tests.support.worlds import make_job
jobs = [make_job(0, href="do:gorge:" + sys.argv[1]), *(make_job(n, href="do:nap:1") for n in range(1, 5))]
policy = Policy(deadline_s=120.0, backoff=Backoff(first_s=0.01, longest_s=0.02))
engine = RayEngine(RayOptions(workers=2, memory_mb_per_worker=500), policy)
for outcome in engine.run(jobs, runners.told, lambda _: None):
    error = outcome.error
    print(json.dumps({
        "tile": outcome.job.tile.id, "status": outcome.status, "attempts": outcome.attempts,
        "error": error and error.to_dict(), "cause": error and type(error.__cause__).__name__,
        "is_hog": outcome.job.sources[0].files[0].href.startswith("do:gorge"),
    }), flush=True)
"""


def test_a_worker_rays_monitor_kills_is_named_by_tile_and_stage() -> None:
    memory = psutil.virtual_memory()
    room_mb = 3500  # other tests take and free memory meanwhile
    if memory.available < 3 * room_mb * 2**20:
        pytest.skip(f"needs {3 * room_mb} MB of free memory")
    threshold = (memory.total - memory.available + room_mb * 2**20) / memory.total
    environment = {
        **os.environ,
        "RAY_memory_usage_threshold": f"{threshold:.4f}",
        "RAY_memory_monitor_refresh_ms": "100",
        "RAY_worker_niceness": "0",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    environment.pop("RAY_ADDRESS", None)
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DRIVER, str(2 * room_mb)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    outcomes = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]
    (hog,) = [outcome for outcome in outcomes if outcome["is_hog"]]
    assert (hog["status"], hog["attempts"], hog["cause"]) == ("quarantined", 2, "OutOfMemory"), hog
    assert (hog["error"]["tile"], hog["error"]["stage"]) == (hog["tile"], "blend")
    assert "Ray killed the worker for its memory" in hog["error"]["message"]
    assert "memory per worker" in hog["error"]["remedy"]
    assert [outcome["status"] for outcome in outcomes if not outcome["is_hog"]] == ["done"] * 4
