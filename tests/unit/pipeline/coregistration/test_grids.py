"""The grid of the output: automatic choice, notes, rows, and the direction of north."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.coregistration import grids
from orograph.pipeline.coregistration.grids import choose_grid, rows_of, true_north_deg
from orograph.pipeline.coregistration.prepare import prepare_pair
from orograph.pipeline.errors import ConfigError
from tests.support.pairs import AFFINE, coregistration_of, plane_raster, raster_of

REFERENCE = plane_raster(60, 60)


def on_grid(rows, columns, pixel_m):
    row, column = np.mgrid[0:rows, 0:columns] + 0.5
    heights = 500.0 + 0.1 * (pixel_m * column - 5.0) - 0.05 * (pixel_m * row - 5.0)
    return raster_of(heights, Affine(pixel_m, 0, AFFINE.c, 0, -pixel_m, AFFINE.f))


@pytest.mark.parametrize(
    ("moving", "name", "averaged"),
    [
        (on_grid(60, 60, 10.0), "reference", 1),
        (on_grid(120, 120, 5.0), "source", 1),
        (on_grid(80, 80, 10.0), "source", 1),
        (on_grid(30, 30, 20.0), "reference", 1),
    ],
)
def test_finer_and_larger_rasters_keep_their_own_grid(moving, name, averaged):
    grid = choose_grid(prepare_pair(REFERENCE, moving))
    assert (grid.name, grid.averaged) == (name, averaged)
    assert grid.geobox == (moving if name == "source" else REFERENCE).geobox


def test_the_choice_of_the_user_is_followed_and_its_cost_noted():
    pair = prepare_pair(REFERENCE, on_grid(160, 160, 5.0))
    grid = choose_grid(pair, "reference")
    assert grid.averaged == 2
    assert "mean over 2 x 2" in grid.note
    assert "outside" in grid.note
    with pytest.raises(ConfigError, match="unknown grid"):
        choose_grid(pair, "finest")


@pytest.mark.parametrize("choice", ["reference", "source"])
def test_rows_put_together_are_the_plane_moved(monkeypatch, choice):
    monkeypatch.setattr(grids, "STRIP_ROWS", 64)
    moving = on_grid(120, 120, 5.0)
    pair = prepare_pair(REFERENCE, moving)
    result = coregistration_of(REFERENCE.geobox, up_m=2.0)
    rows = list(rows_of(result, pair, choose_grid(pair, choice)))
    assert len(rows) > 1
    heights = np.concatenate([part.aligned_m for part in rows])
    expected = (REFERENCE if choice == "reference" else moving).heights_m + 2.0
    np.testing.assert_allclose(heights[2:-2, 2:-2], expected[2:-2, 2:-2], atol=0.02)
    moves = np.concatenate([part.displacement_m for part in rows], axis=1)
    np.testing.assert_allclose(moves[2], 2.0, atol=1e-5)


def test_north_of_a_grid_is_true_on_the_central_meridian_only():
    middle = GeoBox((10, 10), Affine(10, 0, 499_950, 0, -10, 5_300_000), "EPSG:25832")
    west = GeoBox((10, 10), Affine(10, 0, 300_000, 0, -10, 5_300_000), "EPSG:25832")
    assert true_north_deg(middle) == pytest.approx(0.0, abs=1e-3)
    # Convergence is the difference of longitude times the sine of the latitude: 2.7 degrees west at 47.8 north.
    assert true_north_deg(west) == pytest.approx(2.0, abs=0.1)
