"""What engines cost and whether the simulator tells the truth; figures for docs/benchmarks.md."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml

from infra.cli.options import Request
from infra.engine import Engine, Outcome, Status
from infra.local import LocalEngine
from infra.ray_engine import RayEngine, RayOptions
from infra.simulate import CPU, GPU, NETWORK, ClusterModel, NodeModel, SimulatedRun, StageModel, simulate
from infra.worker import TileRunner
from pipeline.config import ProcessingSettings, RunSettings
from pipeline.job import Job
from tests.support import runners
from tests.support.made import source, write_source
from tests.support.worlds import make_job

pytestmark = pytest.mark.bench


def timed(engine: Engine, jobs: Iterable[Job], runner: Callable[..., object]) -> tuple[float, list[Outcome]]:
    started = time.perf_counter()
    outcomes = list(engine.run(jobs, runner, lambda _: None))  # type: ignore[arg-type]
    return time.perf_counter() - started, outcomes


def moments(engine: Engine, jobs: Iterable[Job], runner: Callable[..., object]) -> list[float]:
    """When each tile ended, seconds; the first includes the start of workers."""
    ends = []
    for outcome in engine.run(jobs, runner, lambda _: None):  # type: ignore[arg-type]
        assert outcome.status is Status.DONE
        ends.append(time.perf_counter())
    return ends


def test_engine_overhead_per_tile(ray_cluster: str) -> None:
    """Empty stages, one worker each, between the end of the first tile and that of the last."""
    engines = {"here": LocalEngine(1), "process": LocalEngine(1, isolate=True), "Ray": RayEngine(RayOptions(workers=1))}
    cost_ms = {}
    for name, engine in engines.items():
        ends = moments(engine, (make_job(n) for n in range(401)), runners.empty)
        cost_ms[name] = 1000 * (ends[-1] - ends[0]) / 400
        print(f"\noverhead per tile, {name}: {cost_ms[name]:.2f} ms")
    assert cost_ms["Ray"] - cost_ms["here"] < 20


@pytest.mark.parametrize("kind", ["local", "ray"])
def test_the_simulator_agrees_with_small_real_runs(kind: str, ray_cluster: str) -> None:
    """Tiles that wait (as for a store) on 1 and 2 workers, from the end of the first tiles to that of the last."""
    for workers, count, nap_s in ((1, 8, 0.5), (2, 16, 0.5), (2, 10, 1.0)):
        local = LocalEngine(workers, isolate=True)
        engine: Engine = local if kind == "local" else RayEngine(RayOptions(workers=workers))
        ends = moments(engine, (make_job(n, href=f"do:nap:{nap_s}") for n in range(count)), runners.told)
        real_s = ends[-1] - ends[workers - 1]
        stages = (StageModel("wait", NETWORK, nap_s, limit=1.0),)
        cluster = ClusterModel(NodeModel(cores=2, network_mb_s=1000.0, workers=workers), dispatch_s=0.002, start_s=0.0)
        simulated_s = simulate((make_job(n) for n in range(count - workers)), stages, cluster).makespan_s
        print(f"\n{kind}, {workers} workers, {count} tiles: real {real_s:.2f} s, simulated {simulated_s:.2f} s")
        assert simulated_s == pytest.approx(real_s, rel=0.15)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A survey at 20 m over four tiles."""
    folder = tmp_path_factory.mktemp("world")
    path = write_source(folder / "fine.tif", "EPSG:25832", (455_000.0, 5_520_000.0, 545_000.0, 5_600_000.0), 20)
    made = source(path, id="fine", horizontal_crs="EPSG:25832", vertical_frame="EPSG:7837", resolution_m=20.0)
    (folder / "catalogue.yaml").write_text(
        yaml.safe_dump({"sources": [json.loads(made.model_dump_json(exclude_none=True))]})
    )
    return folder


def planned(world: Path, pixel_size_m: float, store: str) -> tuple[tuple[Job, ...], TileRunner]:
    run = RunSettings(store=str(world / store), grids_dir=world / "grids")
    settings = ProcessingSettings(pixel_size_m=pixel_size_m, superres="none")
    return Request(catalogue=world / "catalogue.yaml").plan(settings, run).jobs, TileRunner(run)


def test_peak_memory_is_flat_over_tile_sizes(world: Path) -> None:
    peaks = {}
    for pixel_size_m in (25.0, 10.0, 5.0):
        jobs, runner = planned(world, pixel_size_m, f"memory{pixel_size_m:g}")
        _, (outcome,) = timed(LocalEngine(1, isolate=True), jobs[:1], runner)
        assert outcome.receipt is not None, outcome.error
        peaks[pixel_size_m] = outcome.receipt.peak_rss_mb
        cpu = {name: round(value, 2) for name, value in outcome.receipt.cpu_seconds.items()}
        print(
            f"\n{pixel_size_m:g} m: peak {peaks[pixel_size_m]:.0f} MB, CPU {cpu}, wrote {outcome.receipt.bytes_written}"
        )
    # Both are many windows large; a tile at 25 m is hardly one.
    assert peaks[5.0] / peaks[10.0] < 1.15


def test_two_workers_against_one(world: Path) -> None:
    results = {}
    for workers in (1, 2):
        jobs, runner = planned(world, 20.0, f"pair{workers}")
        wall_s, outcomes = timed(LocalEngine(workers, isolate=True), jobs, runner)
        cpu_s = sum(sum(o.receipt.cpu_seconds.values()) for o in outcomes if o.receipt)
        results[workers] = (wall_s, cpu_s, len(outcomes))
        print(f"\n{workers} workers: {len(outcomes)} tiles in {wall_s:.1f} s wall, {cpu_s:.1f} s CPU in stages")
    print(f"speed-up {results[1][0] / results[2][0]:.2f}")


# Europe at 10 m: CPU by the measured stages of this pipeline, store and network as on a 25 Gb/s line.
def europe(nodes: int, cpu_s: float, gpus: float = 1.0, tiles: int = 3000) -> SimulatedRun:
    stages = (
        StageModel("fetch", NETWORK, 70.0, limit=90.0, requests=12),
        StageModel("windows", CPU, 0.6 * cpu_s),
        *((StageModel("superres", GPU, 0.2),) if gpus else ()),
        StageModel("export", CPU, 0.4 * cpu_s),
        StageModel("commit", NETWORK, 170.0, limit=90.0, requests=40),
    )
    node = NodeModel(cores=16, gpus=gpus, network_mb_s=3125.0, workers=32, price_per_hour=2.5)
    return simulate((make_job(n) for n in range(tiles)), stages, ClusterModel(node, nodes, spread=0.3, loss_rate=0.001))


@pytest.mark.parametrize("cpu_s", [3.6, 10.0, 30.0])
def test_europe_on_paper(cpu_s: float) -> None:
    for nodes in (1, 2, 4, 8, 16, 32, 64):
        run = europe(nodes, cpu_s)
        print(
            f"\n{cpu_s} CPU s a tile, {nodes} nodes: {run.makespan_s / 60:.1f} min, {run.utilisation}, {run.binding}"
            f" binds, {run.requests_per_s:.0f} requests/s, {run.megabytes_per_s:.0f} MB/s, cost {run.cost}"
        )
        assert run.outcomes == {"done": 3000}
