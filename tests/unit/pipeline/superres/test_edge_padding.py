"""Heights are continued smoothly into voids and past borders."""

import numpy as np
import pytest

from orograph.pipeline.superres.edge_padding import context_px, mask_fine, with_context


def plane(rows, columns):
    y, x = np.mgrid[:rows, :columns]
    return (100.0 + 2.0 * x - 3.0 * y).astype(np.float32)


def test_valid_heights_stay_and_the_first_ring_continues_a_slope():
    padded, valid = with_context(plane(6, 7), 2)
    assert padded.shape == (10, 11)
    assert valid.all()
    np.testing.assert_array_equal(padded[2:-2, 2:-2], plane(6, 7))
    np.testing.assert_allclose(padded[4, 1], 100 - 2 - 3 * 2)


def test_a_void_is_filled_like_a_border_and_reported():
    heights = plane(9, 9)
    heights[4, 4] = np.nan
    padded, valid = with_context(heights, 1)
    assert not valid[4, 4]
    assert valid.sum() == 80
    assert padded[5, 5] == pytest.approx(plane(9, 9)[4, 4], abs=1e-4)


def test_without_any_height_the_context_is_zero():
    padded, valid = with_context(np.full((2, 3), np.nan, np.float32), 2)
    assert not padded.any()
    assert not valid.any()


@pytest.mark.parametrize("reach", [1, 3, 5])
def test_what_a_filter_sees_depends_on_nothing_beyond_the_context(reach):
    rng = np.random.default_rng(reach)
    heights = rng.normal(0, 10, (40, 40)).astype(np.float32)
    heights[rng.random(heights.shape) < 0.3] = np.nan
    heights[20, 20] = 5.0
    whole, _ = with_context(heights, reach)
    far = context_px(reach)
    part, _ = with_context(heights[20 - far : 21 + far, 20 - far : 21 + far], reach)
    seen = slice(20, 21 + 2 * reach)
    np.testing.assert_array_equal(part[far : far + 2 * reach + 1, far : far + 2 * reach + 1], whole[seen, seen])


def test_fine_pixels_of_voids_are_masked():
    fine = np.ones((4, 4), np.float32)
    masked = mask_fine(fine, np.array([[True, False], [True, True]]), 2)
    assert masked is fine
    np.testing.assert_array_equal(np.isnan(masked), np.kron([[0, 1], [0, 0]], np.ones((2, 2))).astype(bool))
