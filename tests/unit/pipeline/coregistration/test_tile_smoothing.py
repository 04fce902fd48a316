"""Smoothed over neighbours, tiles agree on the edges they share."""

from __future__ import annotations

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.coregistration import corner_displacement, smooth_shifts
from orograph.pipeline.errors import CoregistrationError
from orograph.pipeline.manifest import CoregistrationRecord

TILES = [Tile(4300 + 50 * i, 2650 + 50 * j) for j in range(3) for i in range(3)]


def record(shift=(0.0, 0.0, 0.0), status="converged", error=0.1, source="glo30"):
    details = {"standard_error_m": [error, error, error]} if status == "converged" else {}
    east, north, up = shift
    return CoregistrationRecord(
        source=source,
        reference="tirol",
        method="nuth-kaab",
        status=status,
        shift_east_m=east,
        shift_north_m=north,
        shift_up_m=up,
        details=details,
    )


def strip(tile, side):
    """Ten pixels on the outer edge line of a tile, as if both sides drew it."""
    west, south, east, north = tile.bounds_m
    x = east if side == "east" else west
    return GeoBox.from_bbox((x - 1e-6, south, x + 1e-6, north), "EPSG:3035", shape=(10, 1))


def test_shared_edges_agree():
    rng = np.random.default_rng(4)
    records = {tile: (record(rng.normal(3, 2, 3)),) for tile in TILES}
    smooth = smooth_shifts(records)
    left, right = TILES[3], TILES[4]
    a = corner_displacement(smooth[left][0], left, strip(left, "east"))
    b = corner_displacement(smooth[right][0], right, strip(right, "west"))
    np.testing.assert_allclose(a, b, atol=1e-5)
    spread = [np.std([r[0].shift_east_m for r in of.values()]) for of in (records, smooth)]
    assert spread[1] < spread[0]


def test_equal_shifts_stay():
    smooth = smooth_shifts({tile: (record((3.0, -2.0, 0.5)),) for tile in TILES})
    for (only,) in smooth.values():
        assert (only.shift_east_m, only.shift_north_m, only.shift_up_m) == pytest.approx((3.0, -2.0, 0.5), abs=1e-5)
        assert only.details["own_shift_m"] == [3.0, -2.0, 0.5]
        assert np.shape(only.details["corners_m"]) == (4, 3)


def test_a_tile_of_sea_takes_its_neighbours_shift_but_keeps_its_height():
    records = {tile: (record((3.0, -2.0, 0.5)),) for tile in TILES}
    records[TILES[4]] = (record((0.0, 0.0, 0.7), "unobservable"),)
    (middle,) = smooth_shifts(records)[TILES[4]]
    assert middle.status == "unobservable"
    assert (middle.shift_east_m, middle.shift_north_m) == pytest.approx((3.0, -2.0), abs=1e-3)
    assert 0.5 < middle.shift_up_m < 0.7


def test_certain_tiles_move_less_than_doubtful_ones():
    records = {TILES[0]: (record((4.0, 0, 0), error=0.05),), TILES[1]: (record((0.0, 0, 0), error=3.0),)}
    smooth = smooth_shifts(records)
    assert smooth[TILES[0]][0].shift_east_m > 3.9
    assert smooth[TILES[1]][0].shift_east_m > 2.0


def test_sources_do_not_mix_and_order_is_kept():
    records = {
        tile: (record(status="reference", source="tirol"), record((3.0, 0, 0)), record(source="off", status="none"))
        for tile in TILES
    }
    smooth = smooth_shifts(records)
    for of_tile in smooth.values():
        assert [r.source for r in of_tile] == ["tirol", "glo30", "off"]
        assert of_tile[0].shift_east_m == pytest.approx(0.0, abs=1e-9)
        assert of_tile[1].shift_east_m == pytest.approx(3.0, abs=1e-4)
        assert of_tile[2] == records[TILES[0]][2]


def test_nothing_known_means_no_shift():
    (only,) = smooth_shifts({TILES[0]: (record(status="too_few"),)})[TILES[0]]
    assert (only.shift_east_m, only.shift_north_m, only.shift_up_m) == (0.0, 0.0, 0.0)


def test_refusals():
    with pytest.raises(CoregistrationError, match="corners"):
        corner_displacement(record(), TILES[0], TILES[0].geobox(100))
    with pytest.raises(CoregistrationError, match="above zero"):
        smooth_shifts({}, variation_m=0.0)


def test_a_smoothed_shift_tells_how_well_it_is_known():
    seen = {tile: (record((3.0, -2.0, 0.5)),) for tile in TILES}
    blind = {**seen, TILES[8]: (record(status="too_few"),)}
    known, far = (smooth_shifts(records)[TILES[8]][0].details["up_error_m"] for records in (seen, blind))
    # Its own error is 0.1 m and no estimate is taken for better than that; a tile that saw nothing knows much less.
    assert 0.05 < known < 0.15
    assert 0.3 < far < 2.0
    nowhere = smooth_shifts({tile: (record(status="too_few"),) for tile in TILES})
    assert {of[0].details["up_error_m"] for of in nowhere.values()} == {0.0}
    assert {of[0].shift_up_m for of in nowhere.values()} == {0.0}
