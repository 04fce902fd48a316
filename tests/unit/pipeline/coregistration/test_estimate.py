"""Robust statistics, and the estimate of known displacements."""

import math

import numpy as np
import pytest

from orograph.pipeline.coregistration import estimate as module
from orograph.pipeline.coregistration.estimate import (
    design,
    estimate,
    matrices,
    mean_covariance,
    median,
    nmad,
    noise_scale,
    spread_of_slopes,
    with_nuisance,
)
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.fitting import make_pair
from orograph.pipeline.coregistration.methods import EAST, NORTH, UP, parse_method
from orograph.pipeline.coregistration.pair import Blocks
from tests.support.pairs import PIXEL_M, plane_raster, relief_pair


@pytest.mark.parametrize("size", [1, 2, 7, 8, 1001])
def test_the_median_is_numpys(size):
    values = np.random.default_rng(size).normal(size=size)
    assert median(values) == pytest.approx(np.median(values))


def test_nmad_is_the_standard_deviation_of_noise_and_ignores_blunders():
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    assert nmad(values) == pytest.approx(2.0, rel=0.03)
    values[:1000] = 1e6
    assert nmad(values) == pytest.approx(2.1, rel=0.1)
    assert math.isnan(nmad(np.array([])))
    assert nmad(np.array([3.0])) == 0.0


def test_noise_that_grows_with_slope_is_recognised():
    rng = np.random.default_rng(1)
    slope = rng.uniform(0, 1, 20_000)
    flat, growth = noise_scale(rng.normal(0, 1, slope.size) * (1.0 + 2.0 * slope), slope)
    assert flat == pytest.approx(1.0, rel=0.15)
    assert growth == pytest.approx(2.0, rel=0.15)
    assert noise_scale(rng.normal(0, 1, 100), slope[:100])[1] == 0.0


def test_sums_are_symmetric_matrices():
    a, b = matrices(np.arange(11.0).reshape(1, 1, 11))
    np.testing.assert_array_equal(a, [[[0, 1, 2], [1, 3, 4], [2, 4, 5]]])
    np.testing.assert_array_equal(b, [[6, 7, 8]])


def test_terms_move_blocks_by_their_monomials():
    blocks = Blocks.of_counts((10, 10), (1, 2))
    moved = design(((EAST, 0), (UP, 1)), blocks)
    np.testing.assert_array_equal(moved[:, EAST, 0], [1, 1])
    np.testing.assert_array_equal(moved[:, UP, 1], [-0.5, 0.5])
    assert not moved[:, NORTH].any()


def test_a_plane_accompanies_horizontal_terms_only():
    assert with_nuisance(((UP, 0),)) == ((UP, 0),)
    assert set(with_nuisance(((EAST, 0),))) == {(EAST, 0), (UP, 0), (UP, 1), (UP, 2)}


def test_the_covariance_of_a_singular_system_is_infinite():
    covariance, condition = mean_covariance(np.zeros((2, 2, 11)))
    assert np.isinf(covariance).all()
    assert math.isinf(condition)


def test_along_one_direction_the_other_has_no_variance():
    sums = np.zeros((1, 1, 11))
    sums[..., [0, 3, 5]] = 4.0
    covariance, _ = mean_covariance(sums, (1.0, 0.0))
    np.testing.assert_allclose(covariance, np.diag([0.25, 0.0, 0.25]))


def test_slopes_of_one_direction_have_no_spread_across():
    total = np.zeros(11)
    total[[0, 5]] = 4.0, 1.0
    spread = spread_of_slopes(total)
    assert (spread.weak, spread.strong) == pytest.approx((0.0, 2.0))
    assert abs(spread.direction[0]) == pytest.approx(1.0)
    assert spread_of_slopes(np.zeros(11)) == module.SlopeSpread()


def test_a_known_shift_is_found_within_its_error():
    pair = make_pair(*relief_pair(east_px=0.7, north_px=-0.4, up_m=1.5, noise_m=0.1), None, 1)
    found = estimate(pair, parse_method("nuth-kaab").terms, DisplacementField(pair.geobox))
    east, north, up = found.field.mean_m
    assert found.settled
    assert (east, north, up) == pytest.approx((0.7 * PIXEL_M, -0.4 * PIXEL_M, 1.5), abs=0.1)
    assert np.sqrt(np.diag(found.covariance)).max() < 0.1


def test_a_vertical_shift_moves_nothing_sideways():
    raster = plane_raster(60, 60)
    pair = make_pair(raster.with_heights(raster.heights_m + np.float32(3)), raster, None, 1)
    found = estimate(pair, parse_method("vertical-shift").terms, DisplacementField(pair.geobox))
    assert found.field.mean_m == pytest.approx((0, 0, 3), abs=1e-3)
    assert found.field.largest_horizontal_m == 0.0
    assert found.slope_spread < module.LEAST_SLOPE_SPREAD
