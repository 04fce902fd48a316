"""The Ray engine on a local cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from orograph.infra.engines.protocol import Status
from orograph.infra.engines.ray import RayEngine, RayOptions
from orograph.infra.engines.schedule import Policy
from orograph.pipeline.errors import DeadlineExceeded, ResourcesMissing, SourceCorrupt, TileQuarantined
from tests.support import runners
from tests.support.worlds import make_job
from tests.unit.infra.engines.test_local import QUICK, run

pytestmark = pytest.mark.ray


def test_every_job_ends_once(ray_cluster: str, tmp_path: Path) -> None:
    deeds = [
        "nothing:",
        "corrupt:made",
        "unavailable:",
        f"unavailableonce:{tmp_path / 'x'}",
        "kill:",
        f"killonce:{tmp_path / 'k'}",
        "nothing:",
    ]
    outcomes, events = run(RayEngine(RayOptions(workers=2), QUICK), deeds)
    assert [(outcome.status, outcome.attempts) for outcome in outcomes] == [
        (Status.DONE, 1),
        (Status.FAILED, 1),
        (Status.QUARANTINED, 3),
        (Status.DONE, 2),
        (Status.QUARANTINED, 3),
        (Status.DONE, 2),
        (Status.DONE, 1),
    ]
    assert isinstance(outcomes[1].error, SourceCorrupt)
    assert outcomes[1].error.stage == "blend"
    assert {event.stage for event in events} == {"read", "blend"}


def test_a_hung_tile_is_killed_at_its_deadline(ray_cluster: str, tmp_path: Path) -> None:
    policy = Policy(attempts=2, deadline_s=3.0, backoff=QUICK.backoff)
    outcomes, _ = run(RayEngine(RayOptions(workers=2), policy), ["hang:", f"hangonce:{tmp_path / 'h'}"])
    assert [outcome.status for outcome in outcomes] == [Status.QUARANTINED, Status.DONE]
    assert isinstance(outcomes[0].error, TileQuarantined)
    assert isinstance(outcomes[0].error.__cause__, DeadlineExceeded)


def test_a_resource_no_node_has_is_refused_at_once(ray_cluster: str) -> None:
    with pytest.raises(ResourcesMissing, match=r"GPU 0\.25"):
        RayEngine(RayOptions(gpus_per_worker=0.25)).run([make_job()], runners.empty, lambda _: None)
