"""Parts of the made world: border, canopy, voids and geoid."""

import hashlib

import numpy as np
import rasterio

from orograph.pipeline.demo.world import _border, _canopy, _geoid, _geoid_shift, _voids


def test_canopy_stands_on_a_part_of_the_area():
    canopy = _canopy((200, 200), np.random.default_rng(1))
    assert 0.03 < (canopy > 2).mean() < 0.3
    assert canopy.min() == 0.0
    assert canopy.max() < 40


def test_voids_are_few_and_repeat_for_a_seed():
    first, again = (_voids((400, 500), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert 0.0 < first.mean() < 0.1


def test_the_border_wanders_a_few_kilometres():
    border = _border(np.random.default_rng(1), 3_200_000.0, 200)
    eastings = border(np.zeros(50), np.linspace(3_190_000.0, 3_199_000.0, 50))
    assert 100 < np.ptp(eastings) < 20_000


def test_the_geoid_grid_is_the_shift_it_stands_for(tmp_path):
    digest = _geoid(tmp_path / "geoid.tif")
    assert digest == hashlib.sha256((tmp_path / "geoid.tif").read_bytes()).hexdigest()
    with rasterio.open(tmp_path / "geoid.tif") as dataset:
        x, y = dataset.xy(5, 7)
        assert abs(dataset.read(1)[5, 7] - _geoid_shift(x, y)) < 1e-6
