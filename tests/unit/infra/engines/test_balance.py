"""Bounds of a node by hand, and against the simulator."""

from __future__ import annotations

import pytest

from orograph.infra.engines.balance import balance
from orograph.infra.engines.simulate import CPU, GPU, NETWORK, ClusterModel, NodeModel, StageModel, simulate
from tests.support.worlds import make_job

STAGES = (
    StageModel("fetch", NETWORK, 70.0, limit=90.0),
    StageModel("windows", CPU, 2.2),
    StageModel("superres", GPU, 0.25),
    StageModel("export", CPU, 1.4),
)


def test_cores_that_one_gpu_wants():
    found = balance(STAGES, NodeModel(cores=16, gpus=1))
    assert found.by_cores == pytest.approx(60 * 16 / 3.6)
    assert found.by_gpus == pytest.approx(240.0)
    assert found.tiles_per_minute == pytest.approx(240.0)
    assert found.cores_per_gpu == pytest.approx(0.85 * 3.6 / 0.25)


@pytest.mark.parametrize("cores", [4, 8, 16])
def test_the_simulator_comes_near_the_bound(cores):
    node = NodeModel(cores=cores, gpus=1, workers=3 * cores)
    run = simulate((make_job(n) for n in range(600)), STAGES, ClusterModel(node, dispatch_s=0.0, start_s=0.0))
    bound = balance(STAGES, node)
    assert 600 / run.makespan_s * 60 == pytest.approx(bound.tiles_per_minute, rel=0.08)
    assert run.utilisation["gpu"] == pytest.approx(bound.gpu_busy, rel=0.08)


def test_tiles_without_a_gpu_have_no_bound_by_one():
    found = balance((StageModel("work", CPU, 6.0),), NodeModel(cores=2))
    assert found.tiles_per_minute == pytest.approx(20.0)
    assert found.cores_per_gpu == 0.0
