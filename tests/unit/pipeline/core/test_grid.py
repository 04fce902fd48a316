import pytest

from orograph.pipeline.core.grid import Cell, PixelWindow, Tile, pixels_per_tile, tiles_in, windows
from orograph.pipeline.errors import BadIdentifier, ConfigError


def test_a_tile_is_exactly_its_te_and_tr():
    geobox = Tile.parse("E4300N2650").geobox(10)
    assert tuple(geobox.affine)[:6] == (10.0, 0.0, 4_300_000.0, 0.0, -10.0, 2_700_000.0)
    assert geobox.shape.shape == (5000, 5000)
    assert str(geobox.crs) == "EPSG:3035"


@pytest.mark.parametrize(
    "text",
    [
        "../x",
        "E4300N265",
        "e4300N2650",
        "E4310N2650",
        "E4300N2650/..",
        "E9900N2650",
        "E4300N0100",
        "E４300N2650",
        "",
        "E4300N2650\n",
        "E" * 10_000,
    ],
)
def test_bad_tile_ids_are_refused(text):
    with pytest.raises(BadIdentifier):
        Tile.parse(text)


@pytest.mark.parametrize(
    "text", ["N43E6", "N43E0066", "X43E006", "N91E006", "S00E006", "N43W000", "n43e006", "../N43E006"]
)
def test_bad_cell_ids_are_refused(text):
    with pytest.raises(BadIdentifier):
        Cell.parse(text)


@pytest.mark.parametrize("size", [0.5, 3, 7, float("nan"), -10, 0])
def test_pixel_sizes_that_do_not_fit_are_refused(size):
    with pytest.raises(ConfigError):
        pixels_per_tile(size)


def test_windows_with_halo_lie_on_the_tiles_grid():
    whole = Tile.parse("E4300N2650").geobox(10)
    window = PixelWindow(1024, 2048, 100, 200)
    geobox = window.geobox(whole, halo_px=7)
    assert geobox.shape.shape == (114, 214)
    assert (geobox.affine.c, geobox.affine.f) == (4_300_000 + (2048 - 7) * 10, 2_700_000 - (1024 - 7) * 10)


def test_windows_cover_a_raster_once():
    seen = [[0] * 250 for _ in range(130)]
    for window in windows((130, 250), 64):
        rows, cols = window.slices
        for row in range(rows.start, rows.stop):
            for col in range(cols.start, cols.stop):
                seen[row][col] += 1
    assert all(count == 1 for line in seen for count in line)


def test_tiles_in_a_rectangle_share_no_mere_edge():
    assert [t.id for t in tiles_in(4_300_000, 2_650_000, 4_350_000, 2_700_000)] == ["E4300N2650"]
    assert len(tiles_in(4_299_999, 2_650_000, 4_350_001, 2_700_000)) == 3
