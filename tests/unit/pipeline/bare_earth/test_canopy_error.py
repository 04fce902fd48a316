"""Error of a DSM that keeps its canopy."""

import numpy as np
import rasterio
from affine import Affine

from orograph.pipeline.bare_earth.canopy_error import BUILT_M, CANOPY_M, canopy_reader
from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.sources.reader import SourceReader
from orograph.pipeline.sources.sensor import bundled_sensor
from tests.support.made import source, write_source

BOUNDS_M = (4_010_000.0, 3_020_000.0, 4_011_500.0, 3_021_200.0)


def described(tmp_path, **more):
    path = write_source(tmp_path / "dsm.tif", "EPSG:3035", BOUNDS_M, 30)
    classes = np.zeros((40, 50), np.uint8)
    classes[:, :16], classes[:, 16:32] = 10, 50
    profile = {"driver": "GTiff", "height": 40, "width": 50, "count": 1, "dtype": "uint8", "crs": "EPSG:3035"}
    with rasterio.open(
        tmp_path / "lc.tif", "w", transform=Affine(30, 0, BOUNDS_M[0], 0, -30, BOUNDS_M[3]), **profile
    ) as dataset:
        dataset.write(classes, 1)
    return source(path, surface="DSM", resolution_m=30.0, land_cover=LandCover.of(tmp_path / "lc.tif"), **more), path


def test_trees_and_buildings_widen_the_error_of_a_dsm(tmp_path):
    dsm, path = described(tmp_path, sensor=bundled_sensor("srtm"))
    with SourceReader(dsm, [path]) as reader:
        (lattice,) = reader.lattices
        top, left, _, _ = lattice.index_bounds
        canopy = canopy_reader(dsm, reader)
        patch, part = (canopy.read(lattice, PixelWindow(top + rows, left, 10, 50)) for rows in (5, 9))
    np.testing.assert_allclose(patch.sigma_m[:, 5:10], 0.55 * CANOPY_M, rtol=1e-5)
    np.testing.assert_allclose(patch.sigma_m[:, 21:26], BUILT_M, rtol=1e-5)
    assert (patch.sigma_m[:, 37:] == 0).all()
    assert (np.diff(patch.sigma_m[:, 29:36], axis=1) < 0).all()
    assert 0.25 < patch.sigma_m[0, 32] / BUILT_M < 0.45
    assert np.isfinite(patch.heights_m).all()
    np.testing.assert_array_equal(part.sigma_m[:6], patch.sigma_m[4:])


def test_without_a_sensor_model_only_mapped_pixels_have_it(tmp_path):
    dsm, path = described(tmp_path)
    with SourceReader(dsm, [path]) as reader:
        (lattice,) = reader.lattices
        top, left, _, _ = lattice.index_bounds
        patch = canopy_reader(dsm, reader).read(lattice, PixelWindow(top + 5, left, 10, 50))
    np.testing.assert_allclose(patch.sigma_m[:, :16], CANOPY_M)
    assert (patch.sigma_m[:, 32:] == 0).all()


def test_terrain_models_and_unmapped_sources_have_none(tmp_path):
    dsm, path = described(tmp_path)
    with SourceReader(dsm, [path]) as reader:
        assert canopy_reader(dsm.model_copy(update={"land_cover": None}), reader) is None
        assert canopy_reader(dsm.model_copy(update={"surface": "DTM"}), reader) is None
