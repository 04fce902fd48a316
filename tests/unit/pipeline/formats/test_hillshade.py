"""Shading agrees with GDAL and does not know where blocks end."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio

from orograph.pipeline.errors import ExportError
from orograph.pipeline.formats.hillshade import hillshade, slope


def bumps(size: int = 200) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    return (500 + 200 * np.sin(x / 17) * np.cos(y / 23) + 0.3 * x).astype(np.float32)


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed")
@pytest.mark.parametrize("kind", ["hillshade", "slope"])
def test_same_as_gdaldem(tmp_path: Path, kind: str) -> None:
    heights = bumps()
    profile = {"driver": "GTiff", "width": 200, "height": 200, "count": 1, "dtype": "float32", "crs": "EPSG:3035"}
    with rasterio.open(
        tmp_path / "h.tif", "w", transform=rasterio.Affine(10, 0, 4e6, 0, -10, 3e6), **profile
    ) as dataset:
        dataset.write(heights, 1)
    extra = ["-multidirectional"] if kind == "hillshade" else []
    subprocess.run(["gdaldem", kind, *extra, "-q", tmp_path / "h.tif", tmp_path / "o.tif"], check=True)
    with rasterio.open(tmp_path / "o.tif") as dataset:
        theirs = dataset.read(1)[1:-1, 1:-1].astype(np.float64)
    ours = (hillshade if kind == "hillshade" else slope)(heights, 10.0).astype(np.float64)
    difference = np.abs(ours - theirs)
    assert difference.max() <= (1 if kind == "hillshade" else 1e-3)
    assert (difference > 1e-3).mean() < 0.01


def test_blocks_meet_without_seam() -> None:
    heights = bumps()
    whole = hillshade(heights, 10.0)
    parts = [[hillshade(heights[r : r + 101, c : c + 101], 10.0) for c in (0, 99)] for r in (0, 99)]
    np.testing.assert_array_equal(np.block(parts), whole)


def test_voids_are_zero_and_neighbours_are_not() -> None:
    heights = bumps(20)
    heights[10, 10] = np.nan
    shade = hillshade(heights, 10.0)
    assert shade[9, 9] == 0
    assert np.count_nonzero(shade == 0) == 1
    assert np.isnan(slope(heights, 10.0)).sum() == 1


def test_level_ground_and_a_known_slope() -> None:
    level = np.zeros((5, 5), np.float32)
    assert set(np.unique(hillshade(level, 10.0))) == {181}  # 1 + 254 sin 45
    ramp = (np.arange(5, dtype=np.float32) * 10.0)[None, :].repeat(5, axis=0)
    np.testing.assert_allclose(slope(ramp, 10.0), 45.0, rtol=1e-6)


def test_blocks_without_halo_are_refused() -> None:
    with pytest.raises(ExportError, match="halo"):
        hillshade(np.zeros((2, 5), np.float32), 10.0)


def plane(east: float = 0.2, south: float = -0.1, size: int = 40) -> np.ndarray:
    """Heights that rise by `east` and `south` metres per pixel."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    return 500 + np.float32(east) * x + np.float32(south) * y


def test_a_plane_keeps_its_slope_next_to_voids_and_at_outer_edges() -> None:
    heights = np.pad(plane(), 1, constant_values=np.nan)
    heights[12:20, 15:22] = np.nan
    heights[30, 30] = heights[31, 32] = heights[5, 5:9] = np.nan
    degrees = slope(heights, 1.0)
    assert (np.isnan(degrees) == np.isnan(heights[1:-1, 1:-1])).all()
    truth = np.degrees(np.arctan(np.hypot(0.2, 0.1)))
    assert np.nanmax(np.abs(degrees - truth)) < 0.01
    shade = hillshade(heights, 1.0).astype(int)
    shown = shade[shade > 0]
    assert np.ptp(shown) <= 1
    assert shown.size == np.isfinite(degrees).sum()


def test_pixels_whose_neighbours_span_no_plane_have_neither_slope_nor_shade() -> None:
    heights = np.full((9, 9), np.nan, np.float32)
    heights[2, 2] = 10.0  # alone
    heights[6, 2:7] = (1.0, 2.0, 3.0, 4.0, 5.0)  # a line
    assert np.isnan(slope(heights, 1.0)).all()
    assert not hillshade(heights, 1.0).any()
