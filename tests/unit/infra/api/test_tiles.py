"""From sources to a published tile in three calls of Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

import orograph
from tests.support.made import source, terrain, write_source

TILE = "E4200N3000"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = write_source(tmp_path / "fine.tif", "EPSG:25832", (451_000.0, 5_553_000.0, 503_000.0, 5_578_000.0), 50)
    entry = source(path, id="fine", horizontal_crs="EPSG:25832", vertical_frame="EPSG:7837", resolution_m=50.0)
    listed = {"sources": [json.loads(entry.model_dump_json(exclude_none=True))]}
    (tmp_path / "catalogue.yaml").write_text(yaml.safe_dump(listed))
    return tmp_path / "catalogue.yaml"


def test_a_tile_is_planned_made_and_loaded(catalogue: Path, tmp_path: Path) -> None:
    plan = orograph.plan(TILE, ["fine"], catalogue=catalogue, grids_dir=tmp_path / "grids", pixel_size_m=100.0)
    (job,) = plan.jobs
    seen = []
    store = tmp_path / "store"
    manifest = orograph.run_tile(job, store, grids_dir=tmp_path / "grids", progress=lambda stage, _: seen.append(stage))
    assert manifest.tile == TILE
    assert {"fetch", "commit"} <= set(seen)
    array = orograph.open_store(store).load()
    known = np.isfinite(array.values)
    error = (array.values - terrain(array.x.values[None, :], array.y.values[:, None]))[known]
    assert known.mean() > 0.2
    assert np.std(error) < 0.5
    assert orograph.run_tile(job, store, grids_dir=tmp_path / "grids") == manifest


def test_areas_and_settings_are_checked(catalogue: Path, tmp_path: Path) -> None:
    by_box = orograph.plan((8.5, 50.2, 8.9, 50.3), ["fine"], catalogue=catalogue, pixel_size_m=100.0)
    assert TILE in {job.tile.id for job in by_box.jobs}
    named = orograph.plan([TILE], {"fine": tmp_path / "fine.tif"}, catalogue=catalogue, pixel_size_m=100.0)
    assert [job.tile.id for job in named.jobs] == [TILE]
    with pytest.raises(orograph.errors.ConfigError, match="pixel_sise_m"):
        orograph.plan(TILE, ["fine"], catalogue=catalogue, pixel_sise_m=100.0)
    with pytest.raises(orograph.errors.ConfigError, match="nonsense"):
        orograph.plan(TILE, ["fine"], catalogue=catalogue, bare_earth="nonsense")
    with pytest.raises(orograph.errors.SourceUnknown):
        orograph.plan(TILE, ["coarse"], catalogue=catalogue)
