"""The smooth field: uniform shifts stay uniform, true fields come back, blocks say what they know."""

from __future__ import annotations

import json

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import CoregistrationStatus, fit

PIXEL_M = 20.0
SIZE = 300


def raster(heights):
    affine = Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 8_600_000)
    return Raster(
        np.ascontiguousarray(heights, np.float32), GeoBox(heights.shape, affine, "EPSG:25833"), "x", Surface.DTM
    )


@pytest.fixture(scope="module")
def terrain():
    rng = np.random.default_rng(7)
    size = SIZE + 80
    heights = sum(
        amplitude * gaussian_filter(rng.standard_normal((size, size)), scale, mode="wrap") * scale
        for amplitude, scale in ((900.0, 40), (250.0, 12), (60.0, 4))
    )
    return spline_filter(heights + 500.0, 3)


def moved(spline, east_px=0.0, north_px=0.0, up_m=0.0):
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] + 40.0
    return map_coordinates(spline, [rows + north_px, cols - east_px], order=3, prefilter=False) + up_m


@pytest.fixture(scope="module")
def bent(terrain):
    """A pair with a smooth field, and that field in metres."""
    rng = np.random.default_rng(1)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] / SIZE * 2 - 1
    east = 8 + 6 * np.sin(2 * rows) * np.cos(cols)
    north = -4 + 5 * cols * rows
    up = 1 + 2 * rows**2 - cols
    reference = moved(terrain, east / PIXEL_M, north / PIXEL_M, up) + rng.normal(0, 0.5, rows.shape)
    return raster(reference), raster(moved(terrain)), (east, north, up)


def test_a_uniform_shift_over_nine_blocks_stays_uniform(terrain):
    reference, other = raster(moved(terrain, 1.37, -2.62, 3.2)), raster(moved(terrain))
    result = fit(reference, other, method="blockwise(nuth-kaab, block=2000)")
    assert result.blocks.shape == (3, 3)
    assert result.status is CoregistrationStatus.CONVERGED
    for part, truth in zip(result.displacement(reference.geobox), (27.4, -52.4, 3.2), strict=True):
        assert np.abs(part - truth).max() < 0.2 if truth != 3.2 else np.abs(part - truth).max() < 0.02
    aligned = result.apply(other)
    inside = (aligned.heights_m - reference.heights_m)[8:-8, 8:-8]
    assert abs(np.median(inside)) < 0.01
    assert not np.isnan(inside).any()


def test_a_smooth_field_comes_back(bent):
    reference, other, truth = bent
    result = fit(reference, other, method="blockwise")
    for part, true, most in zip(result.displacement(reference.geobox), truth, (0.6, 0.6, 0.1), strict=True):
        assert np.sqrt(np.mean((part - true) ** 2)) < most
    assert result.nmad_after_m < 0.6 < fit(reference, other).nmad_after_m
    assert result.blind_nmad_m < 1.0


def test_blocks_without_data_or_shape_say_so_and_follow_their_neighbours(bent):
    reference, other, truth = bent
    rng = np.random.default_rng(2)
    heights, target = other.heights_m.copy(), reference.heights_m.copy()
    heights[:100, :100] = np.nan
    heights[200:, 200:] = 3.0 + rng.normal(0, 0.3, (100, 100))
    target[200:, 200:] = 3.0 + rng.normal(0, 0.3, (100, 100)) + truth[2][200:, 200:]
    result = fit(raster(target), raster(heights), method="blockwise(nuth-kaab, block=1000)")
    status = np.array(result.blocks.status, object).reshape(result.blocks.shape)
    assert status[0, 0] is CoregistrationStatus.TOO_FEW
    assert status[-1, -1] is CoregistrationStatus.UNOBSERVABLE
    assert status[0, -1] is CoregistrationStatus.CONVERGED
    east, north, _ = result.displacement(reference.geobox)
    assert np.abs(east - truth[0])[190:, 190:].max() < 8
    assert np.isnan(result.blocks.own_m[-1, 0])
    assert np.isfinite([east, north]).all()


def test_a_block_that_slid_is_rejected(bent):
    reference, other, _ = bent
    target = reference.heights_m.copy()
    target[150:200, 150:200] = np.roll(target, (6, -6), axis=(0, 1))[150:200, 150:200]
    result = fit(raster(target), other, method="blockwise(nuth-kaab, block=1000)")
    status = np.array(result.blocks.status, object).reshape(result.blocks.shape)
    assert status[3, 3] is CoregistrationStatus.REJECTED
    assert (status == CoregistrationStatus.CONVERGED).sum() >= 30


def test_the_same_input_gives_the_same_bits_whatever_the_threads(bent):
    reference, other, _ = bent
    runs = [fit(reference, other, method="blockwise", threads=threads) for threads in (1, 1, 2)]
    assert len({run.field.lattice.tobytes() for run in runs}) == 1
    assert len({run.apply(other, threads=2).heights_m.tobytes() for run in runs}) == 1


def test_pieces_agree_with_the_whole(bent):
    reference, other, _ = bent
    result = fit(reference, other, method="blockwise")
    whole = result.apply(other).heights_m
    box = other.geobox
    for row, col in ((0, 0), (100, 150), (250, 200)):
        piece = GeoBox((50, 60), Affine(20, 0, box.affine.c + 20 * col, 0, -20, box.affine.f - 20 * row), box.crs)
        top, left = max(row - 12, 0), max(col - 12, 0)
        source = other.heights_m[top : row + 62, left : col + 72].copy()
        source_box = GeoBox(
            source.shape, Affine(20, 0, box.affine.c + 20 * left, 0, -20, box.affine.f - 20 * top), box.crs
        )
        got = result.apply(Raster(source, source_box, "x", Surface.DTM), piece).heights_m
        np.testing.assert_allclose(got, whole[row : row + 50, col : col + 60], atol=1e-4)


def test_the_record_and_the_table_are_json(bent):
    reference, other, _ = bent
    result = fit(reference, other, method="blockwise")
    record = json.loads(result.record("a", "b").model_dump_json())
    assert np.shape(record["details"]["lattice_m"]) == (3, *result.blocks.shape)
    rows = json.loads(json.dumps(result.blocks.to_dicts(), allow_nan=False))
    assert {"status", "count", "own_m", "error_m", "condition", "nmad_m"} <= rows[0].keys()
