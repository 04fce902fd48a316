import re

from hypothesis import given
from hypothesis import strategies as st

from orograph.pipeline.core.grid import EAST_LIMITS_KM, NORTH_LIMITS_KM, Cell, Tile
from orograph.pipeline.errors import BadIdentifier

easts = st.integers(EAST_LIMITS_KM[0] // 50, EAST_LIMITS_KM[1] // 50 - 1).map(lambda k: k * 50)
norths = st.integers(NORTH_LIMITS_KM[0] // 50, NORTH_LIMITS_KM[1] // 50 - 1).map(lambda k: k * 50)


@given(easts, norths)
def test_tile_ids_round_trip(east, north):
    tile = Tile(east, north)
    assert Tile.parse(tile.id) == tile
    west, south, east_m, north_m = tile.bounds_m
    assert Tile.containing((west + east_m) / 2, (south + north_m) / 2) == tile
    assert Tile.containing(west, south) == tile


@given(st.integers(-90, 89), st.integers(-180, 179))
def test_cell_ids_round_trip(lat, lon):
    cell = Cell(lat, lon)
    assert Cell.parse(cell.id) == cell


@given(st.text(max_size=40))
def test_only_ids_of_the_form_are_tiles(text):
    try:
        tile = Tile.parse(text)
    except BadIdentifier:
        return
    assert re.fullmatch(r"E\d{4}N\d{4}", text)
    assert tile.id == text
