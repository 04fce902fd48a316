"""Statistics gathered by block: numpy's figures, in any order of blocks."""

import numpy as np
import pytest

from orograph.pipeline.formats.statistics import BandStatistics, Gatherer


def gathered(values, nodata, order):
    gatherer = Gatherer(values.size)
    for row in order:
        gatherer.take((row, 0), values[row : row + 10], nodata)
    return gatherer.result()


def test_figures_are_numpys_and_do_not_depend_on_the_order():
    values = np.random.default_rng(0).normal(800, 120, (40, 25)).astype(np.float32)
    values[3:9, 4:7] = np.nan
    found = gathered(values, -32768.0, (0, 10, 20, 30))
    assert found == gathered(values, -32768.0, (30, 0, 20, 10))
    assert found.mean == pytest.approx(np.nanmean(values, dtype=np.float64))
    assert found.stddev == pytest.approx(np.nanstd(values.astype(np.float64)))
    assert (found.minimum, found.maximum) == (np.nanmin(values), np.nanmax(values))
    assert found.valid_percent == pytest.approx(98.2)


def test_blocks_come_back_as_files_store_them():
    sealed = Gatherer(2).take((0, 0), np.array([[np.nan, 1]], np.float32), -9.0)
    np.testing.assert_array_equal(sealed, [[-9, 1]])
    numbers = np.array([[0, 1]], np.uint8)
    assert Gatherer(2).take((0, 0), numbers, 0) is numbers


@pytest.mark.parametrize(("nodata", "percent", "low"), [(0, 75.0, 1), (None, 100.0, 0)])
def test_integers_count_zero_only_where_it_is_no_nodata(nodata, percent, low):
    gatherer = Gatherer(4)
    gatherer.take((0, 0), np.array([[0, 1], [2, 3]], np.uint8), nodata)
    assert (gatherer.result().valid_percent, gatherer.result().minimum) == (percent, low)


def test_void_bands_have_no_figures_and_tags_are_read_back():
    gatherer = Gatherer(4)
    gatherer.take((0, 0), np.full((2, 2), np.nan, np.float32), -1.0)
    void = gatherer.result()
    assert void.to_dict() == {"valid_percent": 0.0}
    assert BandStatistics.from_tags(void.to_tags()) == void
    known = BandStatistics(1.5, 2.5, 2.0, 0.25, 50.0)
    assert BandStatistics.from_tags(known.to_tags()) == known
    assert BandStatistics.from_tags({}).valid_percent == 0.0
