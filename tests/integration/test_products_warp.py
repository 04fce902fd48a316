"""Products in other programs: warping to another horizontal CRS never changes heights, geoid grids installed or not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.vrt import WarpedVRT

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.vertical_datum import vertical_tags
from tests.conftest import skip_or_fail

TILE = Tile.parse("E4000N3250")
HEIGHT_M = 192.419


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tile of NAP heights, written as the pipeline writes it."""
    path = tmp_path_factory.mktemp("nap") / "elevation.tif"
    geobox = TILE.geobox(500.0)
    with cog.scratch(path.with_suffix(".scratch"), geobox) as writer:
        from orograph.pipeline.core.grid import PixelWindow

        writer.write(PixelWindow(0, 0, *geobox.shape.shape), np.full(geobox.shape.shape, HEIGHT_M, np.float32))
    cog.finish(path.with_suffix(".scratch"), path, band_names=("elevation",), tags=vertical_tags("EPSG:5709"))
    return path


def test_the_file_names_its_datum_and_has_a_code(product: Path) -> None:
    with rasterio.open(product) as dataset:
        assert dataset.crs.to_epsg() == 3035
        assert dataset.tags()["VERTICAL_DATUM"] == "EPSG:5709"
        assert dataset.tags()["VERTICAL_DATUM_NAME"] == "NAP height"


@pytest.mark.parametrize("target", ["EPSG:25832", "EPSG:4326", "EPSG:4979"])
def test_gdalwarp_keeps_heights_with_the_geoid_grid_at_hand(
    product: Path, shared: object, tmp_path: Path, target: str
) -> None:
    if shutil.which("gdalwarp") is None:
        skip_or_fail("gdal", "no gdalwarp here (Debian: gdal-bin)")
    environment = {**os.environ, "PROJ_DATA": f"/usr/share/proj:{shared('proj-grids')}"}  # type: ignore[operator]
    environment.pop("PROJ_LIB", None)
    out = tmp_path / "warped.tif"
    words = ["gdalwarp", "-q", "-t_srs", target, "-r", "near", str(product), str(out)]
    subprocess.run(words, check=True, env=environment, timeout=120)
    with rasterio.open(out) as dataset:
        heights = dataset.read(1, masked=True).compressed()
    np.testing.assert_allclose(heights, HEIGHT_M, atol=1e-3)


@pytest.mark.parametrize("target", ["EPSG:25832", "EPSG:4326"])
def test_warped_views_keep_heights(product: Path, target: str) -> None:
    """The way stackstac, titiler and QGIS's own reprojection read."""
    with rasterio.open(product) as dataset, WarpedVRT(dataset, crs=target) as view:
        heights = view.read(1, masked=True).compressed()
    np.testing.assert_allclose(heights, HEIGHT_M, atol=1e-3)


@pytest.mark.parametrize("target", ["EPSG:25832", "EPSG:4326"])
def test_rioxarray_keeps_heights(product: Path, target: str) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    raster = rioxarray.open_rasterio(product, masked=True)
    warped = raster.rio.reproject(target)
    np.testing.assert_allclose(warped.values[np.isfinite(warped.values)], HEIGHT_M, atol=1e-3)
