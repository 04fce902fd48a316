import numpy as np
import pytest

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.tile.borders import BorderTally, largest_step_m
from orograph.pipeline.tile.stages import TileWindow


def window(index, unbent, heights, halo=3):
    rows, cols = index.shape
    core = PixelWindow(0, 0, rows - 2 * halo, cols - 2 * halo)
    geobox = core.geobox(Tile(4000, 3000).geobox(10), halo)
    planes = (np.asarray(plane, np.float32) for plane in (unbent, heights))
    unbent, heights = planes
    return TileWindow(core, halo, geobox, heights_m=heights, source_index=index, unbent_m=unbent)


def halves(rows=40, cols=40, at=20):
    index = np.ones((rows, cols), np.uint8)
    index[:, at:] = 2
    slope = np.mgrid[0:rows, 0:cols][1] * 2.0
    return index, slope


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_step_is_measured_beyond_the_slope_before_and_after(turned, swapped):
    index, slope = halves()
    if swapped:
        index = (3 - index).astype(np.uint8)
    unbent, after = slope + 0.5 * (index == 2), slope + 0.04 * (index == 2)
    planes = [plane.T for plane in (index, unbent, after)] if turned else [index, unbent, after]
    tally = BorderTally()
    tally.add(window(*planes))
    (record,) = tally.result(("a", "b"), {})
    assert record["sources"] == ["a", "b"]
    assert record["pairs"] == 34
    assert record["step_before_m"] == pytest.approx(0.5, abs=0.002)
    assert record["step_after_m"] == pytest.approx(0.04, abs=0.002)
    assert largest_step_m([record]) == pytest.approx(0.04, abs=0.002)


def test_voids_and_windows_of_one_source_have_no_border():
    index, slope = halves()
    index[:, 18:22] = 0
    tally = BorderTally()
    tally.add(window(index, slope, slope))
    assert tally.result(("a", "b"), {}) == []
    assert largest_step_m([]) is None


def test_short_borders_give_no_figure_and_joins_are_recorded():
    index, slope = halves(rows=12)
    tally = BorderTally()
    tally.add(window(index, slope + (index == 2), slope))
    (record,) = tally.result(("a", "b"), {(1, 2): (12, 3)})
    assert (record["pairs"], record["joined_px"], record["bounded_px"]) == (6, 12, 3)
    assert largest_step_m([record]) is None
