"""Lines of one level: known crossings, orientation, saddles, voids."""

import numpy as np
import pytest

from orograph.pipeline.formats.marching_squares import lines_by_level


def lines(heights, interval):
    return list(lines_by_level(np.asarray(heights, np.float32), interval))


def test_a_plane_has_one_straight_line_per_level():
    found = lines(np.tile(np.arange(4.0), (3, 1)) * 10 + 5, 10.0)
    assert [level for level, _ in found] == [10, 20, 30]
    for level, points in found:
        np.testing.assert_allclose(points[:, 0], (level - 5) / 10)
        assert sorted(points[:, 1]) == [0, 1, 2]


def test_a_peak_is_circled_by_a_closed_line_with_higher_terrain_on_its_left():
    heights = np.zeros((3, 3))
    heights[1, 1] = 2.0
    ((level, points),) = [one for one in lines(heights, 1.0) if one[0] == 1.0]
    assert level == 1.0
    np.testing.assert_array_equal(points[0], points[-1])
    assert set(map(tuple, points.tolist())) == {(1.0, 0.5), (0.5, 1.0), (1.5, 1.0), (1.0, 1.5)}
    x, y = points[:, 0], -points[:, 1]
    assert 0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) == pytest.approx(0.5)


@pytest.mark.parametrize(("high", "together"), [(1.5, False), (4.0, True)])
def test_a_saddle_is_split_by_the_mean_of_its_corners(high, together):
    found = [points for level, points in lines([[high, 0.0], [0.0, high]], 1.0) if level == 1.0]
    assert len(found) == 2
    # Lines that cut off the low corners leave the high ones joined.
    around_low = all(
        np.isclose(points.mean(axis=0), [0.75, 0.25], atol=0.2).all()
        or np.isclose(points.mean(axis=0), [0.25, 0.75], atol=0.2).all()
        for points in found
    )
    assert around_low is together


def test_squares_with_a_void_corner_have_no_line():
    heights = np.tile(np.arange(4.0), (4, 1))
    heights[1, 1] = np.nan
    for _, points in lines(heights, 0.7):
        inside = (points[:, 0] < 2) & (points[:, 1] > 0) & (points[:, 1] < 2)
        assert not inside.any()


@pytest.mark.parametrize(
    "heights", [np.full((3, 3), np.nan), np.full((3, 3), 5.0), np.zeros((1, 1)), [[1.0, 2.0, 3.0]]]
)
def test_void_level_and_thin_rasters_have_no_lines(heights):
    assert lines(heights, 1.0) == []


def test_shared_edges_give_the_same_points():
    rng = np.random.default_rng(0)
    heights = rng.normal(0, 5, (8, 9)).astype(np.float32)

    def on_column(part, column, offset):
        return {(level, y) for level, points in lines(part, 1.0) for x, y in points.tolist() if x + offset == column}

    assert on_column(heights[:, :5], 4, 0) == on_column(heights[:, 4:], 4, 4) != set()


@pytest.mark.parametrize("interval", [0.7, 0.35, 1.4, 2.8, 0.1, 0.3, 1.1, 25.0])
def test_lines_end_only_at_the_border_where_samples_are_on_levels(interval: float) -> None:
    y, x = np.mgrid[0:60, 0:60].astype(np.float64)
    smooth = 20 + 9 * np.sin(x / 5) * np.cos(y / 7)
    heights = (np.round(smooth / interval) * interval).astype(np.float32)
    ends = [
        point
        for _, line in lines_by_level(heights, interval)
        if (line[0] != line[-1]).any()
        for point in (line[0], line[-1])
    ]
    assert all(((point == 0) | (point == 59)).any() for point in ends)
