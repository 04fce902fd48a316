"""Drivers and workers are killed at any moment; the same command resumes to the same bytes.

Faults 1, 2, 3, 9, 22 of the list in docs/design/072, and two drivers on one area.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from orograph.infra.engines.local import LocalEngine
from orograph.infra.engines.protocol import Status
from orograph.infra.engines.schedule import Policy
from orograph.infra.runs.request import Request
from orograph.infra.runs.tile_runner import TileRunner
from orograph.infra.stores.open import open_store
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.stac.verify import verify
from tests.support.drivers import KillAt, drive
from tests.support.fault_world import half_published, make_world, snapshot
from tests.support.made import source, write_catalogue, write_source
from tests.unit.infra.engines.test_local import QUICK

LONG = os.environ.get("OROGRAPH_FAULTS") == "long"
KILLS = 200 if LONG else 8
TILES = 3


@pytest.fixture(scope="module")
def forks() -> multiprocessing.context.ForkServerContext:
    """Processes that have the heavy imports behind them, so that two hundred kills take minutes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.drivers"])
    return context


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    store = open_store(str(tmp_path_factory.mktemp("plain")))
    make_world(store, range(TILES))
    return snapshot(store)


def await_file(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_killed_driver_resumes_to_the_same_bytes(
    forks: multiprocessing.context.ForkServerContext,
    undisturbed: dict[str, str],
    tmp_path: Path,
    answered: Counter[str],
) -> None:
    generator = random.Random(20)
    whole_s = 0.0
    unfinished = 0
    for kill in range(-1, KILLS):
        url, mark = str(tmp_path / f"store{kill}"), tmp_path / f"mark{kill}"
        process = forks.Process(target=drive, args=(url, TILES, 1, str(mark)))
        process.start()
        await_file(mark)
        began = time.monotonic()
        if kill < 0:
            process.join()
            whole_s = time.monotonic() - began
        else:
            process.join(generator.uniform(0.0, whole_s))
            unfinished += process.is_alive()
            process.kill()
            process.join()
        store = open_store(url)
        assert half_published(store) == []
        make_world(store, range(TILES))
        assert snapshot(store) == undisturbed, f"kill {kill}"
        answered["driver killed"] += kill >= 0
        shutil.rmtree(url)
    # The machine may speed up after the run that was timed; most kills must have fallen inside nevertheless.
    assert unfinished >= KILLS // 3


def test_two_drivers_on_one_area_and_a_reader_that_never_sees_half(
    forks: multiprocessing.context.ForkServerContext, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    url = str(tmp_path / "store")
    store = open_store(url)
    drivers = [forks.Process(target=drive, args=(url, TILES, 1, str(tmp_path / f"m{n}"))) for n in range(2)]
    looks: list[list[str]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            looks.append(half_published(store))

    reader = threading.Thread(target=look)
    reader.start()
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(60)
    stop.set()
    reader.join()
    assert [driver.exitcode for driver in drivers] == [0, 0]
    assert len(looks) > 3
    assert not any(looks)
    assert snapshot(store) == undisturbed


@pytest.fixture(scope="module")
def real_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    """A real job of one tile at 100 m, as it is planned."""
    folder = tmp_path_factory.mktemp("real")
    path = write_source(folder / "fine.tif", "EPSG:25832", (460_000.0, 5_560_000.0, 480_000.0, 5_575_000.0), 50)
    made = source(path, id="fine", horizontal_crs="EPSG:25832", vertical_frame="EPSG:7837", resolution_m=50.0)
    catalogue = folder / "catalogue.yaml"
    write_catalogue(catalogue, made)
    settings = ProcessingSettings(pixel_size_m=100.0, superres="none")
    plan = Request(catalogue=catalogue, tiles=("E4200N3000",)).plan(settings, RunSettings(grids_dir=folder / "grids"))
    (job,) = plan.jobs
    return folder, job


def tile_bytes(store: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in (store / "tiles").rglob("*.*")
        if not path.name.startswith("item")
    }


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("fetch", marks=pytest.mark.slow),
        "windows",
        pytest.param("export", marks=pytest.mark.slow),
        "commit",
    ],
)
def test_a_worker_killed_at_a_stage_costs_one_attempt(
    stage: str, real_world: tuple[Path, object], tmp_path: Path, answered: Counter[str]
) -> None:
    folder, job = real_world
    scratch = tmp_path / "scratch"
    settings = RunSettings(store=str(tmp_path / "store"), grids_dir=folder / "grids", scratch=scratch)
    runner = KillAt(TileRunner(settings), stage, str(tmp_path / "mark"))
    # A real tile may take long where other work fills the machine.
    patient = Policy(deadline_s=600.0, backoff=QUICK.backoff)
    (outcome,) = LocalEngine(1, patient, isolate=True).run([job], runner, lambda _: None)  # type: ignore[list-item]
    assert (outcome.status, outcome.attempts) == (Status.DONE, 2), outcome.error
    assert (tmp_path / "mark").exists(), f"the stage {stage} was never reached"
    assert list(scratch.iterdir()) == [], "the second try collects what the first one left"
    plain = RunSettings(store=str(folder / "plain"), grids_dir=folder / "grids")
    list(LocalEngine(1, Policy()).run([job], TileRunner(plain), lambda _: None))  # type: ignore[list-item]
    assert tile_bytes(tmp_path / "store") == tile_bytes(folder / "plain")
    answered["worker killed"] += 1


def test_the_resumed_store_verifies(undisturbed: dict[str, str], tmp_path: Path, shared: object) -> None:
    store = open_store(str(tmp_path / "store"))
    make_world(store, range(TILES))
    assert snapshot(store) == undisturbed
    assert verify(store, shared("stac-schemas")).ok  # type: ignore[operator]
