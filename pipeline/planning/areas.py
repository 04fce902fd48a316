"""Tiles and cells that an area touches."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Transformer
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.core.grid import TILE_CRS, TILE_SIZE_M, Tile, tiles_in
from orograph.pipeline.errors import BadIdentifier, ConfigError

MARGIN_M: Final = 2_000.0
"""Files this close to a tile are part of its job: halos of stages and kernels reach that far."""
_LONGEST_EDGE_DEG: Final = 0.05


def tiles_of_bbox(west_deg: float, south_deg: float, east_deg: float, north_deg: float) -> tuple[Tile, ...]:
    """The tiles that a box of longitude and latitude touches.

    Raises:
        ConfigError: the box is empty, not in degrees, or in Europe only with its axes swapped.
        BadIdentifier: the box is outside Europe.
    """
    if not (-180 <= west_deg < east_deg <= 180 and -90 <= south_deg < north_deg <= 90):
        raise ConfigError(
            f"no area: {west_deg}, {south_deg}, {east_deg}, {north_deg}", remedy="west,south,east,north in degrees"
        )
    try:
        return _touching(footprint_of((west_deg, south_deg, east_deg, north_deg), "EPSG:4258"))
    except BadIdentifier as error:
        if not _is_swapped(west_deg, south_deg, east_deg, north_deg):
            raise
        raise ConfigError(
            f"{west_deg:g}, {south_deg:g}, {east_deg:g}, {north_deg:g} is outside Europe",
            remedy=f"longitude comes first; these look swapped: {south_deg:g},{west_deg:g},{north_deg:g},{east_deg:g}",
        ) from error


def _is_swapped(west_deg: float, south_deg: float, east_deg: float, north_deg: float) -> bool:
    """Whether a box outside Europe would be in Europe with longitude and latitude exchanged."""
    return west_deg >= 27 and east_deg <= 72 and south_deg >= -32 and north_deg <= 46


def tiles_of_geojson(path: Path) -> tuple[Tile, ...]:
    """The tiles that the geometries of a GeoJSON file (longitude, latitude) touch.

    Raises:
        ConfigError: the file is not GeoJSON, contains no area, or its coordinates are not degrees.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        features = document.get("features", [document])
        described = [feature.get("geometry", feature) for feature in features]
        geometry = shapely.unary_union([shape(one) for one in described if one is not None])
    except (OSError, ValueError, AttributeError, KeyError, TypeError, shapely.GEOSException) as error:
        raise ConfigError(f"{path} is not GeoJSON with polygons: {error}") from error
    if not geometry.area > 0:
        raise ConfigError(f"{path} contains no polygon", remedy="outline the area with polygons")
    west, south, east, north = geometry.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ConfigError(
            f"coordinates of {path} from {west:.10g}, {south:.10g} to {east:.10g}, {north:.10g} are not degrees",
            remedy="GeoJSON is longitude, latitude: reproject it to EPSG:4326 (ogr2ogr -t_srs EPSG:4326)",
        )
    return _touching(_projected(shapely.segmentize(geometry, 0.05), "EPSG:4258"))


def tile_bounds_deg(tile: Tile) -> tuple[float, float, float, float]:
    """West, south, east, north of a tile in degrees, its curved edges and the planning margin included."""
    west, south, east, north = tile.bounds_m
    ring = shapely.segmentize(box(west - MARGIN_M, south - MARGIN_M, east + MARGIN_M, north + MARGIN_M), 2_500.0)
    lon, lat = _to_degrees().transform(*np.asarray(ring.exterior.coords).T)
    return float(np.min(lon)), float(np.min(lat)), float(np.max(lon)), float(np.max(lat))


def footprint_of(bounds: tuple[float, float, float, float], crs: str) -> BaseGeometry:
    """A box of any CRS as a polygon of EPSG:3035 with densified edges."""
    west, south, east, north = bounds
    return _projected(shapely.segmentize(box(*bounds), max(east - west, north - south) / 40), crs)


def _projected(geometry: BaseGeometry, crs: str) -> BaseGeometry:
    transformer = _to_tiles(crs)

    def move(points: np.ndarray) -> np.ndarray:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    return shapely.make_valid(shapely.transform(geometry, move))


def _touching(geometry: BaseGeometry) -> tuple[Tile, ...]:
    return tuple(tile for tile in tiles_in(*geometry.bounds) if geometry.intersection(box(*tile.bounds_m)).area > 0)


@lru_cache(maxsize=64)
def _to_tiles(crs: str) -> Transformer:
    # Footprints only choose files; a metre does not matter here.
    return Transformer.from_crs(crs, TILE_CRS, always_xy=True)


@lru_cache(maxsize=1)
def _to_degrees() -> Transformer:
    return Transformer.from_crs(TILE_CRS, "EPSG:4258", always_xy=True)


@lru_cache(maxsize=256)
def tile_area_deg(tile: Tile, margin_m: float) -> BaseGeometry:
    """A tile and a margin around it as a polygon of longitude and latitude (EPSG:4258) with densified edges."""
    west, south, east, north = tile.bounds_m
    ring = shapely.segmentize(box(west - margin_m, south - margin_m, east + margin_m, north + margin_m), 2_500.0)
    lon, lat = _to_degrees().transform(*np.asarray(ring.exterior.coords).T)
    return shapely.make_valid(shapely.Polygon(np.column_stack([lon, lat])))


def bounds_in(tile: Tile, crs: str) -> tuple[float, float, float, float]:
    """Bounds of a tile and its margin in a CRS."""
    west, south, east, north = tile.bounds_m
    found: tuple[float, float, float, float] = _from_tiles(crs).transform_bounds(
        west - MARGIN_M, south - MARGIN_M, east + MARGIN_M, north + MARGIN_M
    )
    return found


@lru_cache(maxsize=64)
def _from_tiles(crs: str) -> Transformer:
    return Transformer.from_crs(TILE_CRS, crs, always_xy=True)


def tiles_of_footprints(footprints_deg: npt.NDArray[np.object_]) -> set[Tile]:
    """Tiles that polygons of longitude and latitude touch with an area."""
    sides = shapely.bounds(footprints_deg).reshape(-1, 4)
    are_small = bool((sides[:, 2:] - sides[:, :2] <= _LONGEST_EDGE_DEG).all())
    shapes = footprints_deg if are_small else shapely.segmentize(footprints_deg, _LONGEST_EDGE_DEG)

    def move(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(_to_tiles("EPSG:4258").transform(points[:, 0], points[:, 1]))

    moved = shapely.transform(shapes, move)
    is_wrong = ~shapely.is_valid(moved)
    moved[is_wrong] = shapely.make_valid(moved[is_wrong])
    bounds = shapely.bounds(moved)
    corners = np.floor(bounds / (TILE_SIZE_M))
    # Most files are inside one tile; only the others are intersected with tiles.
    single = (corners[:, 0] == corners[:, 2]) & (corners[:, 1] == corners[:, 3])
    found: set[Tile] = set()
    for row in np.unique(corners[single], axis=0):
        middle = (row[:2] + 0.5) * TILE_SIZE_M
        found.update(tiles_in(*(middle - 1.0), *(middle + 1.0)))
    for shape_m in moved[~single]:
        found.update(tile for tile in tiles_in(*shape_m.bounds) if tile not in found and _overlap(shape_m, tile))
    return found


def _overlap(shape_m: BaseGeometry, tile: Tile) -> bool:
    return bool(shape_m.intersection(box(*tile.bounds_m)).area > 0)
