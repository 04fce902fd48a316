"""Quality figures: counts over cores, the same in any order of windows."""

import numpy as np
import pytest

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.formats.statistics import BandStatistics
from orograph.pipeline.tile.quality import QualityTally
from orograph.pipeline.tile.stages import TileWindow

STATISTICS = BandStatistics(1.0, 9.0, 5.0, 2.0, 75.0)


def window(col, index, sigma):
    core = PixelWindow(0, col, 8, 8)
    heights = np.full((10, 10), 100, np.float32)
    heights[1:5, 1:9] = np.nan
    filled = np.zeros((10, 10), bool)
    filled[8, 1:9] = True
    return TileWindow(
        core,
        1,
        core.geobox(Tile(4000, 3000).geobox(10), 1),
        heights_m=heights,
        source_index=np.where(np.isnan(heights), 0, index).astype(np.uint8),
        sigma_m=np.where(np.isnan(heights), np.nan, sigma).astype(np.float32),
        filled=filled,
    )


def test_shares_are_of_the_cores():
    tally = QualityTally(("a", "b"))
    tally.add(window(0, 1, 0.5))
    tally.add(window(8, 2, 2.0))
    quality = tally.result(STATISTICS)
    assert (quality.pixels, quality.void_fraction, quality.filled_fraction) == (128, 0.5, 0.125)
    assert quality.source_fractions == {"a": 0.25, "b": 0.25}
    assert quality.uncertainty_median_m == pytest.approx(0.5, rel=0.03)
    again = QualityTally(("a", "b"))
    again.add(window(8, 2, 2.0))
    again.add(window(0, 1, 0.5))
    assert again.result(STATISTICS) == quality


def test_void_windows_count_and_have_no_uncertainty():
    tally = QualityTally(("a",))
    tally.add_void(PixelWindow(0, 0, 4, 5))
    quality = tally.result(BandStatistics(None, None, None, None, 0.0))
    assert (quality.pixels, quality.void_fraction, quality.source_fractions) == (20, 1.0, {})
    assert quality.uncertainty_median_m is None


def test_an_unfinished_window_is_rejected():
    core = PixelWindow(0, 0, 4, 4)
    with pytest.raises(ValueError, match="quality comes last"):
        QualityTally(()).add(TileWindow(core, 1, core.geobox(Tile(4000, 3000).geobox(10), 1)))
