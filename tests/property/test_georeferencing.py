"""Every sample lies where its file says: 200 random tiles, resolutions, windows and grounds, exact to the bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orograph.pipeline.core.grid import Cell, PixelWindow, Tile
from orograph.pipeline.exports.cell_lattice import point_lattice
from orograph.pipeline.exports.mosaic import Mosaic
from orograph.pipeline.exports.sampling import SampleGrid
from orograph.pipeline.formats import cog
from tests.support.formats_world import COMPOUND

PIXELS_M = (80.0, 100.0, 125.0, 200.0, 250.0, 400.0, 500.0)

tiles = st.builds(
    lambda east, north: Tile(east * 50, north * 50),
    st.integers(2600 // 50, 5900 // 50),
    st.integers(1500 // 50, 5300 // 50),
)
coefficients = st.tuples(st.floats(-400, 4000), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))


def ground(tile: Tile, plane: tuple[float, float, float], east, north) -> np.ndarray:
    west, south, _, _ = tile.bounds_m
    return plane[0] + plane[1] * (east - west) + plane[2] * (north - south)


def write(folder: Path, tile: Tile, pixel_m: float, plane: tuple[float, float, float], cut: tuple[int, int]) -> Path:
    geobox = tile.geobox(pixel_m)
    rows, cols = geobox.shape.shape
    west, _, _, north = tile.bounds_m
    with cog.scratch(folder / "s", geobox) as writer:
        for top, height in ((0, cut[0]), (cut[0], rows - cut[0])):
            for left, width in ((0, cut[1]), (cut[1], cols - cut[1])):
                easts = west + (left + np.arange(width) + 0.5) * pixel_m
                norths = north - (top + np.arange(height) + 0.5) * pixel_m
                heights = ground(tile, plane, easts[None, :], norths[:, None]).astype(np.float32)
                writer.write(PixelWindow(top, left, height, width), heights)
    cog.finish(folder / "s", folder / "t.tif", crs_wkt=COMPOUND)
    return folder / "t.tif"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tile=tiles,
    pixel_m=st.sampled_from(PIXELS_M),
    plane=coefficients,
    cut=st.tuples(st.integers(1, 99), st.integers(1, 99)),
    at=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    offset=st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)),
    steps=st.sampled_from((1200, 3600)),
)
def test_samples_lie_where_the_file_says(
    tile: Tile,
    pixel_m: float,
    plane: tuple[float, float, float],
    cut: tuple[int, int],
    at: tuple[int, int],
    offset: tuple[float, float],
    steps: int,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), tile, pixel_m, plane, cut)
        with rasterio.open(path) as dataset:
            west, _, _, north = tile.bounds_m
            assert tuple(dataset.transform)[:6] == (pixel_m, 0.0, west, 0.0, -pixel_m, north)
            assert tuple(dataset.bounds) == tile.bounds_m
            # Any pixel holds the float32 of the ground at the centre its own transform gives.
            east_m, north_m = dataset.xy(*at)
            (value,) = next(dataset.sample([(east_m, north_m)]))
            assert value == np.float32(ground(tile, plane, east_m, north_m))
        # Any lattice of points sampled across the file holds the plane, wherever it begins.
        lattice = inside(tile, offset, steps)
        with Mosaic({tile: path}, missing="error") as mosaic:
            heights = mosaic.sample(lattice)
    truth = ground(tile, plane, *lattice.project())
    # float32 heights round by up to 1/4096 m, a metre of misplacement shows as 2 cm.
    np.testing.assert_allclose(heights, truth, atol=6e-4, rtol=0)


def inside(tile: Tile, offset: tuple[float, float], steps: int) -> SampleGrid:
    """A few degree-lattice points well inside the tile, beginning at any of them."""
    from pyproj import Transformer

    west, south, _, _ = tile.bounds_m
    to_degrees = Transformer.from_crs("EPSG:3035", "EPSG:4258", always_xy=True, allow_ballpark=False)
    lon, lat = to_degrees.transform(west + 5_000 + offset[0] * 40_000, south + 5_000 + offset[1] * 40_000)
    rows = np.array([(round(lat * steps) + 3 - row) / steps for row in range(7)])
    cols = np.array([(round(lon * steps) - 4 + col) / steps for col in range(9)])
    return SampleGrid(rows, cols, 1 / steps, 1 / steps)


@settings(max_examples=200, deadline=None)
@given(lat=st.integers(30, 70), lon=st.integers(-20, 39), side=st.sampled_from((1201, 3601)))
def test_cells_share_their_edge_points_exactly(lat: int, lon: int, side: int) -> None:
    here, east, north = (point_lattice(cell, side) for cell in (Cell(lat, lon), Cell(lat, lon + 1), Cell(lat + 1, lon)))
    assert here.longitudes_deg[-1] == east.longitudes_deg[0] == lon + 1
    assert here.latitudes_deg[0] == north.latitudes_deg[-1] == lat + 1
    assert (here.longitudes_deg == north.longitudes_deg).all()
    rows, edge = slice(0, None, 97), slice(side - 1, side)
    own, theirs = here.part(rows, edge).project(), east.part(rows, slice(0, 1)).project()
    assert all((a == b).all() for a, b in zip(own, theirs, strict=True))
