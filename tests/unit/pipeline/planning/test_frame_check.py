import pytest
from pyproj import Transformer

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import FrameUnknown, GridMissing, OutsideAreaOfUse
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.run import run_tile
from tests.support.made import source, write_source
from tests.support.planned import TILE, _probe, paths_of

EAST_M = Transformer.from_crs("EPSG:4258", "EPSG:3035", always_xy=True).transform(5.86, 51.5)[0]
"""Easting of the western border of EPSG:7838's area at 51.5 N."""
NORTH_M = Transformer.from_crs("EPSG:4258", "EPSG:3035", always_xy=True).transform(5.86, 51.5)[1]
BORDER = Tile.containing(EAST_M, NORTH_M)


def planner(path, grids_dir, *, target="EPSG:5621", **described):
    settings = ProcessingSettings(pixel_size_m=100.0, target_frame=target, coregistration="none")
    return Planner([source(path, **{"resolution_m": 100.0, **described})], settings, _probe, grids_dir=grids_dir)


@pytest.fixture(scope="module")
def overhanging(tmp_path_factory):
    """Heights from 3 km west to 1 km east of the border."""
    bounds = (EAST_M - 3_000, NORTH_M - 1_000, EAST_M + 1_000, NORTH_M + 1_000)
    return write_source(tmp_path_factory.mktemp("frames") / "a.tif", "EPSG:3035", bounds, 100)


def test_a_plan_states_operation_accuracy_and_share(overhanging, tmp_path):
    plan = planner(overhanging, tmp_path, vertical_frame="DHHN2016").plan([BORDER])
    (planned,) = plan.vertical[BORDER.id]
    assert (planned.operation, planned.accuracy_m, planned.grids) == ("EPSG:7838", 0.1, {})
    assert planned.share == pytest.approx(0.25, abs=0.04)
    assert "about 7" in planned.shortfall
    assert "5.86 to 15.04 E" in planned.shortfall


def test_missing_grids_and_unknown_frames_reject_the_tile(overhanging, tmp_path):
    plan = planner(overhanging, tmp_path, vertical_frame="NAP", target="DHHN2016").plan([BORDER])
    assert isinstance(plan.rejected[0].error, GridMissing)
    assert plan.rejected[0].error.source == "made"
    plan = planner(overhanging, tmp_path, vertical_frame="EPSG:9999").plan([BORDER])
    assert isinstance(plan.rejected[0].error, FrameUnknown)


def test_a_tile_whose_sources_are_all_outside_is_rejected(tmp_path):
    path = write_source(tmp_path / "b.tif", "EPSG:3035", (4_010_000.0, 3_020_000.0, 4_012_000.0, 3_022_000.0), 100)
    error = planner(path, tmp_path, vertical_frame="EPSG:5613").plan([TILE]).rejected[0].error
    assert isinstance(error, OutsideAreaOfUse)
    assert error.source == "made"


def test_heights_outside_the_area_are_counted(overhanging, tmp_path):
    job = planner(overhanging, tmp_path, vertical_frame="DHHN2016").job(BORDER)
    draft = run_tile(job, paths_of(job), tmp_path, grids_dir=tmp_path).draft
    (record,) = draft["operations"]
    # 20 rows of 30 pixels are west of the border, which is not quite a meridian of the grid.
    assert record.heights_outside == pytest.approx(600, abs=30)
    kept = draft["quality"].pixels * (1 - draft["quality"].void_fraction)
    # Voids next to the border are filled where they are narrow; nothing else is.
    assert kept + record.heights_outside == pytest.approx(800, abs=130)
