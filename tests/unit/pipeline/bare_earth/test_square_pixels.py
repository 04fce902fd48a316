"""Oblong pixels averaged to squares and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orograph.pipeline.bare_earth.square_pixels import Squares, halo_px, squares_step

SIZES = st.tuples(st.floats(10, 40), st.floats(10, 40)).filter(lambda size: squares_step(size) > 1)


@given(SIZES, st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_a_plane_survives_both_ways(size: tuple[float, float], row: int, col: int) -> None:
    rows, cols = np.mgrid[0:40, 0:48].astype(np.float32)
    plane = 100.0 + 2.0 * rows - 3.0 * cols
    squares = Squares.of(size, (row, col), plane.shape)
    assert squares is not None
    back = squares.expand(squares.reduce(plane.astype(np.float32)))
    rim = int(2 * squares.step) + 2
    inner = (slice(rim, -rim), slice(None)) if squares.axis == 0 else (slice(None), slice(rim, -rim))
    np.testing.assert_allclose(back[inner], plane[inner], atol=2e-2)


@given(SIZES, st.integers(-(10**5), 10**5), st.integers(0, 30))
def test_windows_see_the_same_squares(size: tuple[float, float], origin: int, ahead: int) -> None:
    rng = np.random.default_rng(3)
    heights = rng.normal(0, 50, (90, 90)).astype(np.float32)
    whole = Squares.of(size, (origin, origin), heights.shape)
    part = Squares.of(size, (origin + ahead, origin + ahead), (60, 60))
    assert whole is not None
    assert part is not None
    cut = heights[ahead : ahead + 60, ahead : ahead + 60]
    other = (slice(ahead, ahead + 60),)
    far = whole.reduce(heights)[other] if whole.axis == 1 else whole.reduce(heights)[:, other[0]]
    near = part.reduce(cut)
    first = part.first - whole.first
    for k in range(3, part.count - 3):
        seen = (near[:, k], far[:, first + k]) if whole.axis == 1 else (near[k], far[first + k])
        assert np.array_equal(*seen)


def test_square_pixels_are_left_alone_and_halos_grow_with_the_shape() -> None:
    assert Squares.of((30.0, 30.9), (0, 0), (10, 10)) is None
    assert halo_px(12, (30.0, 30.9)) == (12, 12)
    assert halo_px(12, (20.0, 30.0)) == (12, 21)
    assert halo_px(12, (30.0, 20.0)) == (21, 12)
