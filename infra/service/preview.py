"""Renders map tiles from published COGs, bounded in time, memory and number."""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from pyproj import Transformer

from orograph.infra.service import shading
from orograph.infra.service.mosaic import MARGIN_PX, mosaic
from orograph.infra.service.problem_documents import Problem, busy
from orograph.infra.service.published_tiles import Published, PublishedTile, gdal_path
from orograph.infra.service.shading import FloatArray
from orograph.infra.service.web_tiles import ENCODED_LAYERS, MIN_ZOOM, SOURCE_LAYERS, TILE_PX, Address, Form, Layer
from orograph.infra.stores.base import Store
from orograph.pipeline.core.grid import EAST_LIMITS_KM, NORTH_LIMITS_KM, tiles_in
from orograph.pipeline.core.palette import Colour, source_colour
from orograph.pipeline.errors import OrographError
from orograph.pipeline.manifest import Manifest

PREVIOUS: Final = "previous"
"""Stands for the run that a tile's present one replaced, where a source's id may stand."""

_MOST_TILES: Final = 60
_GROUNDS_KEPT: Final = 16
_INNER: Final = slice(MARGIN_PX, -MARGIN_PX)
_NEAR: Final = slice(MARGIN_PX - 1, 1 - MARGIN_PX)


@dataclass(frozen=True, slots=True)
class Look:
    """Style of a map tile.

    Attributes:
        layer: Name of the layer.
        other: Id of an unprocessed source, or `PREVIOUS`; empty for the product.
        is_difference: Draw the product minus the other.
        span_m: Heights at the ends of the relief's tints; the range of all published terrain when None.
        form: Image encoding.
    """

    layer: Layer
    other: str = ""
    is_difference: bool = False
    span_m: tuple[float, float] | None = None
    form: Form = "png"


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered map tile; `etag` identifies the inputs of its content."""

    body: bytes
    etag: str


class Previews:
    """Renders map tiles in a few threads and caches recent ones.

    Args:
        store: Store that contains the COGs.
        published: Published tiles.
        raw_files: Paths of a source's files over a tile; raises KeyError for a source that the tile does not use.
        threads: Number of map tiles rendered at once.
        queue_limit: Largest number of waiting map tiles; beyond it 503.
        cache_mb: Memory for cached map tiles.
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

    async def picture(self, address: Address, look: Look) -> Picture | None:
        """A map tile of the product, of an unprocessed source, or of their difference; None where there is no data.

        Raises:
            Problem: 404 outside the range of zooms, 503 when too many requests wait.
        """
        tiles = await asyncio.to_thread(self.tiles_under, address, look.other)
        if not tiles and look.layer == "terrain":
            # Extend the terrain beyond the published tiles, so that no wall is drawn at the edge.
            tiles = tuple((await asyncio.to_thread(self._published.all)).values())
        if not tiles and look.layer != "heights":
            return None
        etag = _etag(address, f"{look}|{self.height_stops()[-1][0]}", tiles)
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
            pixels = await loop.run_in_executor(self._pool, self._drawn, address, look, tiles)
        finally:
            with self._lock:
                self._waiting -= 1
        if pixels is None:
            return None
        picture = Picture(pixels, etag)
        self._keep(picture)
        return picture

    def tiles_under(self, address: Address, other: str = "") -> tuple[PublishedTile, ...]:
        """The published tiles that intersect a map tile; with `other`, those that use this source."""
        published = self._published.all()
        west, south, east, north = _to_laea().transform_bounds(*address.bounds_m(MARGIN_PX), densify_pts=21)
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
        if other == PREVIOUS:
            found = tuple(tile for tile in found if tile.predecessor_key is not None)
        elif other:
            found = tuple(tile for tile in found if other in tile.source_ids)
        if len(found) > _MOST_TILES:
            raise Problem(404, "Not Found", "too many tiles under this map tile; zoom in")
        return found

    def _drawn(self, address: Address, look: Look, tiles: tuple[PublishedTile, ...]) -> bytes | None:
        if look.layer in ENCODED_LAYERS:
            if look.layer == "terrain":
                heights = self._terrain(address, look.other)
            else:
                heights = shading.bridged(mosaic(self._paths(tiles, "elevation", "dem"), address))[_INNER, _INNER]
            return shading.encoded(shading.terrarium(heights), look.form, is_lossless=True)
        drawn = self._draw(address, look, tiles)
        return None if drawn is None else shading.encoded(drawn, look.form)

    def _draw(self, address: Address, look: Look, tiles: tuple[PublishedTile, ...]) -> shading.Rgba | None:
        if look.other and not look.is_difference:
            heights = mosaic([path for tile in tiles for path in self.other_paths(tile, look.other)], address)
        else:
            heights = mosaic(self._paths(tiles, "elevation", "dem"), address)
        if not np.isfinite(heights).any():
            return None
        heights = shading.bridged(heights)
        inner = heights[_INNER, _INNER]
        near = shading.extended(heights[_NEAR, _NEAR])
        shade = shading.relief(near, address.ground_pixel_m, address.exaggeration)
        shade = np.where(np.isfinite(inner), shade, np.float32(np.nan))
        if look.is_difference:
            return self._difference(address, look.other, tiles, inner, shade)
        if look.layer in SOURCE_LAYERS:
            return self._of_heights(address, look, near, shade)
        values = self._values(look.layer, address, tiles)[_INNER, _INNER]
        shade = np.where(np.isfinite(values), shade, np.float32(np.nan))
        if look.layer == "uncertainty":
            return shading.shaded(shading.ramp(values, shading.UNCERTAINTY_STOPS), shade, 0.55)
        return shading.shaded(shading.categories(values, self._source_colours()), shade, 0.8)

    def _of_heights(self, address: Address, look: Look, near: FloatArray, shade: FloatArray) -> shading.Rgba:
        """Draw layers of heights alone: `near` has a margin of one pixel, `shade` is NaN where there is no height."""
        pixel_m = address.ground_pixel_m
        if look.layer == "slope":
            colours, strength = shading.ramp(shading.slope_deg(near, pixel_m), shading.SLOPE_STOPS), 0.45
        elif look.layer == "aspect":
            colours, strength = shading.aspect_colours(near, pixel_m), 0.35
        elif look.layer == "hillshade":
            colours, strength = np.full((*shade.shape, 3), 200.0, dtype=np.float32), 1.0
        else:
            stops = shading.spread(*look.span_m) if look.span_m else self.height_stops()
            colours, strength = shading.ramp(near[1:-1, 1:-1], stops), 1.0
        painted = shading.shaded(colours, shade, strength)
        if look.layer != "relief":
            return painted
        return shading.with_water(painted, shading.still_water(near, pixel_m) & np.isfinite(shade))

    def _difference(
        self, address: Address, other: str, tiles: tuple[PublishedTile, ...], inner: FloatArray, shade: FloatArray
    ) -> shading.Rgba | None:
        """The product minus a source as it came, or minus the run before it."""
        before = mosaic([path for tile in tiles for path in self.other_paths(tile, other)], address)
        difference = inner - before[_INNER, _INNER]
        if not np.isfinite(difference).any():
            return None
        shade = np.where(np.isfinite(difference), shade, np.float32(np.nan))
        return shading.shaded(shading.ramp(difference, shading.DIFFERENCE_STOPS), shade, 0.3)

    def _terrain(self, address: Address, other: str) -> FloatArray:
        """Fill void pixels with the nearest height, from a coarser zoom level if the map tile has none."""
        tiles = self.tiles_under(address, other)
        state = _etag(address, f"terrain|{other}", tiles)
        with self._lock:
            kept = self._grounds.get(state)
        if kept is not None:
            return kept
        heights = mosaic(self._paths(tiles, "elevation", "dem"), address)
        if np.isfinite(heights).any():
            ground = shading.extended(heights)[_INNER, _INNER]
            with self._lock:
                self._grounds[state] = ground
                if len(self._grounds) > _GROUNDS_KEPT:
                    self._grounds.popitem(last=False)
            return ground
        if address.z == MIN_ZOOM:
            return np.zeros((TILE_PX, TILE_PX), dtype=np.float32)
        half = TILE_PX // 2
        row, col = address.y % 2 * half, address.x % 2 * half
        outer = self._terrain(address.parent, other)[row : row + half, col : col + half]
        return outer.repeat(2, axis=0).repeat(2, axis=1)

    def _values(self, layer: Layer, address: Address, tiles: tuple[PublishedTile, ...]) -> FloatArray:
        if layer == "uncertainty":
            return shading.bridged(mosaic(self._paths(tiles, "uncertainty"), address))
        order = self.source_order()
        merged = np.full((TILE_PX + 2 * MARGIN_PX,) * 2, np.nan, dtype=np.float32)
        for tile in tiles:
            local = mosaic(self._paths((tile,), "source"), address, nearest=True)
            codes = np.full(256, 255.0, dtype=np.float32)
            for code, id_ in source_codes(self._published.manifest(tile)).items():
                codes[code] = order.index(id_) if id_ in order else 254
            seen = np.isfinite(local) & ~np.isfinite(merged)
            merged[seen] = codes[local[seen].astype(np.uint8)]
        return shading.bridged(merged)

    def height_stops(self) -> shading.Stops:
        """The current hypsometric tints: heights and colours."""
        return shading.height_stops(self._published.highest_m())

    def source_order(self) -> tuple[str, ...]:
        """Ids of all sources of published tiles, sorted."""
        return tuple(sorted({id_ for tile in self._published.all().values() for id_ in tile.source_ids}))

    def other_paths(self, tile: PublishedTile, other: str) -> tuple[str, ...]:
        """GDAL paths of a source's files over a tile, or of the heights that its current run replaced."""
        if other == PREVIOUS:
            before = self._published.predecessor(tile)
            return tuple(self._paths((before,), "elevation", "dem")) if before is not None else ()
        try:
            return self._raw_files(tile, other)
        except (KeyError, OrographError):
            return ()

    def source_colours(self) -> dict[str, Colour]:
        """Colours of all sources, by id, as in the published COGs."""
        return {id_: source_colour(id_) for id_ in self.source_order()}

    def _source_colours(self) -> dict[int, Colour]:
        return dict(enumerate(self.source_colours().values()))

    def _paths(self, tiles: Iterable[PublishedTile], *names: str) -> list[str]:
        keys = (tile.asset_key(*names) for tile in tiles)
        return [gdal_path(self._store, key) for key in keys if key is not None]

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
    """Source ids by their number in a tile's source index, from 1 in the order of the tile's sources."""
    return {place: ref.source.id for place, ref in enumerate(manifest.sources, start=1)}


_transformers = threading.local()


def _to_laea() -> Transformer:
    """Web Mercator to the tiles' projection; pyproj's objects belong to one thread."""
    if not hasattr(_transformers, "value"):
        _transformers.value = Transformer.from_crs(3857, 3035, always_xy=True)
    return cast("Transformer", _transformers.value)


def _etag(address: Address, look: str, tiles: Iterable[PublishedTile]) -> str:
    state = "|".join(sorted(tile.etag + tile.key for tile in tiles))
    text = f"4|{address.z}/{address.x}/{address.y}|{look}|{state}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
