from pathlib import Path

import pytest
import yaml

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import ConfigError, OutsideCoverage, SourceMissing
from orograph.pipeline.planning.areas import tile_bounds_deg, tiles_of_bbox
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import CellTemplate, SourceCatalogue
from orograph.pipeline.sources.refs import FileRef
from tests.support.made import source, write_source

TILE = Tile(4000, 3000)


def probe(href, anonymous):
    path = Path(href)
    if not path.exists():
        raise SourceMissing(f"no {href}")
    return FileRef(href=href, etag=f"size:{path.stat().st_size}", size_bytes=path.stat().st_size)


def planner(*sources, **settings):
    return Planner(sources, ProcessingSettings(**settings), probe)


def test_a_job_names_files_by_etag_best_source_first(tmp_path):
    fine = write_source(tmp_path / "fine.tif", "EPSG:3035", (4_010_000.0, 3_010_000.0, 4_012_000.0, 3_012_000.0), 10)
    coarse = write_source(tmp_path / "coarse.tif", "EPSG:25832", (250_000.0, 5_425_000.0, 262_000.0, 5_437_000.0), 50)
    job = planner(
        source(coarse, id="coarse", horizontal_crs="EPSG:25832", resolution_m=50.0), source(fine, id="fine")
    ).job(TILE)
    assert job.sources[0].source.id == "fine"
    assert job.sources[0].files[0].etag.startswith("stat:")
    assert job.sources[0].horizontal is not None


def test_run_keys_follow_what_changes_heights_and_nothing_else(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_010_000.0, 3_010_000.0, 4_012_000.0, 3_012_000.0), 10)
    key = planner(source(path)).job(TILE).run_key
    assert planner(source(path)).job(TILE).run_key == key
    assert planner(source(path, title="Another", attribution="else")).job(TILE).run_key == key
    assert planner(source(path), blend_width_m=50.0).job(TILE).run_key != key
    assert planner(source(path, vertical_frame="EPSG:7837")).job(TILE).run_key != key
    write_source(path, "EPSG:3035", (4_010_000.0, 3_010_000.0, 4_013_000.0, 3_012_000.0), 10)
    assert planner(source(path)).job(TILE).run_key != key


def test_a_tile_without_data_is_refused_when_asked_for(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_010_000.0, 3_010_000.0, 4_012_000.0, 3_012_000.0), 10)
    plan = planner(source(path)).plan([Tile(4500, 3000), TILE])
    assert [job.tile for job in plan.jobs] == [TILE]
    assert isinstance(plan.rejected[0].error, OutsideCoverage)
    assert plan.rejected[0].error.tile == "E4500N3000"


def test_covered_tiles_are_those_files_touch(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_049_000.0, 3_010_000.0, 4_051_000.0, 3_012_000.0), 10)
    assert [tile.id for tile in planner(source(path)).covered_tiles()] == ["E4000N3000", "E4050N3000"]


def test_cells_without_an_object_are_sea_only_where_the_source_says_so(tmp_path):
    here = CellTemplate(href=str(tmp_path / "{ns}{lat:02d}{ew}{lon:03d}.tif"))
    made = source(tmp_path, data=here, horizontal_crs="EPSG:4326")
    with pytest.raises(OutsideCoverage):
        planner(made).job(TILE)
    strict = made.model_copy(update={"data": here.model_copy(update={"missing_is_void": False})})
    with pytest.raises(SourceMissing):
        planner(strict).job(TILE)


def test_a_missing_vertical_frame_is_an_error_that_names_the_source(tmp_path):
    entry = source("x.tif").model_dump(mode="json")
    del entry["vertical_frame"]
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"sources": [entry]}))
    with pytest.raises(ConfigError, match=r"sources\.made\.vertical_frame"):
        SourceCatalogue.load(path)


def test_a_box_of_degrees_gives_the_tiles_it_touches():
    west, south, east, north = tile_bounds_deg(TILE)
    middle = ((west + east) / 2, (south + north) / 2)
    tiles = tiles_of_bbox(middle[0] - 0.01, middle[1] - 0.01, middle[0] + 0.01, middle[1] + 0.01)
    assert tiles == (TILE,)
