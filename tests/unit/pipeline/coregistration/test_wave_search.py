"""Waves and stripes that blocks cannot follow are found, removed, and named where they are left."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import CoregistrationStatus, fit
from orograph.pipeline.coregistration.waves import Wave

PIXEL_M, SIZE = 20.0, 320


def raster(heights):
    geobox = GeoBox(heights.shape, Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 8_600_000), "EPSG:25833")
    return Raster(np.ascontiguousarray(heights, np.float32), geobox, "undeclared", Surface.DTM)


@pytest.fixture(scope="module")
def terrain():
    rng = np.random.default_rng(11)
    size = SIZE + 40
    heights = sum(
        a * gaussian_filter(rng.standard_normal((size, size)), s, mode="wrap") * s for a, s in ((900, 30), (250, 10))
    )
    return spline_filter(heights + 500.0, 3)


def moved(terrain, wave, noise_m=1.0):
    """The terrain displaced by 3 m east, a wave, and noise; with the true field (3, rows, columns)."""
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    east_m, north_m = (cols - SIZE / 2) * PIXEL_M, (SIZE / 2 - rows) * PIXEL_M
    field = wave.at(east_m, north_m) if wave else np.zeros((3, SIZE, SIZE))
    field[0] += 3.0
    rows, cols = rows + 19.5, cols + 19.5
    reference = map_coordinates(
        terrain, [rows + field[1] / PIXEL_M, cols - field[0] / PIXEL_M], order=3, prefilter=False
    )
    rng = np.random.default_rng(5)
    noise = gaussian_filter(rng.standard_normal((SIZE, SIZE)), 1.0)
    plain = map_coordinates(terrain, [rows, cols], order=3, prefilter=False)
    return raster(reference + field[2] + noise_m * noise / noise.std()), raster(plain), field


def vector(wavelength_m, azimuth_deg):
    angle = np.radians(azimuth_deg)
    return float(np.sin(angle) / wavelength_m), float(np.cos(angle) / wavelength_m)


@pytest.mark.parametrize(
    ("wavelength_m", "azimuth_deg", "cosine", "sine"),
    [
        (1600.0, 12.0, (5.0, 0.0, 2.0), (0.0, 0.0, 2.0)),
        (400.0, 135.0, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0)),
        (300.0, 90.0, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0)),
        (300.0, 0.0, (0.0, 0.0, 0.0), (0.0, 0.0, 2.0)),
    ],
)
def test_waves_along_axes_and_across_are_removed(terrain, wavelength_m, azimuth_deg, cosine, sine):
    wave = Wave(vector(wavelength_m, azimuth_deg), cosine, sine)
    reference, moving, truth = moved(terrain, wave)
    result = fit(reference, moving, method="blockwise(nuth-kaab)")
    assert result.status is CoregistrationStatus.CONVERGED
    found = max(result.field.waves, key=lambda w: w.amplitude_m[2])
    assert found.wavelength_m == pytest.approx(wavelength_m, rel=0.02)
    assert abs((found.azimuth_deg - azimuth_deg + 90.0) % 180.0 - 90.0) < 2.0
    got = np.stack(result.displacement(reference.geobox))
    for part in (0, 2):
        change = truth[part] - truth[part].mean()
        if change.std() > 0.1:
            assert np.sum((got[part] - got[part].mean()) * change) / np.sum(change**2) > 0.85
    assert result.nmad_after_m < 1.1
    assert result.record("a", "b").details["waves"][0]["wavelength_m"] > 0


def test_no_wave_is_found_where_there_is_none(terrain):
    reference, moving, _ = moved(terrain, None)
    result = fit(reference, moving, method="blockwise(nuth-kaab)")
    assert result.status is CoregistrationStatus.CONVERGED
    assert result.field.waves == ()


def test_a_wave_that_cannot_be_removed_is_named(terrain, monkeypatch):
    monkeypatch.setattr("orograph.pipeline.coregistration.wave_search.MOST_NODES", 10)
    reference, moving, _ = moved(terrain, Wave(vector(400.0, 135.0), (0.0, 0.0, 2.0), (0.0, 0.0, 0.0)))
    result = fit(reference, moving, method="blockwise(nuth-kaab)")
    assert result.status is CoregistrationStatus.UNDULATED
    assert result.wave_left.wavelength_m == pytest.approx(400.0, rel=0.02)
    assert "at 135 degrees" in result.reason


def test_parallel_ridges_are_aligned_across_them():
    rng = np.random.default_rng(2)
    profile = gaussian_filter(rng.standard_normal(SIZE + 40), 4) * 400
    spline = spline_filter(np.repeat(profile[None, :], SIZE, axis=0), 3)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] + 0.0
    reference = map_coordinates(spline, [rows, cols + 20 - 6.0 / PIXEL_M], order=3, prefilter=False) + 2.0
    moving = map_coordinates(spline, [rows, cols + 20], order=3, prefilter=False)
    reference += np.random.default_rng(3).normal(0, 0.5, reference.shape)
    result = fit(raster(reference), raster(moving), method="nuth-kaab")
    assert result.status is CoregistrationStatus.ONE_DIRECTION
    assert result.shift == pytest.approx((6.0, 0.0, 2.0), abs=0.1)
    assert "azimuth 90" in result.reason


def test_a_shift_beyond_the_limit_is_named(terrain):
    reference, moving, _ = moved(terrain, None)
    result = fit(reference, moving, max_shift_m=1.0)
    assert result.status is CoregistrationStatus.REJECTED
    assert "found a shift of 3 m, the limit is 1 m" in result.reason
    assert result.found_m[0] == pytest.approx(3.0, abs=0.2)
    assert "--max-shift" in result.remedy
