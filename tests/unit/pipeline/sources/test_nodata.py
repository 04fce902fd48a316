"""Nodata values become NaN; undeclared ones are refused."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.errors import NodataError
from orograph.pipeline.sources.nodata import reject_undeclared, to_void


def test_several_values_at_once_keep_true_zeros():
    heights = to_void(np.array([[0.0, 9999.0, -32768.0, 3.5]], dtype=np.float64), -32768.0, (9999.0,))
    assert heights.dtype == np.float32
    np.testing.assert_array_equal(heights, np.array([[0.0, np.nan, np.nan, 3.5]], dtype=np.float32))


def test_zero_is_void_only_when_declared():
    np.testing.assert_array_equal(to_void(np.array([0, 9999, 7], dtype=np.int16), 0, (9999.0,)), [np.nan, np.nan, 7])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.4028235e38, -3.4028235e38, 3.4e38])
def test_what_cannot_be_a_height_is_void(value):
    assert np.isnan(to_void(np.array([value], dtype=np.float32), None)[0])


def test_values_compare_in_the_files_own_type():
    array = np.array([-3.4028235e38, 0.1], dtype=np.float32)
    assert np.isnan(to_void(array, -3.40282346638529e38)[0])
    assert np.isnan(to_void(array, 0.1)[1])
    assert to_void(np.array([255], dtype=np.uint8), -9999.0)[0] == 255.0
    assert to_void(np.array([3], dtype=np.int16), 3.5)[0] == 3.0


@pytest.mark.parametrize("value", [-9999.0, -32768.0, -32767.0, 9999.0, 32767.0, -99999.0])
def test_undeclared_sentinels_are_refused_with_the_value(value):
    heights = np.array([12.0, np.nan, value], dtype=np.float32)
    with pytest.raises(NodataError, match=f"add {value:g} to the source") as caught:
        reject_undeclared(heights, source="x")
    assert caught.value.source == "x"


def test_heights_beyond_the_earth_are_refused():
    with pytest.raises(NodataError, match="unit"):
        reject_undeclared(np.array([29032.0], dtype=np.float32))


def test_real_heights_pass():
    reject_undeclared(np.array([-430.0, 0.0, 8848.86, np.nan], dtype=np.float32))
    reject_undeclared(np.full((2, 2), np.nan, dtype=np.float32))
    reject_undeclared(np.empty((0,), dtype=np.float32))
