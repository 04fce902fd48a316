"""The made terrain: noise of the requested spectrum, repeatable relief."""

import numpy as np
import pytest

from orograph.pipeline.demo.terrain import TerrainField, noise, relief


def test_noise_has_unit_variance_and_no_short_waves():
    values = noise((128, 128), np.random.default_rng(1), falloff=2.0, shortest_px=8.0, longest_px=60.0)
    assert values.std() == pytest.approx(1.0)
    assert abs(values.mean()) < 1e-9
    spectrum = np.abs(np.fft.rfft2(values)) ** 2
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None])
    assert spectrum[frequency > 0.25].sum() < 1e-6 * spectrum.sum()


def test_relief_is_the_same_for_a_seed_and_above_the_sea():
    first, again, other = (relief((64, 64), np.random.default_rng(seed), 100.0) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.min() > 0


def test_a_field_takes_numbers_and_arrays_alike():
    rows, cols = np.mgrid[0:20, 0:30]
    field = TerrainField.through(2.0 * cols - 3.0 * rows + 50.0, west_m=100.0, north_m=900.0, spacing_m=10.0)
    east, north = np.array([150.0, 200.0, 250.0]), np.array([[850.0], [800.0]])
    expected = 2.0 * (east - 100.0) / 10.0 - 3.0 * (900.0 - north) / 10.0 + 50.0
    np.testing.assert_allclose(field(east, north), expected, atol=0.1)
    assert field(150.0, 850.0) == pytest.approx(float(field(east, north)[0, 0]))
    assert field(150.0, 850.0).shape == ()
