"""Numpy's kernels give the compiled ones' numbers, and are used only before those are compiled."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from orograph.pipeline.core.compiled import numpy_forms
from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import cpu_kernels, fit
from orograph.pipeline.coregistration.despike import despike
from orograph.pipeline.coregistration.fitting import make_pair


@pytest.fixture(scope="module")
def pair():
    """A reference and a raster with a void, spikes and a shift."""
    rng = np.random.default_rng(8)
    heights = (
        gaussian_filter(rng.standard_normal((200, 220)), 6) * 900
        + gaussian_filter(rng.standard_normal((200, 220)), 2) * 60
    )
    moving = heights.copy()
    moving[40:52, 60:90] = np.nan
    moving[100, 100] += 500.0
    reference = np.roll(heights, (1, 2), axis=(0, 1)) + rng.normal(0, 0.5, heights.shape)
    geobox = GeoBox(heights.shape, Affine(10.0, 0, 5e5, 0, -10.0, 6e6), "EPSG:25833")
    return [Raster(part.astype(np.float32), geobox, "none", Surface.DTM) for part in (reference, moving)]


@pytest.fixture
def by_numpy():
    with numpy_forms(used=True):
        yield


@pytest.fixture(scope="module")
def compiled(pair):
    """The compiled kernels' results."""
    result = fit(pair[0], pair[1], method="blockwise(nuth-kaab)")
    ready = make_pair(pair[0], pair[1], None, 1)
    return {
        "despiked": despike(pair[1].heights_m),
        "result": result,
        "aligned": result.apply(pair[1]).heights_m,
        "decimated": ready.decimated(4).reference,
        "residuals": ready.residual_image(result.field, 1e9)[0],
        "moves": np.stack(result.displacement(pair[0].geobox)),
    }


def test_the_same_numbers(pair, compiled, by_numpy):
    np.testing.assert_allclose(despike(pair[1].heights_m), compiled["despiked"], atol=2e-3)
    ready = make_pair(pair[0], pair[1], None, 2)
    np.testing.assert_array_equal(ready.decimated(4).reference, compiled["decimated"])
    field = compiled["result"].field
    np.testing.assert_allclose(ready.residual_image(field, 1e9)[0], compiled["residuals"], atol=2e-3)
    aligned = compiled["result"].apply(pair[1], threads=2).heights_m
    assert (np.isnan(aligned) == np.isnan(compiled["aligned"])).all()
    inner = np.s_[30:-30, 100:-30]
    np.testing.assert_allclose(aligned[inner], compiled["aligned"][inner], atol=1e-2)
    np.testing.assert_allclose(np.stack(compiled["result"].displacement(pair[0].geobox)), compiled["moves"], atol=1e-4)


def test_a_fit_finds_the_same_shift(pair, compiled, by_numpy):
    result = fit(pair[0], pair[1], method="blockwise(nuth-kaab)", threads=2)
    assert result.status is compiled["result"].status
    assert result.shift == pytest.approx(compiled["result"].shift, abs=0.001)
    assert result.nmad_after_m == pytest.approx(compiled["result"].nmad_after_m, abs=0.001)


def test_numpy_serves_small_rasters_before_the_cache_is_filled(monkeypatch):
    monkeypatch.setattr(cpu_kernels, "compiled_before", lambda: False)
    with cpu_kernels.before_compiled(1_000_000) as used:
        assert used
        assert cpu_kernels.cpu_kernels().__name__.endswith("numpy_kernels")
    with cpu_kernels.before_compiled(50_000_000) as used:
        assert not used
    monkeypatch.setattr(cpu_kernels, "compiled_before", lambda: True)
    with cpu_kernels.before_compiled(1_000_000) as used:
        assert not used
    assert cpu_kernels.cpu_kernels().__name__.endswith("coregistration.kernels")
