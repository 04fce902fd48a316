"""Cells on a Ray cluster are the cells of one process, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from orograph.infra.engines.local import LocalEngine
from orograph.infra.engines.protocol import Status
from orograph.infra.engines.ray import RayEngine, RayOptions
from orograph.infra.runs.cell_runner import CellRunner, plan_cells
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.exports.cell_job import CellSettings
from orograph.pipeline.settings import RunSettings
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
        jobs = plan_cells(world.store, settings).due
        runner = CellRunner(RunSettings(store=world.store.url, scratch=folder))
        outcomes = list(engine.run(jobs, runner, lambda _: None))
        assert {outcome.status for outcome in outcomes} == {Status.DONE}, [outcome.error for outcome in outcomes]
        keys = [info.key for info in world.store.list("tiles/N") if "item-" not in info.key]
        found.append({key: world.store.get(key) for key in keys})
        assert list(folder.iterdir()) == []
    assert len(found[0]) == 4 * 3
    assert found[0] == found[1]
