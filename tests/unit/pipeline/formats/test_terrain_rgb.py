"""Heights as colours of web maps: published values, round trips, limits."""

import numpy as np
import pytest

from orograph.pipeline.errors import ExportError
from orograph.pipeline.formats.terrain_rgb import decode, encode, extended


def pixel(height):
    return np.array([[height]], np.float32)


def test_zero_height_has_the_published_colours():
    assert encode(pixel(0), "terrarium").tolist() == [[[128, 0, 0]]]
    assert encode(pixel(0), "mapbox").tolist() == [[[1, 134, 160]]]


@pytest.mark.parametrize(("code", "error_m"), [("terrarium", 1 / 512), ("mapbox", 0.05)])
def test_heights_come_back_within_half_a_step(code, error_m):
    heights = np.random.default_rng(0).uniform(-400, 4800, (20, 30)).astype(np.float32)
    np.testing.assert_allclose(decode(encode(heights, code), code), heights, atol=error_m + 3e-4)


@pytest.mark.parametrize("code", ["terrarium", "mapbox"])
def test_coarser_steps_round_to_their_multiples(code):
    heights = decode(encode(pixel(123.4), code, step_m=0.5), code)
    assert heights[0, 0] == pytest.approx(123.5)


@pytest.mark.parametrize(("height", "code"), [(np.nan, "terrarium"), (40_000, "terrarium"), (-11_000, "mapbox")])
def test_voids_and_heights_out_of_range_are_typed_errors(height, code):
    with pytest.raises(ExportError):
        encode(pixel(height), code)


def test_voids_take_the_nearest_height():
    heights = np.array([[1, np.nan, np.nan, 4]], np.float32)
    np.testing.assert_array_equal(extended(heights), [[1, 1, 4, 4]])
    whole = np.ones((2, 2), np.float32)
    assert extended(whole) is whole
    with pytest.raises(ExportError, match="no height"):
        extended(pixel(np.nan))
