"""A source's declared thinning, looked at when a tile is planned: once a source, the same in every tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import SourceCorrupt
from orograph.pipeline.learning.superres.degrade import thin
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.resampling.horizontal import use_grids
from orograph.pipeline.resampling.node_grid import Target
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import CellTemplate, Thinning
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.superres.thinning_check import check_thinning, relies_on_thinning, sample_points_deg
from orograph.pipeline.tile.assembly import TileAssembly
from orograph.stac.documents.items import item_from_manifest
from orograph.stac.documents.schemas import SchemaLibrary
from tests.support.catalogue_world import make_manifest
from tests.support.made import source
from tests.support.superres_fixtures import made_weights
from tests.support.tiffs import write_heights

HERE, NEXT = Tile(4000, 3000), Tile(4050, 3000)
EDGE_M = 4_050_000.0


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    made_weights(path)
    return str(path)


@pytest.fixture
def sampled(shared, tmp_path):
    """Alpine lidar terrain thinned to 30 m by samples and by means, laid across the edge of two tiles."""
    with rasterio.open(shared("data/dtm/tirol_hit_5m.tif")) as dataset:
        fine = dataset.read(1)[60:360, 100:400]
    fine = np.where(fine == -9999.0, np.nan, fine).astype(np.float32)
    out = {}
    for mode in Thinning:
        coarse = thin(fine, 3, mode)
        west = EDGE_M - 30 * coarse.shape[1] // 2
        transform = Affine(30, 0, west, 0, -30, 3_020_000)
        out[mode] = write_heights(
            tmp_path / f"{mode.value}.tif", np.nan_to_num(coarse, nan=-9999.0), transform=transform
        )
    return out


def probe(href, _anonymous):
    return FileRef(href=href, etag="x", size_bytes=1)


def made(path, **changes):
    return source(path, resolution_m=30.0, **({"thinning": "averaged"} | changes))


def test_samples_declared_as_means_are_found_out_alike_in_every_tile(sampled, weights):
    settings = ProcessingSettings(superres=weights)
    planner = Planner([made(sampled[Thinning.DECIMATED])], settings, probe)
    jobs = planner.plan([HERE, NEXT]).jobs
    alone = Planner([made(sampled[Thinning.DECIMATED])], settings, probe).job(NEXT)
    checks = {job.sources[0].thinning_check for job in (*jobs, alone)}
    assert len(checks) == 1
    (check,) = checks
    assert (check.used, check.windows) == (Thinning.DECIMATED, 9)
    assert check.log_odds < -1.0
    assert alone.run_key == jobs[1].run_key
    believed = Planner([made(sampled[Thinning.DECIMATED], trust_thinning=True)], settings, probe).job(NEXT)
    assert believed.sources[0].thinning_check is None
    assert believed.run_key != alone.run_key, "another mode, other heights"


def test_means_are_believed(sampled, weights):
    job = Planner([made(sampled[Thinning.AVERAGED])], ProcessingSettings(superres=weights), probe).job(HERE)
    assert job.sources[0].thinning is Thinning.AVERAGED
    assert job.sources[0].thinning_check.log_odds > -1.0


def test_heights_are_those_of_the_mode_in_use(sampled, weights, tmp_path):
    use_grids(tmp_path)
    settings = ProcessingSettings(superres=weights)
    path = sampled[Thinning.DECIMATED]
    target = Target(10.0, -301_970, 405_030, 40, 50)
    heights = {}
    for name, described in (
        ("checked", made(path)),
        ("right", made(path, thinning="decimated")),
        ("wrong", made(path, trust_thinning=True)),
    ):
        for tile in (HERE, NEXT):
            job = Planner([described], settings, probe).job(tile)
            with TileAssembly(job, {"made": [Path(f.href) for f in job.sources[0].files]}, tmp_path) as assembly:
                heights[name, tile] = assembly.sources[0].layer(target).heights_m
    assert np.isfinite(heights["right", HERE]).all()
    for tile in (HERE, NEXT):
        assert heights["checked", tile].tobytes() == heights["right", HERE].tobytes()
    assert not np.array_equal(heights["wrong", HERE], heights["right", HERE])


def test_nothing_is_read_where_nothing_relies_on_the_mode(tmp_path, weights):
    here = made(tmp_path / "a.tif")
    assert relies_on_thinning(here, ProcessingSettings(superres=weights))
    assert relies_on_thinning(here, ProcessingSettings(superres="best-linear"))
    for settings in ({"superres": "keys6"}, {"superres": "none"}, {"superres": weights, "pixel_size_m": 25.0}):
        assert not relies_on_thinning(here, ProcessingSettings(**settings))
    assert not relies_on_thinning(made(tmp_path / "a.tif", thinning="decimated"), ProcessingSettings(superres=weights))
    assert not relies_on_thinning(made(tmp_path / "a.tif", trust_thinning=True), ProcessingSettings(superres=weights))


def test_points_of_a_cell_source_do_not_depend_on_the_tile(sampled, tmp_path, weights):
    boxes = list(sample_points_deg(made(tmp_path / "a.tif")))
    assert len(boxes) == 9
    assert all(-25 < west < 45 and 34 < south < 72 for west, south, *_ in boxes)
    bounded = made(tmp_path / "a.tif", area_deg=(10.0, 46.0, 13.0, 49.0))
    assert {(int(west), int(south)) for west, south, *_ in sample_points_deg(bounded)} == {
        (lon, lat) for lon in (10, 11, 12) for lat in (46, 47, 48)
    }
    template = str(tmp_path / "{ns}{lat:02d}{ew}{lon:03d}.tif")
    cells = made(tmp_path / "a.tif", data=CellTemplate(href=template), area_deg=(10.0, 46.0, 13.0, 49.0))
    asked = []

    def counted(href, _anonymous):
        from orograph.pipeline.errors import SourceMissing

        asked.append(href)
        if not Path(href).exists():
            raise SourceMissing(f"no {href}")
        return probe(href, _anonymous)

    planner = Planner([cells], ProcessingSettings(superres=weights), counted)
    assert planner._thinning_check(cells).windows == 0, "no cell, no evidence: the declaration stays"
    assert len(asked) == 9
    (tmp_path / "N47E011.tif").write_bytes(sampled[Thinning.DECIMATED].read_bytes())
    check = Planner([cells], ProcessingSettings(superres=weights), counted)._thinning_check(cells)
    assert (check.used, check.windows) == (Thinning.DECIMATED, 9)


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"no raster")
    with pytest.raises(SourceCorrupt, match=r"bad\.tif"):
        check_thinning(made(tmp_path / "bad.tif"), [str(tmp_path / "bad.tif")])


def test_manifest_and_item_tell_the_finding(sampled, shared):
    manifest = make_manifest(None)
    check = check_thinning(made(sampled[Thinning.DECIMATED]), [str(sampled[Thinning.DECIMATED])])
    refs = (manifest.sources[0].model_copy(update={"thinning_check": check}), *manifest.sources[1:])
    told = Manifest.from_json(manifest.model_copy(update={"sources": refs}).to_json())
    assert told.sources[0].thinning_check == check
    document = item_from_manifest(told, asset_href=str, created="2026-01-01T00:00:00Z")
    first, second = document["properties"]["dem:sources"]
    assert (first["thinning"], first["thinning_declared"], first["thinning_windows"]) == ("decimated", "averaged", 9)
    assert first["thinning_log_odds"] == check.log_odds
    assert "thinning_declared" not in second
    assert list(SchemaLibrary(shared("stac-schemas")).faults(document)) == []
