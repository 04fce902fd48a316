"""Tiles and boxes of areas, with edges as bent as projections bend them."""

import json

import numpy as np
import pytest
import shapely
from shapely.geometry import box

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import BadIdentifier, ConfigError
from orograph.pipeline.planning.areas import (
    bounds_in,
    footprint_of,
    tile_area_deg,
    tile_bounds_deg,
    tiles_of_bbox,
    tiles_of_footprints,
    tiles_of_geojson,
)

TILE = Tile(4300, 2650)


def test_the_tiles_of_a_tiles_inside_are_that_tile():
    inside = shapely.transform(box(*TILE.bounds_m).buffer(-12_000.0), lambda p: p)
    west, south, east, north = bounds_in(TILE, "EPSG:4258")
    middle = (west + east) / 2, (south + north) / 2
    assert tiles_of_bbox(middle[0] - 0.05, middle[1] - 0.05, middle[0] + 0.05, middle[1] + 0.05) == (TILE,)
    assert inside.area > 0


def test_a_file_and_a_box_touch_the_same_tiles(tmp_path):
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps(shapely.geometry.mapping(box(10.0, 47.0, 10.9, 47.6))))
    tiles = tiles_of_bbox(10.0, 47.0, 10.9, 47.6)
    assert tiles_of_geojson(path) == tiles
    assert tiles_of_footprints(np.array([box(10.0, 47.0, 10.9, 47.6)])) == set(tiles)


@pytest.mark.parametrize("wrong", [(10.0, 47.0, 9.0, 48.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 91.0)])
def test_boxes_without_an_area_are_rejected(wrong):
    with pytest.raises(ConfigError, match="no area"):
        tiles_of_bbox(*wrong)


def test_exchanged_axes_are_recognised():
    with pytest.raises(ConfigError, match="is outside Europe") as caught:
        tiles_of_bbox(51.0, 5.5, 51.4, 6.8)
    assert "look swapped: 5.5,51,6.8,51.4" in str(caught.value)
    with pytest.raises(BadIdentifier):
        tiles_of_bbox(-100.0, 40.0, -99.0, 41.0)


def test_other_files_are_rejected(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    for name in ("a.json", "none.json"):
        with pytest.raises(ConfigError, match="is not GeoJSON"):
            tiles_of_geojson(tmp_path / name)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "no polygon"),
        ([{"type": "Feature", "geometry": None}], "no polygon"),
        ([{"type": "Feature", "geometry": {"type": "Point", "coordinates": [10.0, 47.0]}}], "no polygon"),
        (
            [{"type": "Feature", "geometry": shapely.geometry.mapping(box(4.31e6, 3.01e6, 4.33e6, 3.03e6))}],
            "not degrees",
        ),
        ([{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [None]}}], "no polygon"),
    ],
)
def test_areas_that_are_none_are_rejected(tmp_path, features, message):
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(ConfigError, match=message):
        tiles_of_geojson(path)


def test_features_without_a_geometry_are_left_out(tmp_path):
    path = tmp_path / "area.geojson"
    part = shapely.geometry.mapping(box(10.0, 47.0, 10.9, 47.6))
    features = [{"type": "Feature", "geometry": None}, {"type": "Feature", "geometry": part}]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert tiles_of_geojson(path) == tiles_of_bbox(10.0, 47.0, 10.9, 47.6)


def test_boxes_of_degrees_enclose_the_bent_tile():
    west, south, east, north = tile_bounds_deg(TILE)
    area = tile_area_deg(TILE, 0.0)
    assert box(west, south, east, north).contains(area)
    back = footprint_of((west, south, east, north), "EPSG:4258")
    assert back.contains(box(*TILE.bounds_m))
