"""Interpolated ground is found, real ground is not."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from orograph.pipeline.learning.superres.dataset import SiteSpec, load_site
from orograph.pipeline.learning.superres.interpolated_ground import FACTORS, interpolated
from tests.support.superres_fixtures import hills


def rough(rows, columns, seed):
    noise = np.random.default_rng(seed).normal(0.0, 0.5, (rows, columns))
    return (hills(rows, columns, seed) + noise).astype(np.float32)


def drawn_out(coarse, factor, linear):
    if not linear:
        return np.kron(coarse, np.ones((factor, factor), np.float32))
    for axis in (0, 1):
        places = np.arange(factor * (coarse.shape[axis] - 1) + 1) / factor
        low = np.minimum(places.astype(int), coarse.shape[axis] - 2)
        share = (places - low).reshape((-1, 1) if axis == 0 else (1, -1))
        coarse = np.take(coarse, low, axis) * (1 - share) + np.take(coarse, low + 1, axis) * share
    return coarse.astype(np.float32)


@settings(deadline=None, max_examples=20)
@given(
    factor=st.sampled_from(FACTORS), linear=st.booleans(), row=st.integers(0, 5), column=st.integers(0, 5),
    seed=st.integers(0, 99), rounded=st.booleans(),
)  # fmt: skip
def test_a_drawn_out_part_of_a_mosaic_is_found(factor, linear, row, column, seed, rounded):
    fine = rough(320, 300, seed)
    part = drawn_out(rough(70, 70, seed + 1), factor, linear)[row:, column:][:160, :160]
    if rounded:
        fine, part = np.round(fine, 2), np.round(part, 2)
    fine[100 : 100 + part.shape[0], 80 : 80 + part.shape[1]] = part
    found = interpolated(fine, np.ones(fine.shape, bool))
    inside = np.zeros(fine.shape, bool)
    inside[100 : 100 + part.shape[0], 80 : 80 + part.shape[1]] = True
    assert found[inside].mean() > 0.9
    reach = 12 * factor  # half a block is added, and a block may lie mostly outside
    near = np.zeros(fine.shape, bool)
    near[100 - reach : 100 + part.shape[0] + reach, 80 - reach : 80 + part.shape[1] + reach] = True
    assert not found[~near].any()


def test_real_roughness_lakes_steps_and_voids_are_not():
    heights = rough(300, 300, 3)
    heights[50:150, 50:150] = 432.0
    heights[:, 200:] += 40.0
    valid = np.ones(heights.shape, bool)
    valid[180:260, 20:120] = False
    heights[~valid] = 0.0
    assert not interpolated(heights, valid).any()
    assert not interpolated(heights[:9, :9], valid[:9, :9]).any()


def test_a_site_leaves_it_out_and_says_so(tmp_path, caplog):
    heights = rough(240, 240, 4)
    heights[:90] = drawn_out(rough(90, 90, 5), 3, linear=True)[:90, :240]
    with rasterio.open(
        tmp_path / "mosaic.tif", "w", driver="GTiff", dtype="float32", height=240, width=240, count=1,
        crs="EPSG:3035", transform=Affine(5, 0, 4e6, 0, -5, 3e6), nodata=-9999.0,
    ) as dataset:  # fmt: skip
        dataset.write(heights, 1)
    spec = SiteSpec(name="mosaic", file="mosaic.tif", licence="CC0", attribution="made")
    with caplog.at_level(logging.WARNING):
        site = load_site(spec, tmp_path)
    assert "mosaic: 4" in caplog.text
    assert "interpolated" in caplog.text
    assert not site.valid[0][:84].any()
    assert site.valid[0][120:].all()
    assert np.isfinite(site.heights_m[0]).all()
    assert site.valid[0].mean() == pytest.approx(0.58, abs=0.05)
