"""Share of canopy from the difference of a DSM and a terrain model: patches, errors of both signs, covered parts."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from orograph.pipeline.bare_earth.block_lattice import BlockLattice
from orograph.pipeline.bare_earth.terrain_shares import covered_share, found_share, smoothed

SIDE = 288


def correlated(seed, height_m):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), 3.0)
    return height_m * noise / noise.std()


def found(difference_m):
    lattice = BlockLattice((SIDE, SIDE), (0, 0))
    return found_share(difference_m, np.ones((SIDE, SIDE), bool), np.zeros(lattice.blocks), lattice)


def test_errors_of_both_signs_are_no_canopy():
    assert found(correlated(1, 4.0)).mean() < 0.002


def test_a_wood_above_the_errors_is_found_and_the_rest_stays():
    woods = np.zeros((SIDE, SIDE), bool)
    woods[60:200, 80:240] = True
    share = found(correlated(1, 1.0) + 16.0 * woods)
    assert share[64:196, 84:236].mean() > 0.95
    away = gaussian_filter(woods.astype(float), 4.0) < 1e-4
    assert share[away].mean() < 0.005


def test_a_mean_counts_used_pixels_only():
    values, used = np.full((40, 40), 7.0), np.ones((40, 40), bool)
    values[:, 20:], used[:, 20:] = 1000.0, False
    mean, share = smoothed(values, used, 2.0)
    np.testing.assert_allclose(mean[:, :24], 7.0)
    assert share[5, 5] == pytest.approx(1.0)
    assert share[5, 35] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("covered", [0.3, 0.6, 1.0])
def test_the_covered_part_follows_from_the_pixels_below_the_level(covered):
    random = np.random.default_rng(5)
    stands = random.random(200_000) < covered
    spread_m = 2.0
    seen = np.where(stands, random.normal(15.0, 5.0, stands.size), random.normal(0.0, spread_m, stands.size))
    made = covered_share(np.array([[seen.mean()]]), np.array([[(seen < 0.0).mean()]]), np.array([[spread_m]]))
    assert made[0, 0] == pytest.approx(covered, abs=0.06)
