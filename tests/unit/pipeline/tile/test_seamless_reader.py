import numpy as np
import pytest
import rasterio
from affine import Affine

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.run import run_tile
from orograph.pipeline.tile.seamless_reader import SeamlessReader
from tests.support.made import source, write_source
from tests.support.planned import _probe, paths_of

SECOND = 1 / 3600


def heights(lon, lat):
    """Slopes of up to 40 per cent, in degrees."""
    return 800 + 400 * np.sin(lat * 111_000 / 900) + 120 * np.sin(lon * 71_500 / 700)


def write_rows(path, north_rows, lon_seconds):
    """A file like GLO-30's: pixel centres on whole arc-seconds of latitude, `north_rows` counted from 50 N upwards."""
    rows = np.arange(*north_rows)[::-1]
    cols = round(120 / lon_seconds)
    lon = 10 + (np.arange(cols)) * lon_seconds * SECOND
    lat = 50 + rows * SECOND
    values = heights(*np.meshgrid(lon, lat)).astype(np.float32)
    affine = Affine(lon_seconds * SECOND, 0, 10 - lon_seconds * SECOND / 2, 0, -SECOND, 50 + (rows[0] + 0.5) * SECOND)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": "EPSG:4326", "nodata": -9999.0}
    with rasterio.open(path, "w", transform=affine, width=cols, height=rows.size, **profile) as dataset:
        dataset.write(values, 1)
        dataset.update_tags(AREA_OR_POINT="Point")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spacing")
    return write_rows(folder / "n49.tif", (-60, 1), 1.0), write_rows(folder / "n50.tif", (1, 61), 1.5)


def test_a_window_beyond_a_grids_files_has_the_other_grids_heights(files):
    made = source(files, horizontal_crs="EPSG:4326", resolution_m=30.0, pixel="point", vertical_frame="EPSG:5621")
    with SeamlessReader(made, files) as reader:
        assert reader.is_divided
        for lattice in reader.lattices:
            top, left, bottom, _ = lattice.index_bounds
            window = (top - 4, left + 20, bottom - top + 8, 40)
            read = reader.read(lattice, *window)
            own = reader.own(lattice, *window)
            assert own.sum() == (bottom - top) * 40
            lon = lattice.affine.c + lattice.affine.a * (window[1] + np.arange(40) + 0.5)
            lat = lattice.affine.f + lattice.affine.e * (window[0] + np.arange(window[2]) + 0.5)
            truth = heights(*np.meshgrid(lon, lat))
            beyond = np.isfinite(read) & ~own
            # One side of each file is open, the other borders on the other grid.
            assert beyond.sum() == 4 * 40
            assert np.abs(read - truth)[beyond].max() < 0.02
            assert np.abs(read - truth)[own].max() < 1e-3


@pytest.mark.parametrize("superres", ["keys6", "none"])
def test_no_seam_where_the_spacing_changes(files, tmp_path, superres):
    from pyproj import Transformer

    made = source(files, horizontal_crs="EPSG:4326", resolution_m=30.0, pixel="point", vertical_frame="EPSG:5621")
    pixel_m = 20.0 if superres == "keys6" else 40.0
    settings = ProcessingSettings(pixel_size_m=pixel_m, superres=superres, coregistration="none")
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:3035", always_xy=True).transform(10.015, 50.0)
    job = Planner([made], settings, _probe).job(Tile.containing(east, north))
    elevation = run_tile(job, paths_of(job), tmp_path, grids_dir=tmp_path).products[0].path
    with rasterio.open(elevation) as dataset:
        found, affine = dataset.read(1, masked=True).filled(np.nan), dataset.transform
    rows, cols = np.nonzero(np.isfinite(found))
    lon, lat = Transformer.from_crs("EPSG:3035", "EPSG:4326", always_xy=True).transform(
        *(affine * (cols + 0.5, rows + 0.5))
    )
    error = np.abs(found[rows, cols] - heights(lon, lat))
    inner = (lon > 10.003) & (lon < 10.03)
    seam = inner & (np.abs(lat - 50) < SECOND)
    inside = inner & (np.abs(lat - 50) > 5 * SECOND) & (np.abs(lat - 50) < 12 * SECOND)
    assert seam.sum() > 50
    assert error[seam].max() < 1.5 * error[inside].max() + 0.005


def test_a_tile_next_to_a_better_source_is_bent_within_the_blend_width(tmp_path):
    """The better source ends 100 m west of the tile; the tile's own source still meets it."""
    west = 4_000_000.0
    better = write_source(tmp_path / "a.tif", "EPSG:3035", (west - 2_000, 3_010_000, west - 100, 3_014_000), 50)
    lesser = write_source(
        tmp_path / "b.tif", "EPSG:3035", (west - 1_000, 3_010_000, west + 4_000, 3_014_000), 50, offset_m=1.0
    )
    plain = write_source(tmp_path / "c.tif", "EPSG:3035", (west - 1_000, 3_010_000, west + 4_000, 3_014_000), 50)
    settings = ProcessingSettings(pixel_size_m=50.0, coregistration="none", blend_width_m=400.0)
    sources = [
        source(better, id="a", resolution_m=50.0, priority=1, accuracy_m=1.0),
        source(lesser, id="b", resolution_m=50.0, accuracy_m=1.0),
    ]
    found = []
    for number, chosen in enumerate((sources, [source(plain, id="c", resolution_m=50.0)])):
        folder = tmp_path / str(number)
        folder.mkdir()
        job = Planner(chosen, settings, _probe).job(Tile(4000, 3000))
        elevation = run_tile(job, paths_of(job), folder, grids_dir=tmp_path).products[0].path
        with rasterio.open(elevation) as dataset:
            found.append(dataset.read(1, masked=True)[725:795].filled(np.nan))
    lift = np.mean((found[0] - found[1])[:, :40], axis=0)
    assert 0.05 < lift[0] < 0.4
    assert lift[10] == pytest.approx(1.0, abs=0.01)
    assert np.abs(np.diff(lift)).max() < 0.25
