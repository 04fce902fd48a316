import numpy as np
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from orograph.pipeline.core.block_mean import block_mean
from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.resampling.node_grid import NodeGrid, NodeMapping, Target, resample
from orograph.pipeline.sources.reader import SourceGrid
from orograph.pipeline.sources.refs import HorizontalOperation

SAME = HorizontalOperation(definition="proj=noop", description="none")


def on(source, affine, target, *, scale=1.0, shift=(0.0, 0.0, 0.0), delta=0.0):
    nodes = NodeGrid.around(target.bounds_m)
    mapping = NodeMapping.build(nodes, SAME, delta, shift)
    indices = mapping.indices(SourceGrid(affine, ()))
    return resample(source, PixelWindow(0, 0, *source.shape), mapping, indices, target, scale)


def test_the_same_grid_gives_the_same_bits():
    heights = np.random.default_rng(0).random((60, 70), np.float32)
    affine = Affine(10, 0, 4_000_000, 0, -10, 3_000_000)
    target = Target(10.0, -300_000, 400_000, 60, 70)
    assert np.array_equal(on(heights, affine, target), heights)


def test_it_agrees_with_gdal_cubic_where_grids_differ():
    heights = np.cumsum(np.random.default_rng(1).standard_normal((90, 90)), axis=0).astype(np.float32)
    affine = Affine(30, 0, 4_000_007, 0, -30, 3_000_011)
    target = Target(10.0, -299_990 + 10, 400_020, 200, 200)
    ours = on(heights, affine, target)
    theirs = np.empty((200, 200), np.float32)
    reproject(
        heights,
        theirs,
        src_transform=affine,
        src_crs="EPSG:3035",
        dst_transform=Affine(10, 0, target.col * 10, 0, -10, -target.row * 10),
        dst_crs="EPSG:3035",
        resampling=Resampling.cubic,
        src_nodata=np.nan,
        dst_nodata=np.nan,
    )
    assert np.abs(ours - theirs).max() < 2e-5 * np.abs(heights).max()


def test_shift_and_delta_follow_the_convention_of_coregistration():
    affine = Affine(10, 0, 4_000_000, 0, -10, 3_000_000)
    x = 4_000_000 + (np.arange(80) + 0.5) * 10
    plane = np.repeat((0.1 * (x - 4_000_000))[None, :], 80, axis=0).astype(np.float32)
    target = Target(10.0, -300_000 + 20, 400_020, 30, 30)
    moved = on(plane, affine, target, shift=(20.0, 0.0, 1.5), delta=0.25)
    # aligned(x) = source(x - east) + up, and the vertical delta on top.
    expected = plane[20:50, 20:50] - 0.1 * 20.0 + 1.75
    assert np.abs(moved - expected).max() < 1e-4


def test_windows_agree_bit_for_bit_with_the_whole():
    heights = np.random.default_rng(2).random((200, 200), np.float32) * 1000
    affine = Affine(29.7, 0, 4_000_000.3, 0, -29.7, 3_000_000.9)
    whole = Target(10.0, -299_980, 400_040, 300, 320)
    full = on(heights, affine, whole)
    part = Target(10.0, whole.row + 37, whole.col + 91, 100, 110)
    assert np.array_equal(on(heights, affine, part), full[37:137, 91:201])


def test_voids_neither_grow_nor_shrink():
    heights = np.full((50, 50), 7.0, np.float32)
    heights[20:24, 30:33] = np.nan
    affine = Affine(10, 0, 4_000_000, 0, -10, 3_000_000)
    target = Target(10.0, -300_000, 400_000, 50, 50)
    out = on(heights, affine, target, shift=(0.4, -0.3, 0.0))
    assert np.array_equal(np.isnan(out), np.isnan(heights))
    assert np.nanmax(np.abs(out - 7.0)) < 1e-5


def test_no_delta_no_height():
    heights = np.ones((50, 50), np.float32)
    affine = Affine(10, 0, 4_000_000, 0, -10, 3_000_000)
    target = Target(10.0, -300_000, 400_000, 50, 50)
    assert np.isnan(on(heights, affine, target, delta=np.nan)).all()


def test_block_mean_is_the_mean_and_needs_half_the_block():
    heights = np.arange(36, dtype=np.float32).reshape(6, 6)
    means = block_mean(heights, 3)
    assert means[0, 0] == heights[:3, :3].mean()
    heights[:3, :3] = np.nan
    heights[0, 0] = 5
    assert np.isnan(block_mean(heights, 3)[0, 0])


def test_rows_that_leave_the_source_keep_the_bits_of_rows_inside():
    heights = np.random.default_rng(5).normal(500, 50, (70, 80)).astype(np.float32)
    affine = Affine(10, 0, 4_000_003, 0, -10, 3_000_004)
    target = Target(10.0, -300_000 + 20, 400_000 + 20, 30, 40)
    whole = on(heights, affine, target)
    cut = on(heights[:35, :45].copy(), affine, target)
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(cut[:10, :20], whole[:10, :20])
    assert np.isnan(cut[:, -10:]).all()
    assert np.isnan(cut[-10:]).all()
    void = heights.copy()
    void[30, 30] = np.nan
    seen = on(void, affine, target)
    touched = np.zeros(whole.shape, bool)
    touched[7:13, 7:13] = True
    np.testing.assert_array_equal(seen[~touched], whole[~touched])
    assert np.isnan(seen).sum() == 1
