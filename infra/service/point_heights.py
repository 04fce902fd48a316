"""Heights at points and along lines, read from the published COGs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import Geod, Transformer
from rasterio.errors import RasterioIOError
from rasterio.windows import Window
from scipy import ndimage

from orograph.infra.service.mosaic import driver_of
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
_SPAN_PX: Final = 160
_HIGHEST_M: Final = 1e5
_GEOD: Final = Geod(ellps="GRS80")


@dataclass(frozen=True, slots=True)
class Line:
    """A line on the Earth, sampled at regular distances.

    Attributes:
        lon, lat: Degrees, one value per sample.
        distance_m: Distance of each sample along the line.
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
    """Reads heights at points and along lines.

    Args:
        store: Store that contains the COGs.
        published: Published tiles.
        other_paths: GDAL paths of a source's files over a tile, or of the heights that its current run replaced.
    """

    def __init__(
        self, store: Store, published: Published, other_paths: Callable[[PublishedTile, str], tuple[str, ...]]
    ) -> None:
        self._store = store
        self._published = published
        self._other_paths = other_paths

    def at(self, lon: float, lat: float) -> dict[str, Any]:
        """Height, uncertainty and source at a point (degrees, ETRS89 or WGS 84); None where there is no height."""
        x, y = Transformer.from_crs(4326, 3035, always_xy=True).transform(lon, lat)
        answer: dict[str, Any] = {"lon": lon, "lat": lat, "tile": None, "height_m": None}
        tile = self._tile_at(x, y)
        if tile is None:
            return answer
        where = np.array([lon]), np.array([lat])
        properties = tile.properties
        code = self._one(tile, ("source",), where, order=0)
        sources = source_codes(self._published.manifest(tile))
        id_ = sources.get(int(code)) if code is not None else None
        return {
            **answer,
            "tile": tile.id,
            "easting_m": round(x, 1),
            "northing_m": round(y, 1),
            "height_m": self._one(tile, ("elevation", "dem"), where, order=1),
            "uncertainty_m": self._one(tile, ("uncertainty",), where, order=0),
            "source": next((dict(s) for s in properties.get("dem:sources", ()) if s["id"] == id_), None),
            "vertical_frame": properties.get("dem:vertical_datum"),
            "surface": properties.get("dem:surface"),
        }

    def along(self, line: Line, also: Sequence[str] = ()) -> dict[str, Any]:
        """Height, uncertainty and source along a line; null where there is no height.

        Args:
            line: The line.
            also: Ids of unprocessed sources to add, in their own vertical frames, or `previous` for the previous run.

        Raises:
            Problem: 422 when the line crosses too many tiles.
        """
        x, y = Transformer.from_crs(4326, 3035, always_xy=True).transform(line.lon, line.lat)
        values = {name: np.full(x.shape, np.nan) for name in ("elevation", "uncertainty", "source")}
        others = {other: np.full(x.shape, np.nan) for other in also}
        ids: list[str | None] = [None] * len(x)
        for tile, where in self._by_tile(x, y):
            for name, order in (("elevation", 1), ("uncertainty", 0), ("source", 0)):
                key = tile.asset_key(name)
                if key is not None:
                    path = gdal_path(self._store, key)
                    values[name][where] = _read(path, line.lon[where], line.lat[where], order)
            for other in also:
                for path in self._other_paths(tile, other):
                    left = where & ~np.isfinite(others[other])
                    others[other][left] = _read(path, line.lon[left], line.lat[left], 1)
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
            "also_m": {other: _listed(heights) for other, heights in others.items()},
        }

    def span(self, bounds_deg: tuple[float, float, float, float]) -> dict[str, Any]:
        """Least and greatest published height in a box (degrees), from overviews; None where there is no height."""
        west, south, east, north = Transformer.from_crs(4326, 3035, always_xy=True).transform_bounds(*bounds_deg)
        found: list[tuple[float, float]] = []
        for tile in self._published.all().values():
            left, low, right, high = Tile.parse(tile.id).bounds_m
            box = (max(left, west), max(low, south), min(right, east), min(high, north))
            key = tile.asset_key("elevation", "dem")
            if key is None or box[0] >= box[2] or box[1] >= box[3]:
                continue
            if len(found) < _MOST_TILES and (spanned := _span(gdal_path(self._store, key), box)) is not None:
                found.append(spanned)
        if not found:
            return {"min_m": None, "max_m": None}
        return {"min_m": round(min(low for low, _ in found), 1), "max_m": round(max(high for _, high in found), 1)}

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
        self, tile: PublishedTile, names: tuple[str, ...], where: tuple[FloatArray, FloatArray], order: int
    ) -> float | None:
        key = tile.asset_key(*names)
        if key is None:
            return None
        value = float(_read(gdal_path(self._store, key), *where, order)[0])
        return round(value, 2) if math.isfinite(value) else None


def _read(path: str, lon: FloatArray, lat: FloatArray, order: int) -> FloatArray:
    """Values at points: one window around them, at most about a megapixel, by overviews if larger."""
    if not lon.size:
        return np.empty(0)
    try:
        with rasterio.open(path, driver=driver_of(path)) as dataset:
            x, y = Transformer.from_crs(4326, dataset.crs, always_xy=True).transform(lon, lat)
            cols, rows = (values - 0.5 for values in ~dataset.transform * (x, y))
            left, top = max(0, math.floor(cols.min()) - 1), max(0, math.floor(rows.min()) - 1)
            right = min(dataset.width, math.ceil(cols.max()) + 2)
            bottom = min(dataset.height, math.ceil(rows.max()) + 2)
            if right <= left or bottom <= top:
                return np.full(lon.shape, np.nan)
            shape = _decimated(bottom - top, right - left, _WINDOW_PX)
            block = dataset.read(1, window=Window(left, top, right - left, bottom - top), out_shape=shape, masked=True)
    except RasterioIOError as error:
        raise Problem(502, "Bad Gateway", "a raster cannot be read") from error
    values = block.astype(np.float64).filled(np.nan)
    values[np.abs(values) > _HIGHEST_M] = np.nan
    at_rows = (rows - top + 0.5) * shape[0] / (bottom - top) - 0.5
    at_cols = (cols - left + 0.5) * shape[1] / (right - left) - 0.5
    outside = (at_rows < -0.5) | (at_cols < -0.5) | (at_rows > shape[0] - 0.5) | (at_cols > shape[1] - 0.5)
    return np.where(outside, np.nan, _interpolated(values, at_rows, at_cols, order))


def _span(path: str, box_m: tuple[float, float, float, float]) -> tuple[float, float] | None:
    """Least and greatest value in a box of the file's own CRS."""
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            window = dataset.window(*box_m).round_offsets().round_lengths()
            shape = _decimated(max(1, round(window.height)), max(1, round(window.width)), _SPAN_PX)
            values = dataset.read(1, window=window, out_shape=shape, masked=True).compressed()
    except RasterioIOError as error:
        raise Problem(502, "Bad Gateway", "a published raster cannot be read") from error
    return (float(values.min()), float(values.max())) if values.size else None


def _decimated(rows: int, cols: int, most_px: int) -> tuple[int, int]:
    step = max(1.0, max(rows, cols) / most_px)
    return max(1, round(rows / step)), max(1, round(cols / step))


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
