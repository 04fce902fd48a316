import numpy as np
import pytest
from scipy.ndimage import find_objects, label

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.stages import Context, TileWindow
from orograph.pipeline.tile.stages.fill import Fill, membrane

SIZE = 100


def filled(heights, fill_max_m=200.0):
    job = Job(Tile(4000, 3000), (), ProcessingSettings(fill_max_m=fill_max_m))
    core = PixelWindow(0, 0, SIZE - 2, SIZE - 2)
    window = TileWindow(
        core,
        1,
        core.geobox(Tile(4000, 3000).geobox(10), 1),
        heights_m=heights,
        source_index=np.ones_like(heights, np.uint8),
        sigma_m=np.full_like(heights, 1.0),
    )
    return Fill()(window, Context(job, reader=None))  # type: ignore[arg-type]


def test_a_membrane_keeps_planes():
    rows, cols = np.mgrid[0:40, 0:50]
    plane = (rows + 2.0 * cols).astype(np.float32)
    inside = np.zeros(plane.shape, bool)
    inside[5:35, 6:40] = True
    holed = np.where(inside, np.nan, plane).astype(np.float32)
    assert np.allclose(membrane(holed, inside), plane[inside], atol=1e-4)


@pytest.mark.parametrize(("size", "expected"), [(19, True), (20, True), (21, False)])
def test_voids_up_to_the_limit_are_filled_whole_and_larger_ones_left(size, expected):
    heights = np.full((SIZE, SIZE), 50.0, np.float32)
    heights[30 : 30 + size, 40:45] = np.nan
    out = filled(heights)
    assert np.isfinite(out.heights_m).all() == expected
    assert out.filled.sum() == (size * 5 if expected else 0)
    if expected:
        assert np.allclose(out.heights_m, 50.0)
        assert (out.sigma_m[out.filled] > 1.0).all()


def test_a_void_that_reaches_the_edge_stays():
    heights = np.full((SIZE, SIZE), 50.0, np.float32)
    heights[:5, :5] = np.nan
    assert np.isnan(filled(heights).heights_m[:5, :5]).all()


def test_what_has_a_height_keeps_it():
    heights = np.random.default_rng(0).random((SIZE, SIZE)).astype(np.float32)
    holed = heights.copy()
    holed[10:14, 10:14] = np.nan
    out = filled(holed)
    kept = np.isfinite(holed)
    assert np.array_equal(out.heights_m[kept], heights[kept])


def test_small_voids_get_the_same_membrane_as_large_ones():
    rng = np.random.default_rng(4)
    heights = rng.normal(0, 1, (SIZE, SIZE)).cumsum(axis=1).astype(np.float32)
    heights[rng.random(heights.shape) < 0.15] = np.nan
    out = filled(heights)
    labels, count = label(np.isnan(heights))
    assert count > 500
    for number, box in enumerate(find_objects(labels), start=1):
        rows, cols = box
        if 0 in (rows.start, cols.start) or SIZE in (rows.stop, cols.stop):
            assert np.isnan(out.heights_m[labels == number]).all()
            continue
        around = (slice(rows.start - 1, rows.stop + 1), slice(cols.start - 1, cols.stop + 1))
        inside = labels[around] == number
        np.testing.assert_allclose(
            out.heights_m[around][inside], membrane(heights[around], inside), rtol=1e-5, atol=1e-4
        )
        assert out.filled[around][inside].all()
    assert (out.sigma_m[out.filled] > 1).all()


def test_sigma_grows_from_the_rim():
    heights = np.full((SIZE, SIZE), 50.0, np.float32)
    heights[40:45, 40:45] = np.nan
    heights[60:72, 60:72] = np.nan
    sigma = filled(heights).sigma_m
    assert sigma[40, 40] == pytest.approx(np.hypot(1, 0.5))
    assert sigma[42, 42] == pytest.approx(np.hypot(1, 1.5))
    assert sigma[65, 65] == pytest.approx(np.hypot(1, 3.0)), "144 pixels, by the other solver"
