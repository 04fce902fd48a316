import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyproj.datadir
import pytest
import rasterio

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import GridCorrupt
from orograph.pipeline.job import Job
from orograph.pipeline.resampling.horizontal import pin_operation, transform, use_grids
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.refs import FileRef, SourceRef
from tests.support.made import source

ROOT = Path(__file__).resolve().parents[4]
RD_GRID = "nl_nsgi_rdtrans2018.tif"
NETHERLANDS = (3.2, 50.7, 7.3, 53.7)


@pytest.fixture(autouse=True)
def _restore():
    before = pyproj.datadir.get_data_dir()
    yield
    pyproj.datadir.set_data_dir(before)


def rd_new():
    return source("x.tif", horizontal_crs="EPSG:28992", vertical_frame="EPSG:5709", area_deg=NETHERLANDS)


def test_without_its_grid_the_next_best_is_chosen_and_the_better_one_named(tmp_path):
    use_grids(tmp_path)
    operation = pin_operation(rd_new(), NETHERLANDS)
    assert operation.accuracy_m == 0.25
    assert "nl_nsgi_rdtrans2018.tif" in operation.better


def test_grids_of_an_earlier_folder_are_forgotten(tmp_path, shared):
    use_grids(shared("proj-grids"))
    fine = pin_operation(rd_new(), NETHERLANDS)
    assert (fine.accuracy_m, fine.better) == (0.001, None) or fine.accuracy_m < 0.01
    use_grids(tmp_path)
    coarse = pin_operation(rd_new(), NETHERLANDS)
    assert coarse.definition != fine.definition
    assert str(shared("proj-grids")) not in pyproj.datadir.get_data_dir().split(os.pathsep)


def test_a_worker_without_the_planners_grid_refuses(tmp_path, shared):
    use_grids(shared("proj-grids"))
    operation = pin_operation(rd_new(), NETHERLANDS)
    # In a process of its own: PROJ keeps grids it has once opened.
    code = (
        "import sys, numpy as np; from pathlib import Path; from orograph.pipeline.resampling.horizontal import transform, use_grids;"
        "from orograph.pipeline.sources.refs import HorizontalOperation; use_grids(Path(sys.argv[2]));"
        "transform(HorizontalOperation.model_validate_json(sys.argv[1]), np.array([4e6]), np.array([3.2e6]))"
    )
    arguments = [sys.executable, "-c", code, operation.model_dump_json(), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 1
    assert "GridMissing" in ended.stderr


def test_both_ways_agree_to_their_accuracy(tmp_path, shared):
    east, north = np.array([4_000_000.0, 4_020_000.0]), np.array([3_200_000.0, 3_150_000.0])
    use_grids(shared("proj-grids"))
    fine = transform(pin_operation(rd_new(), NETHERLANDS), east, north)
    use_grids(tmp_path)
    coarse = transform(pin_operation(rd_new(), NETHERLANDS), east, north)
    assert np.hypot(fine[0] - coarse[0], fine[1] - coarse[1]).max() < 0.5
    assert np.isfinite(fine).all()


def test_where_an_operation_is_not_defined_there_is_no_coordinate(shared):
    use_grids(shared("proj-grids"))
    swiss = source("x.tif", horizontal_crs="EPSG:21781", vertical_frame="EPSG:5728", area_deg=(5.9, 45.8, 10.6, 47.9))
    operation = pin_operation(swiss, swiss.area_deg)
    x, _ = transform(operation, np.array([4_100_000.0]), np.array([3_300_000.0]))
    assert np.isnan(x).all()


def shifted(folder, arc_seconds):
    """The grid of RD New with every offset changed, under its own name; offsets are in arc-seconds."""
    with rasterio.open(folder / RD_GRID) as file:
        profile, tags, units, names = file.profile, file.tags(), file.units, file.descriptions
        values = file.read()
    values[:2] += np.float32(arc_seconds)
    profile.pop("compress")
    with rasterio.open(folder / "made.tif", "w", **profile) as file:
        file.write(values)
        file.update_tags(**tags)
        file.units, file.descriptions = units, names
    (folder / "made.tif").replace(folder / RD_GRID)


@pytest.fixture
def grids(tmp_path, shared):
    folder = tmp_path / "grids"
    folder.mkdir()
    (folder / RD_GRID).write_bytes((shared("proj-grids") / RD_GRID).read_bytes())
    return folder


def test_another_grid_of_the_same_name_is_another_operation(grids):
    use_grids(grids)
    before = pin_operation(rd_new(), NETHERLANDS)
    job = Job(Tile.parse("E4000N3150"), (ref_of(before),), ProcessingSettings())
    at = np.array([4_000_000.0]), np.array([3_200_000.0])
    x, _ = transform(before, *at)
    shifted(grids, 2.0)
    with pytest.raises(GridCorrupt, match=RD_GRID):
        transform(before, *at)
    after = pin_operation(rd_new(), NETHERLANDS)
    assert after.definition == before.definition
    assert replace(job, sources=(ref_of(after),)).run_key != job.run_key
    moved, _ = transform(after, *at)
    assert abs(moved[0] - x[0]) > 10


def test_grids_of_the_users_own_proj_folder_are_not_used(tmp_path, grids):
    # In a process of its own: PROJ asks once where that folder is.
    code = (
        "import sys; from pathlib import Path; from orograph.pipeline.resampling.horizontal import _pin, use_grids;"
        "use_grids(Path(sys.argv[1])); found = _pin('EPSG:28992', (3.2, 50.7, 7.3, 53.7), 'rd');"
        "assert found.accuracy_m == 0.25, found; assert 'nl_nsgi_rdtrans2018.tif' in found.better"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PROJ_USER_WRITABLE_DIRECTORY": str(grids)}
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr


def ref_of(operation):
    file = FileRef(href="x.tif", etag="sha256:0", size_bytes=1)
    return SourceRef(source=rd_new(), files=(file,), horizontal=operation)


EUROPE_BEYOND = {
    "Iceland": ((-21.0, 64.0, -20.0, 65.0), "EPSG:8088"),
    "Azores": ((-28.5, 38.0, -27.5, 39.0), "EPSG:5015"),
    "Madeira": ((-17.2, 32.5, -16.5, 33.0), "EPSG:5016"),
    "Canaries": ((-16.9, 28.0, -16.1, 28.6), "EPSG:4083"),
    "eastern Turkey": ((41.0, 39.5, 42.0, 40.2), "EPSG:32637"),
}


@pytest.mark.parametrize("place", sorted(EUROPE_BEYOND))
def test_europe_beyond_the_area_of_etrs89_is_reached_through_wgs84(tmp_path, place):
    area, national = EUROPE_BEYOND[place]
    use_grids(tmp_path)
    lon, lat = (area[0] + area[2]) / 2, (area[1] + area[3]) / 2
    east, north = (
        np.array([value])
        for value in pyproj.Transformer.from_crs("EPSG:4258", "EPSG:3035", always_xy=True).transform(lon, lat)
    )
    degrees = pin_operation(source("x.tif", horizontal_crs="EPSG:4326", area_deg=area), area)
    assert degrees.accuracy_m == 1.0
    assert np.allclose(transform(degrees, east, north), ([lon], [lat]), atol=1e-9)
    own = pin_operation(source("x.tif", horizontal_crs=national, area_deg=area), area)
    truth = pyproj.Transformer.from_crs("EPSG:4326", national, always_xy=True).transform(lon, lat)
    assert np.allclose(np.ravel(transform(own, east, north)), truth, atol=2e-3)
    assert "ETRS89 taken as WGS 84" in own.description
