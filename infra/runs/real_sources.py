"""Real heights of a small area for the demo: downloads them by source id, and crops large files to the area."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rasterio
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds
from rasterio.windows import bounds as bounds_of

from orograph.infra.runs.request import document_reader
from orograph.infra.runs.source_access import SourceAccess
from orograph.infra.runs.source_transfer import fetch_source
from orograph.pipeline.errors import OutsideCoverage, SourceUnavailable
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.sources.catalogue import Files

if TYPE_CHECKING:
    from orograph.pipeline.sources.catalogue import Source
    from orograph.pipeline.sources.listings import Bounds

_MARGIN_PX: Final = 64
"""Pixels kept around the area, for kernels, networks and coregistration."""
_RASTERS: Final = frozenset({".tif", ".tiff", ".asc", ".xyz", ".hgt"})
_LARGE: Final = 4
"""Files with more than this many times the area's pixels are cut."""


def real_files(source: Source, area_deg: Bounds, folder: Path, say: Callable[[str], None]) -> tuple[Path, ...]:
    """Files of a source over an area: its local files, or files downloaded with licence and records.

    Args:
        source: A source of the catalogue.
        area_deg: West, south, east, north.
        folder: Destination: downloads are in `folder/data`, cropped files in `folder/sources`.
        say: Called with progress messages.

    Raises:
        SourceUnavailable: files could not be downloaded.
        OutsideCoverage: the source has no file over the area.
    """
    if isinstance(source.data, Files) and all("://" not in href for href in source.data.hrefs):
        paths: Sequence[Path] = [Path(href) for href in source.data.hrefs]
    else:
        say(f"downloading {source.title}")
        settings = RunSettings(cache_mb=0)
        done = fetch_source(source, SourceAccess(settings), document_reader(settings), area_deg, folder / "data")
        if done.faults:
            href, error = done.faults[0]
            raise SourceUnavailable(
                f"{len(done.faults)} files of {source.id} could not be downloaded; the first: {href}: {error.message}",
                source=source.id,
                remedy="run the command again; it goes on where it ended",
            )
        paths = sorted(path for path in (folder / "data" / source.id).rglob("*") if path.suffix.lower() in _RASTERS)
    cut = tuple(found for path in paths if (found := _cut(path, source, area_deg, folder / "sources" / source.id)))
    if not cut:
        raise OutsideCoverage(f"{source.id} has no heights in {area_deg}", source=source.id)
    return cut


def _cut(path: Path, source: Source, area_deg: Bounds, folder: Path) -> Path | None:
    """The file itself, a cut of it if it is much larger than the area, or None where it does not reach the area."""
    with rasterio.open(path) as dataset:
        box = transform_bounds("EPSG:4326", source.horizontal_crs, *area_deg)
        window = from_bounds(*box, dataset.transform)
        left, top = int(window.col_off) - _MARGIN_PX, int(window.row_off) - _MARGIN_PX
        wanted = Window(left, top, int(window.width) + 2 * _MARGIN_PX, int(window.height) + 2 * _MARGIN_PX)
        whole = Window(0, 0, dataset.width, dataset.height)
        try:
            window = wanted.intersection(whole)
        except rasterio.errors.WindowError:
            return None
        if whole.width * whole.height < _LARGE * window.width * window.height:
            return path.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        profile = {
            **dataset.profile,
            "driver": "GTiff",
            "width": window.width,
            "height": window.height,
            "transform": rasterio.transform.from_bounds(
                *bounds_of(window, dataset.transform), window.width, window.height
            ),
            "tiled": True,
            "blockxsize": 256,
            "blockysize": 256,
            "compress": "deflate",
        }
        target = folder / f"{path.stem}_cut.tif"
        with rasterio.open(target, "w", **profile) as out:
            out.write(dataset.read(window=window))
            out.update_tags(**dataset.tags())
    return target.absolute()
