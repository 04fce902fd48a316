"""Map tiles of published terrain, rendered from the COGs by rio-tiler, bounded in time, memory and number."""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal, cast

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.errors import RasterioIOError
from rio_tiler.errors import RioTilerError
from rio_tiler.io import Reader

from orograph.infra.service import shading
from orograph.infra.service.problem_documents import Problem, busy
from orograph.infra.service.published_tiles import Published, PublishedTile, gdal_path
from orograph.infra.service.shading import FloatArray
from orograph.infra.stores.base import Store
from orograph.pipeline.core.grid import EAST_LIMITS_KM, NORTH_LIMITS_KM, tiles_in
from orograph.pipeline.core.palette import source_colour
from orograph.pipeline.errors import OrographError
from orograph.pipeline.manifest import Manifest

Layer = Literal["relief", "hillshade", "uncertainty", "source", "terrain"]
LAYERS: Final[tuple[Layer, ...]] = ("relief", "hillshade", "uncertainty", "source", "terrain")

TILE_PX: Final = 512
MIN_ZOOM: Final = 5
MAX_ZOOM: Final = 17
_MERCATOR_HALF_M: Final = math.pi * 6378137.0
_MARGIN_PX: Final = 2
_MOST_TILES: Final = 60
_GROUNDS_KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class Address:
    """A map tile of the WebMercatorQuad matrix set."""

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not MIN_ZOOM <= self.z <= MAX_ZOOM or not (0 <= self.x < 1 << self.z and 0 <= self.y < 1 << self.z):
            raise Problem(404, "Not Found", f"map tiles go from zoom {MIN_ZOOM} to {MAX_ZOOM}")

    @property
    def parent(self) -> Address:
        """The map tile one zoom out that contains this one."""
        return Address(self.z - 1, self.x // 2, self.y // 2)

    @property
    def pixel_m(self) -> float:
        """Pixel size in metres of Web Mercator."""
        return 2 * _MERCATOR_HALF_M / (1 << self.z) / TILE_PX

    def bounds_m(self, margin_px: int = 0) -> tuple[float, float, float, float]:
        """West, south, east, north in Web Mercator."""
        size, margin = self.pixel_m * TILE_PX, self.pixel_m * margin_px
        west, north = -_MERCATOR_HALF_M + self.x * size, _MERCATOR_HALF_M - self.y * size
        return west - margin, north - size - margin, west + size + margin, north + margin

    @property
    def ground_pixel_m(self) -> float:
        """Pixel size in metres on the terrain at the tile's centre."""
        _, south, _, north = self.bounds_m()
        latitude = 2 * math.atan(math.exp((south + north) / 2 / 6378137.0)) - math.pi / 2
        return self.pixel_m * math.cos(latitude)

    @property
    def exaggeration(self) -> float:
        """How much relief shading overstates heights: at small scales slopes would vanish."""
        return min(6.0, max(1.0, 1.35 ** (13 - self.z)))


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered map tile; `etag` names its content's inputs."""

    body: bytes
    etag: str


class Previews:
    """Renders map tiles in a few threads and remembers the last ones.

    Args:
        store: Store that contains the COGs.
        published: Published tiles.
        raw_files: Paths of a source's files over a tile; raises KeyError for a source the tile was not made of.
        threads: Rendered at once.
        queue_limit: May wait; beyond it 503.
        cache_mb: Memory for rendered tiles.
    """

    def __init__(
        self,
        store: Store,
        published: Published,
        raw_files: Callable[[PublishedTile, str], tuple[str, ...]],
        *,
        threads: int,
        queue_limit: int,
        cache_mb: int,
    ) -> None:
        self._store = store
        self._published = published
        self._raw_files = raw_files
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="orograph-preview")
        self._limit = threads + queue_limit
        self._lock = threading.Lock()
        self._waiting = 0
        self._cache: OrderedDict[str, Picture] = OrderedDict()
        self._cached_bytes = 0
        # Every empty map tile around the data asks for the same few of its ancestors.
        self._grounds: OrderedDict[str, FloatArray] = OrderedDict()
        self._cache_limit = cache_mb * 2**20

    def close(self) -> None:
        """Stop rendering."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def picture(self, layer: Layer, address: Address, source: str = "") -> Picture | None:
        """A map tile of the product, or of a source as it came; None where nothing is published.

        Raises:
            Problem: 404 beyond the zooms, 503 when too many wait.
        """
        tiles = await asyncio.to_thread(self.tiles_under, address, source)
        if not tiles and layer == "terrain":
            # Extend the terrain beyond the published tiles, so that no wall is drawn at the edge.
            tiles = tuple((await asyncio.to_thread(self._published.all)).values())
        if not tiles:
            return None
        etag = _etag(layer, address, f"{source}|{self.height_stops()[-1][0]}|{self.source_order()}", tiles)
        with self._lock:
            kept = self._cache.get(etag)
            if kept is not None:
                self._cache.move_to_end(etag)
                return kept
            if self._waiting >= self._limit:
                raise busy("many map tiles are being drawn", 2)
            self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            body = await loop.run_in_executor(self._pool, self._draw, layer, address, source, tiles)
        finally:
            with self._lock:
                self._waiting -= 1
        if body is None:
            return None
        picture = Picture(body, etag)
        self._keep(picture)
        return picture

    def tiles_under(self, address: Address, source: str = "") -> tuple[PublishedTile, ...]:
        """The published tiles a map tile shows (of those made of a source, if one is named)."""
        published = self._published.all()
        west, south, east, north = _to_laea().transform_bounds(*address.bounds_m(_MARGIN_PX), densify_pts=21)
        if not all(map(math.isfinite, (west, south, east, north))):
            return ()
        west, east = (min(max(v, EAST_LIMITS_KM[0] * 1e3), EAST_LIMITS_KM[1] * 1e3) for v in (west, east))
        south, north = (min(max(v, NORTH_LIMITS_KM[0] * 1e3), NORTH_LIMITS_KM[1] * 1e3) for v in (south, north))
        if not (west < east and south < north):
            return ()
        if (east - west) * (north - south) > 2000 * 50e3**2:
            candidates: Iterable[str] = published
        else:
            candidates = [tile.id for tile in tiles_in(west, south, east, north)]
        found = tuple(published[id_] for id_ in candidates if id_ in published)
        if source:
            found = tuple(tile for tile in found if source in tile.source_ids)
        if len(found) > _MOST_TILES:
            raise Problem(404, "Not Found", "too many tiles under this map tile; zoom in")
        return found

    def _draw(self, layer: Layer, address: Address, source: str, tiles: tuple[PublishedTile, ...]) -> bytes | None:
        if layer == "terrain":
            return shading.png(shading.terrarium(self._terrain(address, source)))
        if source:
            heights = self._mosaic([path for tile in tiles for path in self._raw_paths(tile, source)], address)
        else:
            heights = self._mosaic(self._paths(tiles, "elevation", "dem"), address)
        if not np.isfinite(heights).any():
            return None
        heights = shading.bridged(heights)
        margin = slice(_MARGIN_PX, -_MARGIN_PX)
        edge = slice(_MARGIN_PX - 1, 1 - _MARGIN_PX)
        near = heights[edge, edge]
        shade = shading.relief(shading.extended(near), address.ground_pixel_m, address.exaggeration)
        inner = heights[margin, margin]
        shade = np.where(np.isfinite(inner), shade, np.float32(np.nan))
        if layer == "hillshade":
            grey = np.full((*shade.shape, 3), 200.0, dtype=np.float32)
            return shading.png(shading.shaded(grey, shade))
        if layer == "relief":
            return shading.png(shading.shaded(shading.ramp(inner, self.height_stops()), shade))
        values = self._values(layer, address, tiles)[margin, margin]
        shade = np.where(np.isfinite(values), shade, np.float32(np.nan))
        if layer == "uncertainty":
            return shading.png(shading.shaded(shading.ramp(values, shading.UNCERTAINTY_STOPS), shade, 0.55))
        return shading.png(shading.shaded(shading.categories(values, self._source_colours()), shade, 0.8))

    def _terrain(self, address: Address, source: str) -> FloatArray:
        """Heights without voids: beyond the data those of the nearest data, seen from farther out if need be."""
        tiles = self.tiles_under(address, source)
        state = _etag("terrain", address, source, tiles)
        with self._lock:
            kept = self._grounds.get(state)
        if kept is not None:
            return kept
        heights = self._mosaic(self._paths(tiles, "elevation", "dem"), address)
        if np.isfinite(heights).any():
            margin = slice(_MARGIN_PX, -_MARGIN_PX)
            ground = shading.extended(heights)[margin, margin]
            with self._lock:
                self._grounds[state] = ground
                if len(self._grounds) > _GROUNDS_KEPT:
                    self._grounds.popitem(last=False)
            return ground
        if address.z == MIN_ZOOM:
            return np.zeros((TILE_PX, TILE_PX), dtype=np.float32)
        half = TILE_PX // 2
        row, col = address.y % 2 * half, address.x % 2 * half
        outer = self._terrain(address.parent, source)[row : row + half, col : col + half]
        return outer.repeat(2, axis=0).repeat(2, axis=1)

    def _values(self, layer: Layer, address: Address, tiles: tuple[PublishedTile, ...]) -> FloatArray:
        if layer == "uncertainty":
            return shading.bridged(self._mosaic(self._paths(tiles, "uncertainty"), address))
        order = self.source_order()
        merged = np.full((TILE_PX + 2 * _MARGIN_PX,) * 2, np.nan, dtype=np.float32)
        for tile in tiles:
            local = self._mosaic(self._paths((tile,), "source"), address, nearest=True)
            codes = np.full(256, 255.0, dtype=np.float32)
            for code, id_ in source_codes(self._published.manifest(tile)).items():
                codes[code] = order.index(id_) if id_ in order else 254
            seen = np.isfinite(local) & ~np.isfinite(merged)
            merged[seen] = codes[local[seen].astype(np.uint8)]
        return shading.bridged(merged)

    def height_stops(self) -> shading.Stops:
        """The tints of heights at present."""
        return shading.height_stops(self._published.highest_m())

    def source_order(self) -> tuple[str, ...]:
        """Ids of all sources that went into published tiles; a source's place here is its colour."""
        return tuple(sorted({id_ for tile in self._published.all().values() for id_ in tile.source_ids}))

    def _source_colours(self) -> dict[int, tuple[int, int, int]]:
        return {place: source_colour(place) for place in range(len(self.source_order()))}

    def _paths(self, tiles: Iterable[PublishedTile], *names: str) -> list[str]:
        keys = (tile.asset_key(*names) for tile in tiles)
        return [gdal_path(self._store, key) for key in keys if key is not None]

    def _raw_paths(self, tile: PublishedTile, source: str) -> tuple[str, ...]:
        try:
            return self._raw_files(tile, source)
        except (KeyError, OrographError):
            return ()

    def _mosaic(self, paths: Iterable[str], address: Address, *, nearest: bool = False) -> FloatArray:
        """Heights or values under a map tile and its margin, NaN where there are none; the first file wins."""
        size = TILE_PX + 2 * _MARGIN_PX
        merged = np.full((size, size), np.nan, dtype=np.float32)
        for path in dict.fromkeys(paths):
            values = _part(path, address.bounds_m(_MARGIN_PX), size, nearest)
            if values is None:
                continue
            missing = ~np.isfinite(merged)
            merged[missing] = values[missing]
            if np.isfinite(merged).all():
                break
        return merged

    def _keep(self, picture: Picture) -> None:
        if len(picture.body) > self._cache_limit // 8:
            return
        with self._lock:
            if picture.etag in self._cache:
                return
            self._cache[picture.etag] = picture
            self._cached_bytes += len(picture.body)
            while self._cached_bytes > self._cache_limit:
                _, dropped = self._cache.popitem(last=False)
                self._cached_bytes -= len(dropped.body)


def source_codes(manifest: Manifest) -> dict[int, str]:
    """Meaning of a tile's source index: number to source id, from 1 in the order of its sources."""
    return {place: ref.source.id for place, ref in enumerate(manifest.sources, start=1)}


def _driver(path: str) -> str:
    """The one GDAL driver a file may be opened with: never VRT, whose XML could point anywhere."""
    return "SRTMHGT" if path.lower().endswith(".hgt") else "GTiff"


def _part(path: str, bounds_m: tuple[float, float, float, float], size: int, nearest: bool) -> FloatArray | None:
    method = "nearest" if nearest else "bilinear"
    try:
        with rasterio.open(path, driver=_driver(path)) as dataset, Reader(path, dataset=dataset) as reader:
            image = reader.part(
                bounds_m,
                dst_crs="EPSG:3857",
                bounds_crs="EPSG:3857",
                indexes=(1,),
                width=size,
                height=size,
                max_size=None,
                resampling_method=method,
                reproject_method=method,
            )
    except RioTilerError:
        return None
    except RasterioIOError as error:
        raise Problem(502, "Bad Gateway", "a published raster cannot be read") from error
    values: FloatArray = image.array[0].astype(np.float32).filled(np.nan)
    return np.where(np.abs(values) < 1e5, values, np.float32(np.nan))


_transformers = threading.local()


def _to_laea() -> Transformer:
    """Web Mercator to the tiles' projection; pyproj's objects belong to one thread."""
    if not hasattr(_transformers, "value"):
        _transformers.value = Transformer.from_crs(3857, 3035, always_xy=True)
    return cast("Transformer", _transformers.value)


def _etag(layer: Layer, address: Address, source: str, tiles: Iterable[PublishedTile]) -> str:
    state = "|".join(sorted(tile.etag + tile.key for tile in tiles))
    text = f"2|{layer}|{address.z}/{address.x}/{address.y}|{source}|{state}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
