"""The torch kernels say what the compiled ones say, to single precision, on clean, holed and unlike rasters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import DisplacementField, fit
from orograph.pipeline.coregistration.fitting import make_pair
from orograph.pipeline.coregistration.pair import Blocks
from orograph.pipeline.errors import ConfigError

SCALE = np.array([0.8, 1.2])


def raster(heights, pixel_m=20.0):
    affine = Affine(pixel_m, 0, 500_000, 0, -pixel_m, 8_600_000)
    return Raster(heights.astype(np.float32), GeoBox(heights.shape, affine, "EPSG:25833"), "EPSG:5621", Surface.DTM)


def ground(rows, cols, seed=0):
    rng = np.random.default_rng(seed)
    wide = gaussian_filter(rng.normal(size=(rows, cols)), 8) * 8 * 150
    return wide + gaussian_filter(rng.normal(size=(rows, cols)), 3) * 30 + 900


def pair(kind):
    """Reference, raster to be aligned and mask."""
    heights = ground(230, 270)
    reference = heights + np.random.default_rng(1).normal(0, 0.5, heights.shape)
    mask = np.ones(heights.shape, bool)
    mask[:, 100:130] = False
    if kind == "holed":
        heights, reference = heights.copy(), reference.copy()
        heights[50:90, 60:110], heights[::17, ::13], reference[120:140] = np.nan, np.nan, np.nan
    moving = raster(heights[::3, ::3][1:-1, 1:-1], 60.0) if kind == "coarser" else raster(heights)
    return raster(reference), moving, mask


def field(geobox, shape=(4, 5)):
    rng = np.random.default_rng(2)
    polynomial = np.array([[12.0, 3, -2, 1, 2, 0.5], [-7.0, -1, 2, 0.5, 1, 1], [1.0, 0.5, -0.5, 0.1, 0.2, 0.1]])
    return DisplacementField(geobox, polynomial, rng.normal(0, [[[8]], [[8]], [[1]]], (3, *shape)))


@pytest.mark.parametrize("kind", ["clean", "holed", "coarser"])
@pytest.mark.parametrize("step", [1, 3])
def test_sums_and_residuals_agree(kind, step):
    reference, moving, mask = pair(kind)
    compiled, on_torch = (make_pair(reference, moving, mask, 1, device) for device in (None, "cpu"))
    for shape in ((4, 5), (1, 1), (0, 0)):
        moves = field(reference.geobox, shape)
        blocks = Blocks.of(reference.heights_m.shape, 23)
        one, two = (p.sums(moves, blocks, SCALE, step=step) for p in (compiled, on_torch))
        assert one[..., 10].sum() > 1000
        np.testing.assert_allclose(two[..., 10], one[..., 10], atol=1)
        largest = np.abs(one).max(axis=(0, 1))
        np.testing.assert_allclose(two / largest, one / largest, rtol=0, atol=1e-5)
        (one, slope), (two, other_slope) = (p.residuals(moves) for p in (compiled, on_torch))
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-4)
        np.testing.assert_allclose(other_slope, slope, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["clean", "holed", "coarser"])
def test_the_last_interpolation_agrees_up_to_the_edges(kind):
    reference, moving, mask = pair(kind)
    result = fit(reference, moving, mask, "nuth-kaab")
    one, two = (result.apply(moving, reference.geobox, device=device).heights_m for device in (None, "cpu"))
    np.testing.assert_array_equal(np.isnan(two), np.isnan(one))
    np.testing.assert_allclose(two, one, rtol=0, atol=5e-4)


def test_a_whole_fit_agrees():
    reference, moving, mask = pair("holed")
    one, two = (fit(reference, moving, mask, "blockwise(nuth-kaab)", device=device) for device in (None, "cpu"))
    assert one.status is two.status
    for mine, other in zip(two.displacement(reference.geobox), one.displacement(reference.geobox), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-3)


def test_a_device_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    reference, moving, mask = pair("clean")
    with pytest.raises(ConfigError, match="no device 'cuda'"):
        fit(reference, moving, mask, device="cuda")
