"""Cells on a Ray cluster are the cells of one process, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cells import CellRunner, plan_cells
from infra.engine import Status
from infra.local import LocalEngine
from infra.local_store import LocalStore
from infra.ray_engine import RayEngine, RayOptions
from pipeline.config import RunSettings
from pipeline.formats.cell_job import CellSettings
from pipeline.grid import Tile
from tests.support.formats_world import hills
from tests.support.published_world import World

pytestmark = pytest.mark.ray


def test_both_engines_make_the_same_cells(ray_cluster: str, tmp_path: Path) -> None:
    settings = CellSettings(products=("hgt3", "contours"), contour_formats=("fgb",))
    found = []
    for name, engine in (("ray", RayEngine(RayOptions(workers=2))), ("local", LocalEngine())):
        folder = tmp_path / name
        folder.mkdir()
        world = World(LocalStore(tmp_path / f"store-{name}"), folder, hills, 250.0)
        world.publish([Tile.parse("E4300N2650")])
        jobs = plan_cells(world.store, settings).jobs
        runner = CellRunner(RunSettings(store=world.store.url, scratch=folder))
        outcomes = list(engine.run(jobs, runner, lambda _: None))
        assert {outcome.status for outcome in outcomes} == {Status.DONE}, [outcome.error for outcome in outcomes]
        keys = [info.key for info in world.store.list("tiles/N") if "item-" not in info.key]
        found.append({key: world.store.get(key) for key in keys})
        assert list(folder.iterdir()) == []
    assert len(found[0]) == 4 * 3
    assert found[0] == found[1]
