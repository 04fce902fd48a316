"""Pictures of finished tiles in a run's report: a source as delivered, the tile, and their difference.

Painted without Matplotlib, which would take longer than the rest of a small run; scale bars and legends are HTML.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from PIL import Image
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from orograph.infra.stores.base import Store
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.errors import OrographError
from orograph.pipeline.job import Job
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.sources.refs import SourceRef

Floats = npt.NDArray[np.float32]
Stops = tuple[tuple[int, int, int], ...]

MOST_TILES: Final = 3
SIDE_PX: Final = 420
_MOST_READ_BYTES: Final = 400_000_000
"""Larger sources are not read again for a picture."""
_TINTS: Final[Stops] = ((95, 138, 92), (169, 184, 109), (217, 196, 139), (169, 132, 103), (244, 241, 236))
_RED_BLUE: Final[Stops] = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))
_VOID: Final = (228, 226, 220)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Panel:
    """One map: a picture and the meaning of its colours.

    Attributes:
        title: Plain text.
        image: WebP.
        stops: Colours from the low to the high end.
        low, high: Values at the ends, metres.
    """

    title: str
    image: bytes
    stops: Stops
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TilePictures:
    """Maps of one area.

    Attributes:
        tile: Tile id.
        width_m: Width of the area.
        panels: From left to right.
    """

    tile: str
    width_m: float
    panels: tuple[Panel, ...]


def tile_pictures(store: Store, jobs: Iterable[Job]) -> tuple[TilePictures, ...]:
    """Pictures of up to `MOST_TILES` finished tiles of a store in a folder, those of most sources first.

    A tile that cannot be drawn is left out: a report must not fail for a picture.
    """
    if not isinstance(store, LocalStore):
        return ()
    chosen = sorted(jobs, key=lambda job: (-len(job.sources), job.tile.id))[:MOST_TILES]
    found = []
    for job in chosen:
        try:
            found.append(_of_tile(store, job))
        except (OrographError, RasterioError, OSError, KeyError, ValueError, NothingToDraw) as error:
            log.debug("no picture of %s: %s", job.tile.id, error)
    return tuple(found)


class NothingToDraw(Exception):
    """A tile without heights."""


def _of_tile(store: LocalStore, job: Job) -> TilePictures:
    manifest = Manifest.from_json(store.get(job.manifest_key))
    key = next(asset.key for asset in manifest.assets if asset.name == "elevation")
    heights, transform = _tile_heights(store.root / key)
    pixel_m = abs(transform.a)
    found = _coarsest(job, transform, heights.shape)
    seen = heights if found is None else np.stack([heights, found[1]])
    low, high = _span(seen)
    panels = [Panel("the tile", _relief(heights, pixel_m, low, high), _TINTS, low, high)]
    if found is not None and np.isfinite(heights - found[1]).any():
        ref, delivered = found
        change = heights - delivered
        limit = max(0.1, float(np.nanpercentile(np.abs(change), 98)))
        title = f"{ref.source.title}, as delivered"
        panels.insert(0, Panel(title, _relief(delivered, pixel_m, low, high), _TINTS, low, high))
        painted = _webp(_ramp(change, _RED_BLUE, -limit, limit))
        panels.append(Panel(f"the tile minus {ref.source.title}", painted, _RED_BLUE, -limit, limit))
    return TilePictures(job.tile.id, heights.shape[1] * pixel_m, tuple(panels))


def _tile_heights(path: Path) -> tuple[Floats, Affine]:
    """Heights of the part of a tile that has any, its longer side about `SIDE_PX` pixels."""
    with rasterio.open(path) as dataset:
        coarse = dataset.read(1, out_shape=(100, 100), masked=True)
        rows, cols = np.nonzero(~np.ma.getmaskarray(coarse))
        if not rows.size:
            raise NothingToDraw
        step = (dataset.height / 100, dataset.width / 100)
        top, left = int(rows.min() * step[0]), int(cols.min() * step[1])
        height, width = int((np.ptp(rows) + 1) * step[0]), int((np.ptp(cols) + 1) * step[1])
        window = Window(left, top, max(width, 2), max(height, 2))
        factor = max(1.0, max(width, height) / SIDE_PX)
        shape = (max(2, round(window.height / factor)), max(2, round(window.width / factor)))
        heights = dataset.read(1, window=window, out_shape=shape, masked=True)
        scale = Affine.scale(window.width / shape[1], window.height / shape[0])
        return _floats(heights), dataset.window_transform(window) * scale


def _coarsest(job: Job, transform: Affine, shape: tuple[int, ...]) -> tuple[SourceRef, Floats] | None:
    """The coarsest local source of a tile, which shows best what was gained, on the grid of the picture."""
    for ref in sorted(job.sources, key=lambda ref: -ref.source.resolution_m):
        paths = [Path(file.href) for file in ref.files]
        if paths and ref.size_bytes <= _MOST_READ_BYTES and all(path.is_file() for path in paths):
            return ref, _warped(ref, paths, transform, shape)
    return None


def _warped(ref: SourceRef, paths: Sequence[Path], transform: Affine, shape: tuple[int, ...]) -> Floats:
    """Heights of files on the grid of a picture; the first file wins."""
    merged = np.full(shape, np.nan, np.float32)
    averaged = ref.source.resolution_m < abs(transform.a)
    for path in paths:
        with (
            rasterio.open(path) as dataset,
            WarpedVRT(
                dataset, src_crs=ref.source.horizontal_crs, crs="EPSG:3035", transform=transform, width=shape[1],
                height=shape[0], resampling=Resampling.average if averaged else Resampling.bilinear,
                nodata=-32768.0, dtype="float32",
            ) as warped,
        ):  # fmt: skip
            values = _floats(warped.read(1, masked=True))
        merged = np.where(np.isfinite(merged), merged, values)
    return merged


def _floats(values: Any) -> Floats:
    filled: Floats = np.ma.filled(values.astype(np.float32), np.nan)
    return filled


def _span(values: Floats) -> tuple[float, float]:
    low, high = (float(v) for v in np.nanpercentile(values, (0.5, 99.5)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _relief(heights_m: Floats, pixel_m: float, low: float, high: float) -> bytes:
    """Tinted heights under light from the north-west."""
    south, east = np.gradient(heights_m, pixel_m)
    slope = np.sqrt(1.0 + 2.25 * (east**2 + south**2))
    light = np.clip((0.707 + 0.75 * (east + south)) / slope, 0.0, 1.0)
    shade = np.where(np.isfinite(light), 0.4 + 0.75 * light, 1.0)[..., None]
    return _webp(np.clip(_ramp(heights_m, _TINTS, low, high) * shade, 0, 255))


def _ramp(values: Floats, stops: Stops, low: float, high: float) -> Floats:
    """Colours of values, (rows, columns, 3), 0 to 255; grey where void."""
    place = np.nan_to_num((values - low) / (high - low)) * (len(stops) - 1)
    colours = np.stack([np.interp(place, range(len(stops)), [stop[i] for stop in stops]) for i in range(3)], axis=-1)
    painted: Floats = np.where(np.isfinite(values)[..., None], colours, np.array(_VOID, np.float32))
    return painted


def _webp(colours: Floats) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(colours.astype(np.uint8)).save(buffer, "WEBP", quality=82, method=2)
    return buffer.getvalue()
