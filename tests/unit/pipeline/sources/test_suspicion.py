"""Samples that no survey gives are found, and real terrain raises no alarm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from orograph.pipeline.errors import OrographError
from orograph.pipeline.sources.single_raster import open_heights
from orograph.pipeline.sources.suspicion import edge_step_m, examine, examine_window

DEFECTS = {
    "Copernicus_blurred_and_shifted.tif": {"step", "constant border"},  # its shift left two rows of zeros
    "athens_dem_1m.tif": {"interpolated"},  # from 5 m: its slopes change every five pixels
    "glo_merged.tif": {"interpolated"},  # its eastern half is GLO-90 on the grid of GLO-30
    "us_nga_egm2008_1_clipAlps.tif": {"interpolated"},  # a geoid model, computed from a coarser one
}
"""Real defects of the files at hand."""


def hills() -> np.ndarray:
    row, col = np.mgrid[:400, :400]
    rough = np.random.default_rng(3).normal(0, 0.3, (400, 400))
    return (300 + 60 * np.sin(col / 37) * np.cos(row / 41) + rough).astype(np.float32)


def rough_terrain() -> np.ndarray:
    """Hills with the roughness of real terrain at every scale."""
    rng = np.random.default_rng(7)
    spectrum = np.fft.rfft2(rng.normal(size=(400, 400)))
    frequency = np.hypot(np.fft.fftfreq(400)[:, None], np.fft.rfftfreq(400)[None, :])
    frequency[0, 0] = 1.0
    return (500 + 0.2 * np.fft.irfft2(spectrum * frequency**-2.0, (400, 400))).astype(np.float32)


def kinds(heights: np.ndarray) -> set[str]:
    return {found.kind for found in examine_window(heights)}


def test_hills_and_a_lake_are_not_suspicious() -> None:
    heights = hills()
    assert kinds(heights) == set()
    assert kinds(np.maximum(heights, np.float32(290))) == set()
    assert kinds(np.round(heights)) == set()


@pytest.mark.parametrize("value", [0.0, -99.0, 200.0, -999.0, 65535.0])
def test_an_undeclared_void_ends_in_cliffs(value: float) -> None:
    heights = hills()
    row, col = np.mgrid[:400, :400]
    heights[(row - 180) ** 2 + (col - 200) ** 2 < 60**2] = value
    assert "undeclared void" in kinds(heights)


def test_a_border_of_zeros_is_found_at_each_side() -> None:
    for cut in (np.s_[:3], np.s_[-3:], np.s_[:, :3], np.s_[:, -3:]):
        heights = hills()
        heights[cut] = 0
        assert "constant border" in kinds(heights)


def test_lines_repeated_by_nearest_neighbour_are_found() -> None:
    assert kinds(np.repeat(hills(), 2, axis=0)[:400]) == {"repeated lines"}
    assert kinds(np.repeat(hills(), 3, axis=1)[:, :400]) == {"repeated lines"}
    rows = np.floor(np.arange(400) / 1.1).astype(int)
    assert kinds(hills()[rows]) == {"repeated lines"}


def test_spikes_craters_and_steps_are_found() -> None:
    heights = hills()
    heights[100, 100] += 120
    assert kinds(heights) == {"spike"}
    heights = hills()
    heights[100, 100] -= 120
    assert kinds(heights) == {"crater"}
    for cut in (np.s_[150:], np.s_[:, 150:]):
        heights = hills()
        heights[cut] += 5
        assert kinds(heights) == {"step"}


def test_resampled_terrain_is_found_and_a_flat_roof_is_not() -> None:
    fine = rough_terrain()
    turned = np.array([[0.49, 0.06], [-0.06, 0.49]])
    nearest = ndimage.affine_transform(fine, turned, offset=40, order=0, output_shape=(400, 400))
    linear = ndimage.affine_transform(fine, turned, offset=40, order=1, output_shape=(400, 400))
    assert kinds(nearest) == {"staircase"}
    assert kinds(linear) == {"interpolated"}
    assert kinds(fine) == set()
    roofs = fine.copy()
    for corner in range(0, 380, 20):
        roofs[corner : corner + 12, corner : corner + 15] = fine[corner, corner] + 3
    assert kinds(roofs) == set()


def test_a_step_between_two_files_is_measured_at_their_edge_alone() -> None:
    heights = hills()
    assert edge_step_m(heights[100:134], heights[134:168]) is None
    assert edge_step_m(heights[100:134], heights[134:168] + 4) == pytest.approx(4, abs=0.3)
    inside = heights[100:168].copy()
    inside[20:] += 9
    assert edge_step_m(inside[:34], inside[34:]) is None


def test_a_finding_says_where_to_look() -> None:
    heights = hills()
    heights[300, 250] += 500
    (found,) = examine_window(heights)
    assert found.row <= 300 < found.row + found.height
    assert found.col <= 250 < found.col + found.width


@pytest.mark.slow
def test_no_false_alarm_on_real_heights(shared: Callable[[str], Path]) -> None:
    alarms, looked = [], 0
    for path in sorted(shared("data").glob("*/*.tif")):
        try:
            with open_heights(path) as raster:
                found = examine(raster)
        except OrographError:
            continue  # images, and files whose tags lie
        looked += 1
        alarms += [(path.name, one.text) for one in found if one.kind not in DEFECTS.get(path.name, ())]
    assert looked > 50
    assert alarms == []
