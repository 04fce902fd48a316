"""Samples that no survey gives are found, and real terrain raises no alarm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.errors import OrographError
from orograph.pipeline.sources.single_raster import open_heights
from orograph.pipeline.sources.suspicion import examine, examine_window

DEFECTS = {"Copernicus_blurred_and_shifted.tif"}
"""Its shift left two rows of zeros at the upper edge."""


def hills() -> np.ndarray:
    row, col = np.mgrid[:400, :400]
    rough = np.random.default_rng(3).normal(0, 0.3, (400, 400))
    return (300 + 60 * np.sin(col / 37) * np.cos(row / 41) + rough).astype(np.float32)


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
        alarms += [(path.name, one.text) for one in found if path.name not in DEFECTS]
    assert looked > 50
    assert alarms == []
