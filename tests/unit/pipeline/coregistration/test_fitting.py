"""Known displacements come back, and what cannot be known comes back as a status."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import CoregistrationStatus, fit
from orograph.pipeline.errors import ConfigError, CoregistrationError, NodataError, SourceGridError, VerticalError

PIXEL_M = 20.0
SIZE = 200
TRUTH = (1.37, -2.62, 3.2)
"""Pixels east, pixels north, metres up."""


def raster(heights, pixel_m=PIXEL_M, crs="EPSG:25833", frame="EPSG:5621", west=500_000.0, north=8_600_000.0):
    affine = Affine(pixel_m, 0, west, 0, -pixel_m, north)
    return Raster(np.ascontiguousarray(heights, np.float32), GeoBox(heights.shape, affine, crs), frame, Surface.DTM)


@pytest.fixture(scope="module")
def terrain():
    """Spline coefficients of 320 x 320 pixels of mountains with relief at several scales."""
    rng = np.random.default_rng(7)
    heights = sum(
        amplitude * gaussian_filter(rng.standard_normal((320, 320)), scale, mode="wrap") * scale
        for amplitude, scale in ((900.0, 40), (250.0, 12), (60.0, 4))
    )
    return spline_filter(heights + 500.0, 3)


def moved(spline, east_px=0.0, north_px=0.0, up_m=0.0, size=SIZE, step=1.0):
    rows, cols = (np.mgrid[0:size, 0:size] + 0.5) * step - 0.5 + 60
    return map_coordinates(spline, [rows + north_px, cols - east_px], order=3, prefilter=False) + up_m


def error(result, truth=TRUTH):
    east, north, up = result.shift
    return np.hypot(east / PIXEL_M - truth[0], north / PIXEL_M - truth[1]), abs(up - truth[2])


def test_a_known_shift_comes_back(terrain):
    result = fit(raster(moved(terrain, *TRUTH)), raster(moved(terrain)))
    sideways_px, up_m = error(result)
    assert result.status is CoregistrationStatus.CONVERGED
    assert sideways_px < 0.005
    assert up_m < 0.01
    assert result.nmad_after_m < 0.05 * result.nmad_before_m
    assert np.linalg.eigvalsh(result.covariance).min() > 0


def test_applying_brings_the_raster_onto_the_reference(terrain):
    reference, other = raster(moved(terrain, *TRUTH)), raster(moved(terrain))
    aligned = fit(reference, other).apply(other)
    left = np.abs(aligned.heights_m - reference.heights_m)[8:-8, 8:-8]
    assert np.nanmedian(left) < 0.1
    assert not np.isnan(left).any()


def test_displacement_folds_into_a_foreign_grid(terrain):
    reference, other = raster(moved(terrain, *TRUTH)), raster(moved(terrain))
    result = fit(reference, other)
    part = raster(np.zeros((40, 60)), west=500_000.0 + 30 * PIXEL_M, north=8_600_000.0 - 50 * PIXEL_M).geobox
    whole = result.displacement(reference.geobox)
    for piece, full in zip(result.displacement(part), whole, strict=True):
        assert piece.dtype == np.float32
        np.testing.assert_allclose(piece, full[50:90, 30:90], atol=1e-4)


@pytest.mark.parametrize("spoiled", ["reference", "other"])
@pytest.mark.parametrize("east_px", [25.0, -25.0])
def test_noise_blunders_voids_and_a_far_start_together(terrain, spoiled, east_px):
    rng = np.random.default_rng(11)
    reference, other = moved(terrain, east_px, -18.0, 3.2), moved(terrain)
    reference += rng.normal(0, 1, reference.shape)
    bad = reference if spoiled == "reference" else other
    blunder = rng.random(bad.shape) < 0.1
    bad[blunder] += rng.normal(0, 200, blunder.sum())
    bad[rng.random(bad.shape) < 0.3] = np.nan
    result = fit(raster(reference), raster(other))
    assert result.status is CoregistrationStatus.CONVERGED
    assert error(result, (east_px, -18.0, 3.2))[0] < 0.01


def test_what_has_no_common_heights_is_too_few(terrain):
    full, void = moved(terrain), np.full((SIZE, SIZE), np.nan)
    cases = {
        "void reference": fit(raster(void), raster(full)),
        "void other": fit(raster(full), raster(void)),
        "empty mask": fit(raster(full), raster(full), np.zeros((SIZE, SIZE), bool)),
        "no overlap": fit(raster(full), raster(full, west=900_000.0)),
    }
    for name, result in cases.items():
        assert result.status is CoregistrationStatus.TOO_FEW, name
        assert result.shift == (0.0, 0.0, 0.0), name


@pytest.mark.parametrize("relief", ["flat", "sea", "plane", "noisy plane", "ridges"])
def test_ground_without_shape_gives_a_vertical_shift_and_says_so(relief):
    rng = np.random.default_rng(3)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE].astype(float)
    ground = {
        "flat": 0 * rows,
        "sea": 0 * rows,
        "plane": 3 * rows + 2 * cols,
        "noisy plane": 3 * rows + 2 * cols,
        "ridges": 40 * np.sin(cols / 9.0),
    }[relief]
    noise = 0.3 if relief in {"sea", "noisy plane"} else 0.0
    result = fit(
        raster(ground + 3.2 + rng.normal(0, noise, ground.shape)), raster(ground + rng.normal(0, noise, ground.shape))
    )
    assert result.status is CoregistrationStatus.UNOBSERVABLE
    assert result.shift[:2] == (0.0, 0.0)
    assert abs(result.shift[2] - 3.2) < 0.02


def test_a_ramp_does_not_leak_into_the_shift(terrain):
    reference = moved(terrain, *TRUTH) + np.linspace(0, 6, SIZE)
    plain = fit(raster(reference), raster(moved(terrain)))
    assert error(plain)[0] < 0.02
    ramp = fit(raster(reference), raster(moved(terrain)), method="nuth-kaab+deramp(1)")
    assert error(ramp)[0] < 0.02
    assert ramp.nmad_after_m < 0.1
    assert ramp.field.polynomial[2, 1] == pytest.approx(3.0, abs=0.05)


def test_a_shift_beyond_the_limit_is_rejected(terrain):
    result = fit(raster(moved(terrain, *TRUTH)), raster(moved(terrain)), max_shift_m=30.0)
    assert result.status is CoregistrationStatus.REJECTED
    assert result.shift[:2] == (0.0, 0.0)


def test_unlike_resolutions_are_compared_without_resampling_first(terrain):
    coarse = raster(moved(terrain, *TRUTH, size=133, step=1.5), pixel_m=30.0)
    assert error(fit(coarse, raster(moved(terrain))))[0] < 0.01


def test_threads_do_not_change_a_bit(terrain):
    reference, other = raster(moved(terrain, *TRUTH)), raster(moved(terrain))
    one, two = (fit(reference, other, threads=threads) for threads in (1, 2))
    assert one.field.polynomial.tobytes() == two.field.polynomial.tobytes()
    assert one.apply(other).heights_m.tobytes() == two.apply(other, threads=2).heights_m.tobytes()


def test_voids_neither_grow_nor_shrink(terrain):
    heights = moved(terrain)
    heights[60:80, 90:120] = np.nan
    heights[np.random.default_rng(5).random(heights.shape) < 0.2] = np.nan
    other = raster(heights)
    result = fit(raster(moved(terrain, 1.0, -2.0, 3.2)), other)
    aligned = result.apply(other)
    expected = np.isfinite(np.roll(heights, (2, 1), axis=(0, 1)))
    np.testing.assert_array_equal(aligned.valid[4:-4, 4:-4], expected[4:-4, 4:-4])


def test_refusals(terrain):
    good = raster(moved(terrain))
    holed = moved(terrain)
    holed[:20, :20] = -9999.0
    with pytest.raises(NodataError, match="-9999"):
        fit(good, raster(holed))
    with pytest.raises(SourceGridError, match="degrees"):
        fit(raster(moved(terrain), pixel_m=0.001, crs="EPSG:4326", west=5, north=45), good)
    with pytest.raises(SourceGridError, match="EPSG:32633"):
        fit(good, raster(moved(terrain), crs="EPSG:32633"))
    with pytest.raises(VerticalError, match="EPSG:3855"):
        fit(good, raster(moved(terrain), frame="EPSG:3855"))
    with pytest.raises(CoregistrationError, match="mask"):
        fit(good, good, np.ones((3, 3), bool))
    with pytest.raises(ConfigError, match="icp"):
        fit(good, good, method="icp")


def test_the_record_is_json(terrain):
    record = fit(raster(moved(terrain, *TRUTH)), raster(moved(terrain))).record("glo30", "tirol")
    assert record.status == "converged"
    assert record.shift_east_m == pytest.approx(27.4, abs=0.1)
    assert "NaN" not in record.model_dump_json()


def test_a_view_of_a_raster_gives_what_its_copy_gives(terrain):
    reference, other = raster(moved(terrain, *TRUTH)), raster(moved(terrain))
    views = [replace(r, heights_m=np.asfortranarray(r.heights_m)) for r in (reference, other)]
    one, two = fit(reference, other), fit(*views)
    assert one.field.polynomial.tobytes() == two.field.polynomial.tobytes()
