"""Halving: averages, first and commonest of what is valid, at odd edges too."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.formats.overviews import halve

VOID = -32768.0


def test_average_leaves_voids_out() -> None:
    values = np.array([[1, 2, VOID], [3, VOID, VOID], [5, 7, 9]], np.float32)
    np.testing.assert_array_equal(halve(values, "average", VOID), np.array([[2, VOID], [6, 9]], np.float32))


def test_average_of_a_whole_raster_is_the_plain_mean() -> None:
    values = np.random.default_rng(3).normal(500, 90, (200, 300)).astype(np.float32)
    plain = values.reshape(100, 2, 150, 2).mean(axis=(1, 3), dtype=np.float64)
    np.testing.assert_allclose(halve(values, "average", VOID), plain, rtol=2e-7)


@pytest.mark.parametrize(
    ("four", "expected"),
    [((1, 2, 2, 2), 2), ((1, 2, 1, 2), 2), ((-1, -2, -1, -2), -2), ((7, -99, -99, -99), 7), ((-99,) * 4, -99)],
)
def test_integers_round_half_away_from_zero(four: tuple[int, ...], expected: int) -> None:
    values = np.array(four, np.int16).reshape(2, 2)
    assert halve(values, "average", -99).tolist() == [[expected]]


def test_nearest_and_mode() -> None:
    values = np.array([[255, 3, 4], [7, 7, 5], [1, 2, 255]], np.uint8)
    assert halve(values, "nearest", 255).tolist() == [[3, 4], [1, 255]]
    assert halve(values, "mode", 255).tolist() == [[7, 4], [1, 255]]
    assert halve(values, "mode", None).tolist() == [[7, 4], [1, 255]]
    assert halve(values, "nearest", None).tolist() == [[255, 4], [1, 255]]
