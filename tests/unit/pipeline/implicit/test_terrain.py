"""Slope, aspect and curvature of models; queries outside are typed errors."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.errors import (
    NoOverlap,
    OutsideExtent,
)
from orograph.pipeline.implicit.fit import FitOptions, Kind, fit_model
from orograph.pipeline.implicit.terrain import render_model, terrain_at, to_model
from orograph.pipeline.implicit.tiling import Quadkey
from tests.support.implicit_world import box, ground


def test_slope_aspect_and_curvature_of_known_surfaces() -> None:
    geobox = box(60, 60)
    y, x = np.mgrid[0:60, 0:60] * 10.0 + 5.0
    plane = (100 + 0.3 * x + 0.4 * y).astype(np.float32)  # falls to the north-west, as y runs south
    model = fit_model(plane, geobox, FitOptions(Kind.LATTICE, 200, step_m=0.001))
    answer = terrain_at(model, np.array([500_300.0]), np.array([5_199_700.0]))
    scale = 0.9996
    assert answer.slope_deg[0] == pytest.approx(np.degrees(np.arctan(0.5 * scale)), abs=0.05)
    assert answer.aspect_deg[0] == pytest.approx(323.13, abs=0.2)
    assert abs(answer.mean_curvature_per_m[0]) < 1e-5
    bowl = (200 + ((x - 300) ** 2 + (y - 300) ** 2) / 2000).astype(np.float32)
    model = fit_model(bowl, geobox, FitOptions(Kind.LATTICE, 400, step_m=0.0001))
    bottom = terrain_at(model, np.array([500_300.0]), np.array([5_199_700.0]))
    assert bottom.mean_curvature_per_m[0] == pytest.approx(-1e-3, rel=0.02)
    side = terrain_at(model, np.array([500_500.0]), np.array([5_199_700.0]))
    assert side.aspect_deg[0] == pytest.approx(270, abs=0.5)
    assert side.profile_curvature_per_m[0] == pytest.approx(-1e-3 / (1 + 0.04) ** 1.5, rel=0.03)


def test_slopes_are_true_in_degrees_and_in_web_mercator() -> None:
    lat = 47.0
    east_m = np.radians(6378137 / np.sqrt(1 - 0.00669438 * np.sin(np.radians(lat)) ** 2)) * np.cos(np.radians(lat))
    x = (np.arange(50) + 0.5) * 1e-4
    ramp = np.broadcast_to(100 + 0.2 * x * east_m, (50, 50)).astype(np.float32)
    geobox = GeoBox((50, 50), Affine(1e-4, 0, 11, 0, -1e-4, lat + 25e-4), "EPSG:4326")
    model = fit_model(ramp, geobox, FitOptions(Kind.LATTICE, 200, step_m=0.001))
    answer = terrain_at(model, np.array([11.0025]), np.array([lat]))
    assert answer.slope_deg[0] == pytest.approx(np.degrees(np.arctan(0.2)), abs=0.02)
    assert answer.aspect_deg[0] == pytest.approx(270, abs=0.1)
    tile = Quadkey.parse("1202213002")
    grid = tile.geobox(64)
    size = abs(grid.resolution.x)
    ramp = np.broadcast_to(0.1 * size * np.arange(64), (64, 64)).astype(np.float32)
    mercator = fit_model(ramp, grid, FitOptions(Kind.LATTICE, 200, step_m=0.01))
    west, south, east, north = mercator.bounds
    answer = terrain_at(mercator, np.array([(west + east) / 2]), np.array([(south + north) / 2]))
    assert np.tan(np.radians(answer.slope_deg[0])) == pytest.approx(0.1 / np.cos(np.radians(46.7)), rel=0.005)


def test_queries_and_grids_outside_are_refused() -> None:
    model = fit_model(ground(40, 40), box(40, 40), FitOptions(Kind.LATTICE, 200))
    with pytest.raises(OutsideExtent, match="1 of 2 points"):
        terrain_at(model, np.array([500_100.0, 0.0]), np.array([5_199_900.0, 0.0]))
    with pytest.raises(NoOverlap):
        render_model(model, box(20, 20, 5000, 5000))
    image = render_model(model, box(60, 60, -10, -10), "slope")
    assert np.isnan(image[:10]).all()
    assert np.isfinite(image[10:50, 10:50]).all()
    lonlat = render_model(model, GeoBox.from_bbox((14.9, 46.9, 15.1, 47.0), "EPSG:4326", shape=(200, 400)))
    assert 0 < np.isfinite(lonlat).sum() < lonlat.size
    x, _ = to_model(model, np.array([15.001]), np.array([46.95]), "EPSG:4326")
    assert x[0] == pytest.approx(500_076, abs=1)
