"""A store of published tiles as one seamless, lazily read array."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.session import DummySession
from rasterio.windows import Window
from xarray.backends.common import BackendArray
from xarray.core import indexing

from orograph.infra.api.arrays import FRAME, to_array
from orograph.infra.runs.cell_runner import published_tiles
from orograph.infra.stores.base import Store
from orograph.infra.stores.gdal_options import gdal_s3_options
from orograph.infra.stores.open import open_store as open_object_store
from orograph.pipeline.errors import ConfigError, OutsideCoverage, SourceCorrupt
from orograph.pipeline.settings import RunSettings
from orograph.stac.documents.collections import TILES
from orograph.stac.documents.index import with_keys
from orograph.stac.documents.layout import item_key

GRID = "EPSG:3035"
S3_PATH = "/vsis3/"
"""Where GDAL reads the objects of an S3 server."""

Bounds = tuple[float, float, float, float]


def open_store(url: str | Path, *, endpoint_url: str | None = None, anonymous: bool = False) -> Terrain:
    """Open a store of tiles that `orograph run` published.

    Args:
        url: Folder or `s3://bucket/prefix`.
        endpoint_url: Endpoint of an S3 server other than AWS; `OROGRAPH_S3_ENDPOINT_URL` when None.
        anonymous: Read without credentials.

    Raises:
        SourceMissing: the folder does not exist. ConfigError: the URL does not name a store.
    """
    endpoint = endpoint_url or RunSettings.with_flags().s3_endpoint_url
    store = open_object_store(str(url), endpoint_url=endpoint, anonymous=anonymous, must_exist=True)
    return Terrain(store, endpoint, anonymous)


@dataclass(frozen=True, slots=True, eq=False)
class Terrain:
    """Published tiles of a store; made by `open_store`."""

    store: Store
    endpoint_url: str | None = None
    anonymous: bool = False

    def search(self, bbox: Bounds | None = None) -> list[pystac.Item]:
        """Items of tiles that touch an area, sorted by id, with absolute asset addresses.

        Args:
            bbox: West, south, east and north in degrees; all tiles when None.
        """
        return [pystac.Item.from_dict(document) for document in self._items(None if bbox is None else _to_grid(bbox))]

    def load(self, bbox: Bounds | None = None, *, crs: str = "EPSG:4326", asset: str = "elevation") -> xr.DataArray:
        """One array over all tiles of an area; pixels are read when their values are needed.

        Args:
            bbox: West, south, east and north in `crs`, widened to whole pixels; the extent of all tiles when None.
            crs: `EPSG:4326` for degrees or `EPSG:3035` for the tiles' own grid.
            asset: `elevation`, `uncertainty` or another raster of the items.

        Returns:
            float32, dims (y, x) in EPSG:3035, NaN where nothing is published. Attributes name the vertical frame.

        Raises:
            OutsideCoverage: no tile touches the area.
            ConfigError: no such asset, or tiles of different pixel sizes or vertical frames.
        """
        if crs not in ("EPSG:4326", GRID):
            raise ConfigError(f"bounds in {crs} are not supported", remedy=f"use EPSG:4326 or {GRID}")
        bounds = None if bbox is None else (_to_grid(bbox) if crs == "EPSG:4326" else bbox)
        documents = list(self._items(bounds))
        if not documents:
            raise OutsideCoverage(f"no tile of {self.store.url} touches {bbox}")
        pieces = tuple(_piece(document, asset) for document in documents)
        frame = _common({str(document["properties"]["dem:vertical_datum"]) for document in documents}, "frames")
        size_m = float(_common({piece.affine.a for piece in pieces}, "pixel sizes"))
        geobox = _geobox(bounds or _union(pieces), size_m)
        lazy = indexing.LazilyIndexedArray(_Mosaic(pieces, geobox, self.endpoint_url, self.anonymous))
        return to_array(lazy, geobox, asset, {FRAME: frame})  # type: ignore[arg-type]  # read on demand

    def _items(self, bounds_m: Bounds | None) -> Iterator[dict[str, Any]]:
        for tile in sorted(published_tiles(self.store)):
            if bounds_m is None or _touch(tile.bounds_m, bounds_m):
                key = item_key(TILES.id, tile.id)
                yield with_keys(json.loads(self.store.get(key)), key, _public(self.store))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A tile's raster: where it is read from, its grid in EPSG:3035, and its size in rows and columns."""

    href: str
    affine: Affine
    shape: tuple[int, int]

    @property
    def bounds_m(self) -> Bounds:
        a = self.affine
        return a.c, a.f + a.e * self.shape[0], a.c + a.a * self.shape[1], a.f


class _Mosaic(BackendArray):
    """Pixels of tiles that share one grid, read by window."""

    def __init__(self, pieces: tuple[_Piece, ...], geobox: GeoBox, endpoint_url: str | None, anonymous: bool) -> None:
        self.pieces, self.geobox = pieces, geobox
        self.endpoint_url, self.anonymous = endpoint_url, anonymous
        self.shape, self.dtype = tuple(geobox.shape.shape), np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        rows, columns = (np.arange(size)[part] for part, size in zip(key, self.shape, strict=True))
        top, left = (int(np.min(part, initial=size)) for part, size in zip((rows, columns), self.shape, strict=True))
        shape = max(int(np.max(rows, initial=-1)) + 1 - top, 0), max(int(np.max(columns, initial=-1)) + 1 - left, 0)
        window = np.full(shape, np.nan, np.float32)
        if window.size:
            with self._environment():
                for piece in self.pieces:
                    self._fill(window, piece, top, left)
        # A selection by a single number drops its axis.
        return window[np.atleast_1d(rows - top)][:, np.atleast_1d(columns - left)].reshape(rows.shape + columns.shape)

    def _fill(self, window: Any, piece: _Piece, top: int, left: int) -> None:
        """Copy the pixels of one tile into the window, where they meet."""
        size_m, affine = piece.affine.a, self.geobox.affine
        row = round((piece.affine.f - affine.f) / size_m) + top
        column = round((affine.c - piece.affine.c) / size_m) + left
        first_row, first_column = max(row, 0), max(column, 0)
        last_row = min(row + window.shape[0], piece.shape[0])
        last_column = min(column + window.shape[1], piece.shape[1])
        if last_row <= first_row or last_column <= first_column:
            return
        part = Window(first_column, first_row, last_column - first_column, last_row - first_row)
        try:
            with rasterio.open(piece.href) as dataset:
                values = dataset.read(1, window=part, masked=True).astype(np.float32).filled(np.nan)
        except RasterioError as error:
            raise SourceCorrupt(f"{piece.href} cannot be read: {error}") from error
        rows = slice(first_row - row, last_row - row)
        window[rows, first_column - column : last_column - column] = values

    def _environment(self) -> rasterio.Env:
        if not self.pieces[0].href.startswith(S3_PATH):
            return rasterio.Env()
        # GDAL finds the credentials itself: rasterio's own session needs boto3, which nothing else here does.
        return rasterio.Env(DummySession(), **gdal_s3_options(self.endpoint_url, anonymous=self.anonymous))


def _piece(document: dict[str, Any], asset: str) -> _Piece:
    rasters = {name: entry for name, entry in document["assets"].items() if "raster:spatial_resolution" in entry}
    if asset not in rasters:
        known = ", ".join(sorted(rasters))
        raise ConfigError(
            f"{document['id']} has no raster {asset!r}", tile=document["id"], remedy=f"use one of: {known}"
        )
    fields = document["properties"] | rasters[asset]
    rows, columns = fields["proj:shape"]
    href = rasters[asset]["href"]
    path = S3_PATH + href.removeprefix("s3://") if href.startswith("s3://") else href
    return _Piece(path, Affine(*fields["proj:transform"][:6]), (int(rows), int(columns)))


def _common(values: set[Any], what: str) -> Any:
    if len(values) != 1:
        listed = ", ".join(sorted(map(str, values)))
        raise ConfigError(
            f"the tiles have different {what}: {listed}", remedy="load them one by one, or run them again"
        )
    return next(iter(values))


def _geobox(bounds_m: Bounds, size_m: float) -> GeoBox:
    """The tiles' grid over bounds, widened to whole pixels."""
    west, south = (int(np.floor(side / size_m + 1e-9)) for side in bounds_m[:2])
    east, north = (int(np.ceil(side / size_m - 1e-9)) for side in bounds_m[2:])
    affine = Affine(size_m, 0.0, west * size_m, 0.0, -size_m, north * size_m)
    return GeoBox((max(north - south, 1), max(east - west, 1)), affine, GRID)


def _to_grid(bbox: Bounds) -> Bounds:
    west, south, east, north = Transformer.from_crs(4326, 3035, always_xy=True).transform_bounds(*bbox, densify_pts=51)
    return west, south, east, north


def _union(pieces: tuple[_Piece, ...]) -> Bounds:
    sides = np.array([piece.bounds_m for piece in pieces])
    west, south = sides[:, :2].min(axis=0)
    east, north = sides[:, 2:].max(axis=0)
    return float(west), float(south), float(east), float(north)


def _touch(one: Bounds, other: Bounds) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _public(store: Store) -> str:
    """Prefix of the store's keys, for opening them with GDAL."""
    return store.url if store.url.startswith("s3://") else str(Path(store.url.removeprefix("file://")).absolute())
