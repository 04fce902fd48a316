"""Thinning as sources do it."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.degrade import noise, pool, thin
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.interpolants import interpolant_kernels
from orograph.pipeline.superres.linear_fit import LinearFit
from tests.support.superres_fixtures import hills


def plane(rows=30, columns=36):
    y, x = np.mgrid[:rows, :columns]
    return (2.0 * x + 3.0 * y).astype(np.float32)


@pytest.mark.parametrize("thinning", list(Thinning))
@pytest.mark.parametrize("factor", [3, 5])
def test_odd_factors_shift_nothing(thinning, factor):
    coarse = thin(plane(), factor, thinning)
    middle = factor // 2
    np.testing.assert_allclose(coarse, plane()[middle::factor, middle::factor][: coarse.shape[0], : coarse.shape[1]])


def test_even_decimation_is_refused_and_even_means_are_not():
    with pytest.raises(ConfigError, match="odd factor"):
        thin(plane(), 2, Thinning.DECIMATED)
    assert thin(plane(), 2, Thinning.AVERAGED)[0, 0] == pytest.approx(2.5)


def test_a_wider_footprint_averages_more():
    rough = noise((90, 90), correlated=False, rng=np.random.default_rng(1))
    narrow, wide = (thin(rough, 3, Thinning.AVERAGED, width) for width in (1.0, 1.4))
    assert wide.std() < narrow.std()
    np.testing.assert_allclose(thin(plane(), 3, Thinning.AVERAGED, 1.4)[2:-2, 2:-2], plane()[1::3, 1::3][2:-2, 2:-2])
    with pytest.raises(ConfigError, match="footprint"):
        thin(rough, 3, Thinning.AVERAGED, 2.5)


def test_voids_spread_over_footprints_only():
    holed = plane()
    holed[4, 4] = np.nan
    assert np.isnan(thin(holed, 3, Thinning.AVERAGED)).sum() == 1
    assert np.isnan(thin(holed, 3, Thinning.DECIMATED)).sum() == 1
    assert np.isnan(pool(holed, 2, 2, Thinning.AVERAGED, (0, 0))).sum() == 1


def test_noise_has_unit_deviation_and_its_correlation():
    rng = np.random.default_rng(2)
    white, soft = noise((200, 200), False, rng), noise((200, 200), True, rng)
    assert white.std() == pytest.approx(1.0, abs=0.02)
    assert soft.std() == pytest.approx(1.0, abs=0.05)
    assert np.mean(soft[:, 1:] * soft[:, :-1]) > 0.5


def test_the_linear_fit_beats_the_interpolant_it_may_become():
    fine = hills(240, 240)
    fit = LinearFit(3, 3)
    coarse = thin(fine, 3, Thinning.AVERAGED)
    fit.add(coarse, fine)
    kernels = fit.kernels(Thinning.AVERAGED)
    np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1.0, atol=1e-9)
    delta = np.zeros((7, 7))
    delta[3, 3] = 1.0
    np.testing.assert_allclose(kernels.mean(axis=0), delta, atol=1e-9)

    def rmse(weights):
        r = weights.shape[-1] // 2
        views = np.lib.stride_tricks.sliding_window_view(coarse.astype(float), (2 * r + 1,) * 2)
        phases = np.einsum("rcij,pij->rcp", views, weights)
        rows, columns = phases.shape[:2]
        raised = phases.reshape(rows, columns, 3, 3).transpose(0, 2, 1, 3).reshape(rows * 3, columns * 3)
        cut = slice(3 * r, -3 * r)
        return float(np.sqrt(np.mean((raised - fine[cut, cut]) ** 2)))

    assert rmse(kernels) < rmse(interpolant_kernels("keys6", 3))
    assert rmse(kernels) < rmse(interpolant_kernels("gdal-cubic", 3))


def test_the_decimated_fit_keeps_samples_and_symmetry():
    fine = hills(240, 240, seed=5)
    fit = LinearFit(3, 3)
    fit.add(thin(fine, 3, Thinning.DECIMATED), fine)
    kernels = fit.kernels(Thinning.DECIMATED).reshape(3, 3, 7, 7)
    assert kernels[1, 1, 3, 3] == 1.0
    assert np.abs(kernels[1, 1]).sum() == 1.0
    np.testing.assert_allclose(kernels[0, 0], kernels[2, 2][::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(kernels[0, 1], kernels[1, 0].T, atol=1e-12)
