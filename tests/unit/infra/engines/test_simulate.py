"""The simulator against what can be said by hand."""

from __future__ import annotations

import pytest

from orograph.infra.engines.simulate import CPU, GPU, NETWORK, ClusterModel, NodeModel, StageModel, simulate
from orograph.pipeline.errors import WorkerLost
from tests.support.worlds import make_job

NO_OVERHEAD = {"dispatch_s": 0.0, "start_s": 0.0}
WORK = (StageModel("work", CPU, 2.0),)


def jobs(count: int):
    return (make_job(number) for number in range(count))


def test_one_core_takes_the_sum() -> None:
    run = simulate(jobs(5), WORK, ClusterModel(NodeModel(1, workers=1), **NO_OVERHEAD))
    assert run.makespan_s == pytest.approx(10.0)
    assert run.utilisation[CPU] == pytest.approx(1.0)
    assert run.outcomes == {"done": 5}


@pytest.mark.parametrize("workers", [4, 8, 16])
def test_cores_are_shared_fairly(workers: int) -> None:
    """More workers than cores neither gain nor lose."""
    run = simulate(jobs(64), WORK, ClusterModel(NodeModel(4, workers=workers), **NO_OVERHEAD))
    assert run.makespan_s == pytest.approx(32.0)
    assert run.binding == CPU


def test_a_connection_is_slower_than_the_line() -> None:
    stage = (StageModel("fetch", NETWORK, 100.0, limit=50.0, requests=3),)
    run = simulate(jobs(4), stage, ClusterModel(NodeModel(1, network_mb_s=1000, workers=4), **NO_OVERHEAD))
    assert run.makespan_s == pytest.approx(2.0)
    assert run.megabytes_per_s == pytest.approx(200.0)
    assert run.requests_per_s == pytest.approx(6.0)


def test_workers_that_share_a_gpu_keep_it_busy() -> None:
    """The case of A3 in the reference measurements: read, CPU, GPU, write; k workers on one GPU."""
    stages = (
        StageModel("read", NETWORK, 0.8, limit=1.0),
        StageModel("before", CPU, 0.35),
        StageModel("superres", GPU, 0.6),
        StageModel("after", CPU, 0.35),
        StageModel("write", NETWORK, 0.4, limit=1.0),
    )
    busy = {}
    for workers in (1, 4, 6):
        node = NodeModel(8, gpus=1, network_mb_s=1000, workers=workers)
        busy[workers] = simulate(jobs(200), stages, ClusterModel(node, **NO_OVERHEAD)).utilisation[GPU]
    assert busy[1] == pytest.approx(0.6 / 2.5, abs=0.01)
    assert busy[4] > 0.85
    assert busy[6] >= busy[4] - 1e-6


def test_the_driver_hands_out_one_job_after_the_other() -> None:
    node = NodeModel(1000, workers=1000)
    run = simulate(jobs(1000), (StageModel("work", CPU, 0.001),), ClusterModel(node, dispatch_s=0.01, start_s=0.0))
    assert run.makespan_s == pytest.approx(10.0, rel=0.01)


def test_losses_are_retried_by_the_real_scheduler() -> None:
    cluster = ClusterModel(NodeModel(4, workers=4), loss_rate=0.1, **NO_OVERHEAD)
    run = simulate(jobs(300), WORK, cluster)
    assert run.outcomes["done"] + run.outcomes.get("quarantined", 0) == 300
    assert 15 <= run.retries <= 60
    assert simulate(jobs(300), WORK, cluster) == run


def test_a_resource_no_node_has_is_refused() -> None:
    with pytest.raises(WorkerLost, match="gpu"):
        simulate(jobs(1), (StageModel("superres", GPU, 1.0),), ClusterModel(NodeModel(4)))
