"""Workers with different instruction sets on the same tiles, killed at random: each tile is from one maker.

One kind of worker has all of this processor, the other is capped at SSE4 (see `tests.support.mixed_worker`), where
networks round other last bits.
"""

from __future__ import annotations

import json
import platform
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml

from orograph.infra.cli.options import Request
from orograph.infra.stores.base import Store, sha256_of_object
from orograph.infra.stores.open import open_store
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.stac.publishing.leftovers import leftovers
from orograph.stac.publishing.rebuild import rebuild
from orograph.stac.verify import verify
from tests.support.made import source, write_catalogue, write_source
from tests.support.mixed_worker import start

TILES = ("E4200N3000", "E4200N3050", "E4250N3000", "E4250N3050")
CAPS_USED = ("none", "sse4")
TOLERANCE_M = 0.001
KILLS = 20
Alone = dict[str, tuple[Path, list[Manifest]]]
"""Store and manifests of a worker that has a run for itself, by its cap."""
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="instruction sets are capped on x86-64 only")


def plan_at(folder: Path, catalogue: Path) -> Path:
    """Describe a run into a store of its own."""
    folder.mkdir()
    document = {
        "catalogue": str(catalogue),
        "tiles": TILES,
        "processing": [{"pixel_size_m": 50.0, "superres": "superres-xs", "fill_max_m": 0.0}],
        "run": {"store": str(folder / "store"), "grids_dir": str(folder / "grids"), "scratch": str(folder / "scratch")},
    }
    path = folder / "plan.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coarse source around the corner of four tiles, which a network upsamples."""
    folder = tmp_path_factory.mktemp("mixed")
    box = (4_244_000.0, 3_044_000.0, 4_256_000.0, 3_056_000.0)
    path = write_source(folder / "coarse.tif", "EPSG:3035", box, 150)
    made = source(path, id="coarse", resolution_m=150.0)
    target = folder / "catalogue.yaml"
    write_catalogue(target, made)
    return target


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, catalogue: Path) -> Alone:
    """The result of each kind of worker by itself."""
    folder = tmp_path_factory.mktemp("alone")
    found: Alone = {}
    for cap in CAPS_USED:
        plan = plan_at(folder / cap, catalogue)
        worker = start(plan, cap)
        said, _ = worker.communicate(timeout=280)
        assert worker.returncode == 0
        assert cap == "none" or said.startswith("DEFAULT"), "the cap has no effect"
        found[cap] = (folder / cap / "store", manifests_of(plan))
    return found


def manifests_of(plan: Path) -> list[Manifest]:
    """The manifests of a plan's jobs; every one must be done."""
    document = json.loads(plan.read_text())
    run = RunSettings(**document["run"])
    request = Request(catalogue=Path(document["catalogue"]), tiles=tuple(document["tiles"]))
    jobs = [job for one in document["processing"] for job in request.plan(ProcessingSettings(**one), run).jobs]
    store = Path(document["run"]["store"])
    return [Manifest.from_json((store / job.manifest_key).read_bytes()) for job in jobs]


def heights(store: Path, manifest: Manifest) -> np.ndarray:
    with rasterio.open(store / manifest.asset("elevation").key) as dataset:
        return dataset.read(1)


@pytest.mark.slow
def test_two_processors_agree_to_a_millimetre(alone: Alone) -> None:
    for full, capped in zip(alone["none"][1], alone["sse4"][1], strict=True):
        one, other = heights(alone["none"][0], full), heights(alone["sse4"][0], capped)
        assert np.abs(one - other).max() <= TOLERANCE_M
        assert full.run_key == capped.run_key
        assert capped.numerics["instruction_set"] == "DEFAULT"
        assert full.numerics.keys() == {"torch", "instruction_set", "device", "precision"}


def kill_at_random(plan: Path, kills: int) -> None:
    """Keep a worker of each kind on the tiles, from different ones on; kill them in turn, `kills` times in all."""
    generator = random.Random(kills)
    workers = {cap: start(plan, cap, first=2 * number) for number, cap in enumerate(CAPS_USED)}
    for number in range(kills):
        cap = CAPS_USED[number % 2]
        victim = workers[cap]
        assert victim.stdout is not None
        victim.stdout.readline()  # it has planned and begins its first tile
        time.sleep(generator.uniform(0.0, 1.5))
        victim.kill()
        victim.communicate()
        workers[cap] = start(plan, cap, first=generator.randrange(len(TILES)))
    for worker in workers.values():
        worker.communicate(timeout=280)
        assert worker.returncode == 0


def check_mixed(plan: Path, alone: Alone, schemas: Path) -> None:
    """Every tile is done and wholly from one maker; after cleaning there is nothing else."""
    store: Store = open_store(json.loads(plan.read_text())["run"]["store"])
    made = manifests_of(plan)
    assert len(made) == len(TILES)
    for number, manifest in enumerate(made):
        assert manifest in [manifests[number] for _, manifests in alone.values()]
        for asset in manifest.assets:
            assert asset.key.startswith(f"{manifest.asset_prefix}/")
            assert sha256_of_object(store, asset.key) == (asset.sha256, asset.size_bytes)
    for leftover in leftovers(store):
        store.delete(leftover.key)
    rebuild(store)
    assert verify(store, schemas).problems == []


@pytest.mark.slow
def test_mixed_workers_killed_at_random_finish(
    tmp_path: Path,
    catalogue: Path,
    alone: Alone,
    shared: Callable[[str], Path],
    answered: Counter[str],
) -> None:
    plan = plan_at(tmp_path / "mixed", catalogue)
    kill_at_random(plan, KILLS)
    check_mixed(plan, alone, shared("stac-schemas"))
    answered["worker of a mixed cluster killed"] += KILLS


@pytest.mark.slow
def test_without_networks_processors_agree_bit_for_bit(tmp_path: Path) -> None:
    """Coregistration, blending, filling and every format, in processes with different instruction sets.

    AVX2 and AVX-512 agree in everything. Processors without fused multiply-adds estimate shifts that differ by
    micrometres; without coregistration they agree bit for bit too.
    """
    box, hole = (4_210_000.0, 3_010_000.0, 4_222_000.0, 3_022_000.0), (slice(200, 206), slice(180, 186))
    fine = write_source(tmp_path / "fine.tif", "EPSG:3035", box, 25, hole=hole)
    box = (459_000.0, 5_561_000.0, 476_000.0, 5_577_000.0)
    coarse = write_source(tmp_path / "coarse.tif", "EPSG:25832", box, 50, shift_m=(24.0, -15.0), offset_m=4.0)
    worse = {"horizontal_crs": "EPSG:25832", "surface": "DSM", "accuracy_m": 3.0, "priority": -1}
    described = [
        source(fine, id="fine", resolution_m=25.0),
        source(coarse, id="coarse", resolution_m=50.0, **worse),
    ]
    catalogue = tmp_path / "catalogue.yaml"
    listed = [json.loads(one.model_dump_json(exclude_none=True)) for one in described]
    catalogue.write_text(yaml.safe_dump({"sources": listed}))
    found: dict[str, list[Manifest]] = {}
    for cap, seen_by_torch in (("none", ""), ("avx2", "AVX2"), ("sse4", "DEFAULT")):
        document = {
            "catalogue": str(catalogue),
            "tiles": TILES[:1],
            "processing": [{"pixel_size_m": 50.0}, {"pixel_size_m": 50.0, "coregistration": "none"}],
            "run": {"store": str(tmp_path / cap), "grids_dir": str(tmp_path / "grids")},
        }
        plan = tmp_path / f"{cap}.json"
        plan.write_text(json.dumps(document))
        worker = start(plan, cap)
        said, _ = worker.communicate(timeout=280)
        assert worker.returncode == 0
        assert said.startswith(seen_by_torch), "the cap has no effect"
        assert cap == "none" or {"avx2": "haswell", "sse4": "nehalem"}[cap] in said
        found[cap] = manifests_of(plan)
    assert found["none"][0].coregistration[1].status == "converged"
    assert found["none"][0].numerics == {}
    assert [one.to_json() for one in found["none"]] == [one.to_json() for one in found["avx2"]]
    assert found["none"][1].to_json() == found["sse4"][1].to_json()
    aligned, capped = (heights(tmp_path / cap, found[cap][0]) for cap in ("none", "sse4"))
    assert np.abs(aligned - capped).max() <= TOLERANCE_M
