"""Compiled kernels on planes, whose residuals, sums and displaced heights are known."""

import numpy as np
import pytest

from orograph.pipeline.coregistration import kernels
from orograph.pipeline.coregistration.field import geometry_of
from tests.support.pairs import plane_raster, still_with

RASTER = plane_raster(40, 90, east=0.2, north=0.1)
EVERYWHERE = np.ones((40, 90), bool)
FIELD = still_with(RASTER.geobox, east_m=5.0, north_m=-3.0, up_m=1.0)
GEOMETRY = geometry_of(RASTER.geobox, RASTER.geobox, RASTER.geobox)
SHAPED = (GEOMETRY, FIELD.polynomial, FIELD.nodes)


def residuals(moving=RASTER.heights_m, inliers=EVERYWHERE, step=1):
    shape = -(-40 // step), -(-90 // step)
    out, slope = np.empty(shape, np.float32), np.empty(shape, np.float32)
    holes = bool(np.isnan(moving).any())
    despiked = RASTER.heights_m
    kernels.residuals(RASTER.heights_m, moving, despiked, holes, inliers, *SHAPED, step, 0, shape[0], out, slope)
    return out, slope


@pytest.mark.parametrize("step", [1, 2, 3])
def test_residuals_of_a_displaced_plane(step):
    out, slope = residuals(step=step)
    inside = np.isfinite(out)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(out[inside], 0.2 * 5.0 + 0.1 * -3.0 - 1.0, atol=1e-3)
    np.testing.assert_allclose(slope[inside], np.hypot(0.2, 0.1), atol=1e-4)


def test_voids_and_outliers_are_left_out():
    moving, inliers = RASTER.heights_m.copy(), EVERYWHERE.copy()
    moving[20, 30] = np.nan
    inliers[10, 10] = False
    out, _ = residuals(moving, inliers)
    full, _ = residuals()
    assert np.isfinite(full).sum() - np.isfinite(out).sum() == 2
    assert np.isnan(out[10, 10])


def test_sums_do_not_depend_on_how_blocks_are_cut():
    scale = np.array([5.0, 0.0])

    def sums(rows, cols):
        out = np.zeros((len(rows) - 1, len(cols) - 1, kernels.SUMS))
        kernels.accumulate(
            RASTER.heights_m, RASTER.heights_m, RASTER.heights_m, False, EVERYWHERE, *SHAPED, scale, kernels.TUKEY, 1,
            np.array(rows), np.array(cols), 0, len(rows) - 1, out,
        )  # fmt: skip
        return out.reshape(-1, kernels.SUMS).sum(axis=0)

    whole = sums([0, 40], [0, 90])
    np.testing.assert_allclose(sums([0, 13, 40], [0, 7, 64, 70, 90]), whole, rtol=1e-4, atol=1e-2)
    assert whole[10] == np.isfinite(residuals()[0]).sum()
    # Normal equations of one height difference under a uniform weight.
    np.testing.assert_allclose(whole[[2, 4, 8]] / whole[5], [-0.2, -0.1, -0.3], atol=1e-3)


def test_the_field_itself_is_evaluated():
    out = np.empty((3, 40, 90), np.float32)
    kernels.evaluate(*SHAPED, 0, 40, out)
    np.testing.assert_allclose(out, np.broadcast_to(np.array([5.0, -3.0, 1.0])[:, None, None], out.shape), atol=1e-5)
    assert kernels.north_range(*SHAPED, 0, 40, 90) == pytest.approx((-3.0, -3.0))


def test_resampling_through_nodes_reads_a_plane_and_keeps_voids():
    moving = RASTER.heights_m.copy()
    moving[5, 6] = np.nan
    rows, cols = np.meshgrid(np.arange(0, 33, 8) + 0.0, np.arange(0, 33, 8) + 0.25, indexing="ij")
    out = np.empty((20, 20), np.float32)
    kernels.resample(moving, RASTER.heights_m, np.stack([rows, cols]), 8, 0, 20, out)
    expected = RASTER.heights_m[:20, :20] + 0.2 * 10 * 0.25
    assert np.isnan(out[5, 6])
    expected[5, 6] = np.nan
    np.testing.assert_allclose(out, expected, atol=2e-3)
