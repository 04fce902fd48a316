import numpy as np
import pytest
import rasterio

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.run import run_tile
from orograph.pipeline.tile.seamless_reader import SeamlessReader
from tests.support.made import source, write_source
from tests.support.planned import _probe, paths_of
from tests.support.spacing_world import elevation_of, errors_by_distance, heights, one_source, two_files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return two_files(tmp_path_factory.mktemp("spacing"))


def test_a_window_beyond_a_grids_files_has_the_other_grids_heights(files):
    with SeamlessReader(one_source(files), files) as reader:
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
    pixel_m = 20.0 if superres == "keys6" else 40.0
    with rasterio.open(elevation_of(files, tmp_path, pixel_size_m=pixel_m, superres=superres)) as dataset:
        seam, inside = errors_by_distance(dataset.read(1, masked=True).filled(np.nan), dataset.transform)
    assert seam.size > 50
    assert seam.max() < 1.5 * inside.max() + 0.005


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
