"""The least-squares filter: symmetric, unbiased, consistent with its mode."""

import numpy as np
import pytest

from orograph.pipeline.errors import NoTrainingPixels
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.linear_fit import LinearFit, windows
from tests.support.superres_fixtures import hills


@pytest.fixture(scope="module")
def fit():
    made = LinearFit(3, 2)
    fine = hills(120, 150)
    made.add(fine[1::3, 1::3].copy(), fine)
    return made


@pytest.mark.parametrize("mode", list(Thinning))
def test_filters_sum_to_one_and_respect_the_mode(fit, mode):
    kernels = fit.kernels(mode).reshape(3, 3, 5, 5)
    np.testing.assert_allclose(kernels.sum(axis=(2, 3)), 1.0)
    delta = np.zeros((5, 5))
    delta[2, 2] = 1.0
    found = kernels.mean(axis=(0, 1)) if mode is Thinning.AVERAGED else kernels[1, 1]
    np.testing.assert_allclose(found, delta, atol=1e-12)


def test_turned_phases_have_turned_filters(fit):
    kernels = fit.kernels(Thinning.DECIMATED).reshape(3, 3, 5, 5)
    np.testing.assert_allclose(np.rot90(kernels, axes=(0, 1)), np.rot90(kernels, -1, axes=(2, 3)), atol=1e-6)


def test_voids_and_masked_pixels_add_nothing():
    made = LinearFit(2, 1)
    coarse, fine = np.full((6, 6), np.nan, np.float32), np.ones((12, 12), np.float32)
    made.add(coarse, fine)
    made.add(hills(6, 6), hills(12, 12), np.zeros((6, 6), bool))
    assert made.empty
    with pytest.raises(NoTrainingPixels, match="voids near every pixel"):
        made.kernels(Thinning.AVERAGED)
    made.add(hills(6, 6), hills(12, 12))
    assert not made.empty


def test_windows_are_neighbourhoods_of_inner_pixels():
    values = np.arange(30.0).reshape(5, 6)
    seen = windows(values, 1)
    assert seen.shape == (3, 4, 3, 3)
    np.testing.assert_array_equal(seen[1, 2], values[1:4, 2:5])
