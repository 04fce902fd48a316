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
from orograph.pipeline.core.painting import RED_BLUE, TINTS, Colours, Stops, ramp, relief, span
from orograph.pipeline.errors import OrographError
from orograph.pipeline.job import Job
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.sources.refs import SourceRef

Floats = npt.NDArray[np.float32]

MOST_TILES: Final = 3
SIDE_PX: Final = 420
_MOST_READ_BYTES: Final = 400_000_000
"""Larger sources are not read again for a picture."""

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
    low, high = span(seen)
    panels = [Panel("the tile", _webp(relief(heights, (pixel_m, pixel_m), low, high)), TINTS, low, high)]
    if found is not None and np.isfinite(heights - found[1]).any():
        ref, delivered = found
        change = heights - delivered
        limit = max(0.1, float(np.nanpercentile(np.abs(change), 98)))
        title = f"{ref.source.title}, as delivered"
        panels.insert(0, Panel(title, _webp(relief(delivered, (pixel_m, pixel_m), low, high)), TINTS, low, high))
        painted = _webp(ramp(change, RED_BLUE, -limit, limit))
        panels.append(Panel(f"the tile minus {ref.source.title}", painted, RED_BLUE, -limit, limit))
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


def _webp(colours: Colours) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(colours.astype(np.uint8)).save(buffer, "WEBP", quality=82, method=2)
    return buffer.getvalue()
