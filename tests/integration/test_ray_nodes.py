"""Several real raylets on one machine: work spreads, a lost node costs its tiles one attempt, a late node is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: a test session can be connected to one cluster only.
SCRIPT = """
import json, sys, threading, time
from ray.cluster_utils import Cluster
from orograph.infra.engines.ray import RayEngine, RayOptions, connect
from orograph.infra.engines.protocol import Status
from orograph.infra.engines.schedule import Policy
from orograph.infra.stores.retry import Backoff
from tests.support import runners
from tests.support.worlds import make_job

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
first = cluster.add_node(num_cpus=1)
connect(cluster.address)
policy = Policy(attempts=3, deadline_s=60, backoff=Backoff(first_s=0.1, longest_s=0.2))
engine = RayEngine(RayOptions(workers=2, autoscaling=True), policy)
jobs = [make_job(n, href="do:node:" + sys.argv[1]) for n in range(14)]
second = []
done = []
for outcome in engine.run(iter(jobs), runners.told, lambda _: None):
    done.append(outcome)
    if len(done) == 2:
        second.append(cluster.add_node(num_cpus=1))
    if len(done) == 8:
        cluster.remove_node(first, allow_graceful=False)
print("FOUND " + json.dumps({
    "status": [str(outcome.status) for outcome in done],
    "attempts": [outcome.attempts for outcome in done],
    "tiles": len({outcome.job.tile.id for outcome in done}),
}))
"""


def test_nodes_come_and_go(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path)],
        check=False,
        env={**environment, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr[-6000:]
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("FOUND ")]
    found = json.loads(line.removeprefix("FOUND "))
    assert found["status"] == ["done"] * 14
    assert found["tiles"] == 14
    assert max(found["attempts"]) <= 2
    # Every attempt leaves its node's id: both nodes have worked.
    nodes = {path.name for path in tmp_path.iterdir()}
    assert len(nodes) == 2
