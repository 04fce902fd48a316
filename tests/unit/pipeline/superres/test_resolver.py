"""Bundled resolvers satisfy one protocol: shapes, voids, halo."""

import numpy as np
import pytest

from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.resolver import Resolver
from tests.support.superres_fixtures import hills


@pytest.mark.parametrize("name", ["nearest", "bilinear", "keys6", "best-linear"])
def test_heights_are_fine_float32_with_the_voids_of_the_coarse(name):
    up: Resolver = resolver(name)
    heights = hills(12, 15)
    heights[5, 6] = np.nan
    fine, sigma = up(heights, factor=3)
    assert (fine.dtype, fine.shape, sigma) == (np.float32, (36, 45), None)
    np.testing.assert_array_equal(np.isnan(fine), np.kron(np.isnan(heights), np.ones((3, 3))).astype(bool))
    assert up.name == name
    assert up.halo_px >= 0


@pytest.mark.parametrize("name", ["nearest", "keys6", "best-linear"])
def test_one_pixel_is_divided_into_equal_ones(name):
    fine, _ = resolver(name)(np.full((1, 1), 7.0, np.float32), factor=3)
    np.testing.assert_allclose(fine, np.full((3, 3), 7.0), atol=1e-5)
