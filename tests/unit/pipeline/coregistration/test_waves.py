"""Plane waves: their numbers, their values, and the lattice that samples them."""

import math

import numpy as np
import pytest

from orograph.pipeline.coregistration.waves import NODES_A_WAVE, Wave, sampled_shape

EASTWARD = Wave((1 / 500, 0.0), (0.0, 0.0, 3.0), (0.0, 0.0, 4.0))


def test_numbers_of_a_wave():
    assert EASTWARD.wavelength_m == pytest.approx(500)
    assert EASTWARD.azimuth_deg == pytest.approx(90)
    assert EASTWARD.amplitude_m == pytest.approx((0, 0, 5))
    assert "500 m at 90 degrees" in str(EASTWARD)
    assert EASTWARD.describe()["amplitude_m"] == {"east": 0, "north": 0, "up": 5}


def test_a_wave_repeats_after_its_length_and_is_level_along_its_crests():
    east = np.array([0.0, 125.0, 500.0, 0.0])
    north = np.array([0.0, 0.0, 0.0, 777.0])
    np.testing.assert_allclose(EASTWARD.at(east, north)[2], [3, 4, 3, 3], atol=1e-9)
    assert not EASTWARD.at(east, north)[:2].any()


def test_opposite_vectors_have_the_same_azimuth():
    one = Wave((0.001, 0.002), (1, 0, 0), (0, 0, 0))
    other = Wave((-0.001, -0.002), (1, 0, 0), (0, 0, 0))
    assert one.azimuth_deg == pytest.approx(other.azimuth_deg)


def test_rounding_keeps_the_phase_over_a_hundred_kilometres():
    wave = Wave((1 / 333.3, math.pi / 1e4), (1.0000001, 0.5, 0.25), (0.1, 0.2, 0.3))
    far = np.array([1e5])
    np.testing.assert_allclose(wave.rounded().at(far, far), wave.at(far, far), atol=1e-5)
    assert wave.rounded().rounded() == wave.rounded()


def test_a_lattice_is_multiplied_by_an_odd_number_that_follows_the_wave():
    rows, cols = sampled_shape((EASTWARD,), (2000.0, 2000.0), (4, 5))
    assert rows == 4
    assert cols % 5 == 0
    assert cols // 5 % 2 == 1
    assert cols >= NODES_A_WAVE * 4


def test_without_a_lattice_there_are_as_many_nodes_as_the_wave_needs():
    assert sampled_shape((EASTWARD,), (2000.0, 2000.0), (0, 0)) == (1, 4 * NODES_A_WAVE)
