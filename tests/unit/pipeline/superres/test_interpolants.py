"""Exact interpolants against GDAL and against what their orders promise."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import Resampling, reproject

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.superres import resolver, resolver_names
from orograph.pipeline.superres.interpolants import phase_weights

EXACT = ("nearest", "bilinear", "gdal-cubic", "keys6", "lanczos3", "bspline")


def hills(rows=60, columns=50):
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    return (500 + 80 * np.sin(x / 5) * np.cos(y / 7) + 3 * x - 2 * y).astype(np.float32)


def test_all_exact_interpolants_are_registered():
    assert set(EXACT) <= set(resolver_names())


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="keys6"):
        resolver("bicubic-ish")


@pytest.mark.parametrize(("name", "method"), [("gdal-cubic", Resampling.cubic), ("bilinear", Resampling.bilinear)])
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_agrees_with_gdal_inside(name, method, factor):
    coarse = hills()
    fine, sigma = resolver(name)(coarse, factor=factor)
    expected = np.zeros_like(fine)
    reproject(
        coarse,
        expected,
        src_transform=Affine(30, 0, 0, 0, -30, 0),
        dst_transform=Affine(30 / factor, 0, 0, 0, -30 / factor, 0),
        src_crs="EPSG:3035",
        dst_crs="EPSG:3035",
        resampling=method,
        tolerance=0,
    )
    edge = 3 * factor
    assert sigma is None
    np.testing.assert_allclose(fine[edge:-edge, edge:-edge], expected[edge:-edge, edge:-edge], atol=2e-3)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
def test_weights_sum_to_one_and_odd_factors_return_the_samples(name, factor):
    np.testing.assert_allclose(phase_weights(name, factor).sum(axis=1), 1.0, atol=1e-12)
    coarse = hills(24, 30)
    fine, _ = resolver(name)(coarse, factor=factor)
    assert fine.shape == (24 * factor, 30 * factor)
    if factor % 2:
        np.testing.assert_allclose(fine[factor // 2 :: factor, factor // 2 :: factor], coarse, atol=1e-4)


def test_higher_order_kernels_are_closer_on_smooth_ground():
    fine = hills(180, 150).astype(np.float64)
    y, x = np.mgrid[:180, :150]
    fine = (500 + 80 * np.sin(x / 11) * np.cos(y / 9)).astype(np.float32)
    coarse = np.ascontiguousarray(fine[1::3, 1::3])
    inner = np.s_[36:-36, 36:-36]
    error = {name: np.abs(resolver(name)(coarse)[0] - fine)[inner].max() for name in EXACT}
    assert error["keys6"] < error["gdal-cubic"] < error["bilinear"] < error["nearest"]
    assert error["bspline"] < error["gdal-cubic"]


@pytest.mark.parametrize("name", EXACT)
def test_tilings_with_halo_agree_bit_for_bit_beside_voids(name):
    coarse = hills(70, 80)
    coarse[20:26, 30:50] = np.nan
    coarse[40, 41] = np.nan
    up = resolver(name)
    whole, _ = up(coarse)
    assert np.isnan(whole[60:78, 90:150]).all()
    assert np.isfinite(whole).sum() == 9 * np.isfinite(coarse).sum()
    halo = up.halo_px
    for r0, r1, c0, c1 in ((0, 33, 0, 37), (33, 70, 0, 37), (0, 33, 37, 80), (33, 70, 37, 80)):
        a, b, c, d = max(0, r0 - halo), min(70, r1 + halo), max(0, c0 - halo), min(80, c1 + halo)
        part, _ = up(np.ascontiguousarray(coarse[a:b, c:d]), origin_px=(a, c))
        part = part[3 * (r0 - a) : 3 * (r1 - a), 3 * (c0 - c) : 3 * (c1 - c)]
        np.testing.assert_array_equal(part, whole[3 * r0 : 3 * r1, 3 * c0 : 3 * c1])


def test_an_all_void_window_stays_void():
    fine, _ = resolver("keys6")(np.full((5, 6), np.nan, np.float32))
    assert fine.shape == (15, 18)
    assert np.isnan(fine).all()


def test_edges_follow_a_slope():
    y, x = np.mgrid[:30, :30]
    plane = (10.0 * x + 5 * y).astype(np.float32)
    fine, _ = resolver("keys6")(plane)
    fine_y, fine_x = (np.mgrid[:90, :90] + 0.5) / 3 - 0.5
    # The coarse step is 11 m; a flat continuation would be 3 m off.
    assert np.abs(fine - (10 * fine_x + 5 * fine_y)).max() < 1.5


def test_beats_gdal_cubic_on_real_terrain(shared):
    with rasterio.open(shared("data/dtm/tirol_gar_5m.tif")) as dataset:
        fine = dataset.read(1)[:384, :519]
    fine[fine == -9999.0] = np.nan
    coarse = np.ascontiguousarray(fine[1::3, 1::3])
    inner = np.s_[12:-12, 12:-12]
    rmse = {
        name: float(np.sqrt(np.nanmean((resolver(name)(coarse)[0] - fine)[inner] ** 2)))
        for name in ("keys6", "gdal-cubic")
    }
    assert rmse["keys6"] < rmse["gdal-cubic"]
