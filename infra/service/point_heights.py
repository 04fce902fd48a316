"""Heights at points and along lines, read from the published COGs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import Geod, Transformer
from rasterio.errors import RasterioIOError
from rasterio.windows import Window
from scipy import ndimage

from orograph.infra.service.preview import source_codes
from orograph.infra.service.problem_documents import Problem
from orograph.infra.service.published_tiles import Published, PublishedTile, gdal_path
from orograph.infra.stores.base import Store
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import BadIdentifier

FloatArray = npt.NDArray[np.float64]

MOST_SAMPLES: Final = 512
LONGEST_LINE_M: Final = 300_000.0
_MOST_TILES: Final = 24
_WINDOW_PX: Final = 1024
_GEOD: Final = Geod(ellps="GRS80")


@dataclass(frozen=True, slots=True)
class Line:
    """A line on the ground, sampled at even distances.

    Attributes:
        lon, lat: Degrees, one value a sample.
        distance_m: Along the line.
    """

    lon: FloatArray
    lat: FloatArray
    distance_m: FloatArray


def sampled(points: Sequence[tuple[float, float]], count: int) -> Line:
    """A line through points (longitude, latitude) cut into `count` samples; geodesic lengths on GRS 80.

    Raises:
        Problem: 422 for a line without length or longer than 300 km.
    """
    lons, lats = (np.array([point[i] for point in points], dtype=np.float64) for i in (0, 1))
    lengths = _GEOD.line_lengths(lons, lats)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    total = float(along[-1])
    if not 0.0 < total <= LONGEST_LINE_M:
        raise Problem(
            422, "Unprocessable Request", f"a line of {total:.0f} m; allowed are up to {LONGEST_LINE_M:.0f} m"
        )
    distance = np.linspace(0.0, total, count)
    return Line(np.interp(distance, along, lons), np.interp(distance, along, lats), distance)


class Heights:
    """Answers heights of the terrain.

    Args:
        store: Store that contains the COGs.
        published: Published tiles.
    """

    def __init__(self, store: Store, published: Published) -> None:
        self._store = store
        self._published = published

    def at(self, lon: float, lat: float) -> dict[str, Any]:
        """Height, uncertainty and source at a point (degrees, ETRS89 and WGS 84 taken as one); None where there is none."""
        x, y = Transformer.from_crs(4326, 3035, always_xy=True).transform(lon, lat)
        answer: dict[str, Any] = {"lon": lon, "lat": lat, "tile": None, "height_m": None}
        tile = self._tile_at(x, y)
        if tile is None:
            return answer
        east, north = np.array([x]), np.array([y])
        properties = tile.properties
        code = self._one(tile, ("source",), east, north, order=0)
        sources = source_codes(self._published.manifest(tile))
        id_ = sources.get(int(code)) if code is not None else None
        return {
            **answer,
            "tile": tile.id,
            "easting_m": round(x, 1),
            "northing_m": round(y, 1),
            "height_m": self._one(tile, ("elevation", "dem"), east, north, order=1),
            "uncertainty_m": self._one(tile, ("uncertainty",), east, north, order=0),
            "source": next((dict(s) for s in properties.get("dem:sources", ()) if s["id"] == id_), None),
            "vertical_frame": properties.get("dem:vertical_datum"),
            "surface": properties.get("dem:surface"),
        }

    def along(self, line: Line) -> dict[str, Any]:
        """Height, uncertainty and source along a line; null where there is none.

        Raises:
            Problem: 422 when the line crosses too many tiles.
        """
        x, y = Transformer.from_crs(4326, 3035, always_xy=True).transform(line.lon, line.lat)
        values = {name: np.full(x.shape, np.nan) for name in ("elevation", "uncertainty", "source")}
        ids: list[str | None] = [None] * len(x)
        for tile, where in self._by_tile(x, y):
            for name, order in (("elevation", 1), ("uncertainty", 0), ("source", 0)):
                key = tile.asset_key(name)
                if key is not None:
                    values[name][where] = self._read(key, x[where], y[where], order)
            codes = source_codes(self._published.manifest(tile))
            for index in np.flatnonzero(where):
                code = values["source"][index]
                ids[index] = codes.get(int(code)) if math.isfinite(code) else None
        return {
            "distance_m": np.round(line.distance_m, 1).tolist(),
            "lon": np.round(line.lon, 6).tolist(),
            "lat": np.round(line.lat, 6).tolist(),
            "height_m": _listed(values["elevation"]),
            "uncertainty_m": _listed(values["uncertainty"]),
            "source": ids,
        }

    def _tile_at(self, x: float, y: float) -> PublishedTile | None:
        if not (math.isfinite(x) and math.isfinite(y)):
            return None
        try:
            return self._published.get(Tile.containing(x, y))
        except BadIdentifier:
            return None

    def _by_tile(self, x: FloatArray, y: FloatArray) -> list[tuple[PublishedTile, npt.NDArray[np.bool_]]]:
        squares = np.stack([np.floor(x / 50e3), np.floor(y / 50e3)], axis=1)
        finite = np.isfinite(squares).all(axis=1)
        unique = np.unique(squares[finite], axis=0)
        if len(unique) > _MOST_TILES:
            raise Problem(422, "Unprocessable Request", f"the line crosses {len(unique)} tiles; at most {_MOST_TILES}")
        found = []
        for east, north in unique:
            tile = self._tile_at(east * 50e3 + 1, north * 50e3 + 1)
            if tile is not None:
                found.append((tile, finite & (squares == (east, north)).all(axis=1)))
        return found

    def _one(
        self, tile: PublishedTile, names: tuple[str, ...], east: FloatArray, north: FloatArray, order: int
    ) -> float | None:
        key = tile.asset_key(*names)
        if key is None:
            return None
        value = float(self._read(key, east, north, order)[0])
        return round(value, 2) if math.isfinite(value) else None

    def _read(self, key: str, east: FloatArray, north: FloatArray, order: int) -> FloatArray:
        """Values at points of EPSG:3035: one window around them, at most about a megapixel, by overviews if larger."""
        try:
            with rasterio.open(gdal_path(self._store, key), driver="GTiff") as dataset:
                # Published tiles are north up.
                cols = (east - dataset.transform.c) / dataset.transform.a - 0.5
                rows = (north - dataset.transform.f) / dataset.transform.e - 0.5
                left, top = max(0, math.floor(cols.min()) - 1), max(0, math.floor(rows.min()) - 1)
                right = min(dataset.width, math.ceil(cols.max()) + 2)
                bottom = min(dataset.height, math.ceil(rows.max()) + 2)
                if right <= left or bottom <= top:
                    return np.full(east.shape, np.nan)
                step = max(1.0, max(right - left, bottom - top) / _WINDOW_PX)
                shape = (max(1, round((bottom - top) / step)), max(1, round((right - left) / step)))
                block = dataset.read(
                    1, window=Window(left, top, right - left, bottom - top), out_shape=shape, masked=True
                )
        except RasterioIOError as error:
            raise Problem(502, "Bad Gateway", "a published raster cannot be read") from error
        values = block.astype(np.float64).filled(np.nan)
        at_rows = (rows - top + 0.5) * shape[0] / (bottom - top) - 0.5
        at_cols = (cols - left + 0.5) * shape[1] / (right - left) - 0.5
        return _interpolated(values, at_rows, at_cols, order)


def _interpolated(values: FloatArray, rows: FloatArray, cols: FloatArray, order: int) -> FloatArray:
    """Bilinear where all four neighbours are there, else the nearest value."""
    where = np.stack([rows, cols])
    nearest: FloatArray = ndimage.map_coordinates(values, where, order=0, mode="nearest")
    if order == 0:
        return nearest
    smooth: FloatArray = ndimage.map_coordinates(values, where, order=1, mode="nearest")
    return np.where(np.isfinite(smooth), smooth, nearest)


def _listed(values: FloatArray) -> list[float | None]:
    return [round(value, 2) if math.isfinite(value) else None for value in values.tolist()]
