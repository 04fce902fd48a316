"""Access to files of sources for planners and workers: settings per source, one cache per node."""

from __future__ import annotations

import getpass
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from shapely.geometry import box

from orograph.infra.objects.cache import NodeCache
from orograph.infra.objects.cells import CellPresence
from orograph.infra.objects.sparse import SparseCopy, Window
from orograph.infra.runs.fetch import WHOLE_BELOW_BYTES, Fetcher, is_pattern
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.core.grid import TILE_CRS, Tile
from orograph.pipeline.errors import SourceInaccessible, SourceMissing
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.partial import RasterFile, path_of
from orograph.pipeline.sources.redaction import public_href
from orograph.pipeline.sources.refs import FileRef, SourceRef

_MARGIN_PX: Final = 4


class SourceAccess:
    """Probes, lists and opens files of sources; satisfies `orograph.pipeline.planning.planner.SourceFiles`.

    Args:
        settings: Store endpoint, scratch and cache.
        folder: Folder of sparse copies; a temporary folder of this object when None.
        backoff: Waiting times between attempts.
    """

    def __init__(self, settings: RunSettings, folder: Path | None = None, backoff: Backoff | None = None) -> None:
        self.settings = settings
        self._backoff = backoff
        self._temporary: Any = None
        self._folder = folder
        self._cache = node_cache(settings)
        self._fetchers: dict[str, Fetcher] = {}
        self._opened: dict[tuple[str, str, str], RasterFile] = {}
        self._cells = CellPresence(
            lambda href, source: self._of(source).probe(href),
            lambda href, source: self._of(source).read(href),
            lambda prefix, source: self._of(source).is_readable(prefix),
        )
        self.whole: dict[str, int] = {}

    def probe(self, href: str, source: Source) -> FileRef:
        """Identity of a file.

        Raises:
            SourceMissing: the file certainly does not exist.
            SourceInaccessible, SourceUnavailable, SourceCorrupt: as `Fetcher.probe`.
        """
        try:
            found = self._of(source).probe(href)
        except (SourceMissing, SourceInaccessible) as error:
            raise self._cells.settled(href, source, error) from error
        self._cells.seen(source)
        return found

    def listed(self, pattern: str, source: Source) -> list[str]:
        """Expand a pattern such as `s3://bucket/dtm/*.tif`; an href without a pattern is returned unchanged."""
        return list(self._of(source).list(pattern)) if is_pattern(pattern) else [pattern]

    def opened(self, file: FileRef, source: Source) -> RasterFile:
        """A local file or sparse copy; see `Fetcher.open`. `whole` records files that cannot be read in part."""
        key = (source.id, file.href, file.etag)
        if key not in self._opened:
            raster = self._of(source).open(file, self._place() / source.id)
            is_partial = isinstance(raster, SparseCopy) and raster.is_tiled
            if "://" in file.href and not is_partial and file.size_bytes > WHOLE_BELOW_BYTES:
                self.whole[file.href] = file.size_bytes
            self._opened[key] = raster
        return self._opened[key]

    def downloaded(self, file: FileRef, source: Source, folder: Path) -> Path:
        """Download a whole file of any format to a folder; checks length and identity."""
        return self._of(source).download(file, folder)

    def release(self, file: FileRef, source: Source) -> None:
        """Remove the copy of a remote file that `opened` made."""
        raster = self._opened.pop((source.id, file.href, file.etag), None)
        if raster is not None and "://" in file.href:
            path_of(raster).unlink(missing_ok=True)

    def note(self) -> str | None:
        """Message that names the files that cannot be read in part; None if there are none."""
        if not self.whole:
            return None
        first, size_mb = next(iter(self.whole)), sum(self.whole.values()) / 2**20
        return (
            f"{len(self.whole)} remote files ({size_mb:.1f} MB, such as {public_href(first)}) cannot be read in part and are "
            "fetched whole, once per node; rewrite them as tiled COGs (orograph ingest, or gdal_translate -of COG)"
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Requests and bytes by source id; sources on this machine are left out."""
        counted = {id_: fetcher.counts.to_dict() for id_, fetcher in self._fetchers.items()}
        return {id_: counts for id_, counts in counted.items() if any(counts.values())}

    def _of(self, source: Source) -> Fetcher:
        if source.id not in self._fetchers:
            self._fetchers[source.id] = Fetcher(
                endpoint_url=self.settings.s3_endpoint_url,
                anonymous=source.anonymous,
                access=source.access,
                cache=self._cache,
                backoff=self._backoff,
            )
        return self._fetchers[source.id]

    def _place(self) -> Path:
        if self._folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="orograph-headers-", dir=self.settings.scratch)
            self._folder = Path(self._temporary.name)
        return self._folder


def node_cache(settings: RunSettings) -> NodeCache | None:
    """The cache that the workers of this machine and user share; None if caching is off."""
    if not settings.cache_mb:
        return None
    parent = settings.scratch or Path(tempfile.gettempdir())
    folder = settings.cache_dir or parent / f"orograph-cache-{getpass.getuser()}"
    return NodeCache(folder, settings.cache_mb * 2**20)


def window_of(tile: Tile, ref: SourceRef, raster: RasterFile) -> Window | None:
    """Pixel window of a raster within a tile; None if they do not overlap."""
    ring = shapely.segmentize(box(*tile.bounds_m), 5_000.0).exterior.coords
    transformer = Transformer.from_crs(TILE_CRS, ref.source.horizontal_crs, always_xy=True)
    x, y = transformer.transform(*np.asarray(ring).T)
    with rasterio.open(path_of(raster)) as dataset:
        cols, rows = ~dataset.transform * (np.asarray(x), np.asarray(y))
        shape = dataset.shape
    first_col, end_col = max(0, int(cols.min()) - _MARGIN_PX), min(shape[1], int(cols.max()) + _MARGIN_PX)
    first_row, end_row = max(0, int(rows.min()) - _MARGIN_PX), min(shape[0], int(rows.max()) + _MARGIN_PX)
    if first_col >= end_col or first_row >= end_row:
        return None
    return Window(first_col, first_row, end_col - first_col, end_row - first_row)
