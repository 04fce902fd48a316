"""Strips put together are the whole raster, and samples of strips are the sample of the whole."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.coregistration import row_blocks
from orograph.pipeline.coregistration.row_blocks import Strip, sampled, sampled_box, sampling_step, strips
from tests.support.pairs import AFFINE, coregistration_of, plane_raster

BOX = GeoBox((10, 7), AFFINE, "EPSG:3035")


def test_strips_put_together_are_the_whole(monkeypatch):
    moving = plane_raster(50, 40)
    result = coregistration_of(moving.geobox, east_m=12.0, up_m=3.0)
    whole = result.apply(moving).heights_m
    monkeypatch.setattr(row_blocks, "STRIP_ROWS", 16)
    parts = list(strips(result, moving, moving.geobox))
    assert [(part.rows.start, part.rows.stop) for part in parts] == [(0, 16), (16, 32), (32, 48), (48, 50)]
    np.testing.assert_array_equal(np.concatenate([part.aligned_m for part in parts]), whole)


@pytest.mark.parametrize(("shape", "most", "step"), [((10, 10), 100, 1), ((10, 10), 99, 2), ((1, 1), 5, 1)])
def test_the_sampling_step_keeps_at_most_so_many_pixels(shape, most, step):
    assert sampling_step(shape, most) == step


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_samples_of_strips_are_the_sample_of_the_whole(step):
    values = np.arange(70).reshape(10, 7)
    parts = []
    for first in range(0, 10, 3):
        rows = slice(first, min(first + 3, 10))
        parts.append(sampled(values[rows], Strip(rows, BOX[rows, :], np.zeros((3, 7), np.float32)), step))
    np.testing.assert_array_equal(np.concatenate(parts), values[::step, ::step])


def test_the_sampled_grid_keeps_the_centres():
    box = sampled_box(BOX, 3)
    assert box.shape.shape == (4, 3)
    assert box.affine @ (1.5, 2.5) == pytest.approx(BOX.affine @ (3.5, 6.5))
    assert sampled_box(BOX, 1).affine.almost_equals(Affine(*BOX.affine[:6]))
