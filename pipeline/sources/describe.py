"""Drafts a catalogue entry for the user's own files from the first of them."""

from __future__ import annotations

import re
from pathlib import Path

from pyproj import CRS

from orograph.pipeline.core.pixel_size import ground_pixel_size_m
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import SourceGridError, VerticalFrameMissing
from orograph.pipeline.sources.catalogue import Files, Provider, Source, Thinning
from orograph.pipeline.sources.single_raster import open_heights


def describe(
    files: tuple[Path, ...],
    *,
    frame: str | None,
    surface: Surface = Surface.DTM,
    thinning: Thinning = Thinning.DECIMATED,
    accuracy_m: float = 0.5,
    attribution: str = "own data",
) -> Source:
    """Describe raster files as a source that `orograph run --catalogue` takes.

    Args:
        files: Rasters of one dataset; grid and CRS are read from the first.
        frame: Vertical frame such as `EPSG:5778`; needed if the file declares none.
        surface: DTM or DSM.
        thinning: Whether the heights were decimated or averaged from finer ones.
        accuracy_m: Standard deviation of a height on open terrain, metres.
        attribution: Text that the provider requires.

    Raises:
        SourceMissing, SourceCorrupt, BandMismatch: the first file is not a raster of one band.
        SourceGridError: it declares no CRS.
        VerticalFrameMissing: neither the file nor the caller names the vertical frame.
    """
    with open_heights(files[0]) as raster:
        facts = raster.facts
    if facts.horizontal_crs is None:
        raise SourceGridError(
            f"{files[0].name} declares no CRS",
            source=str(files[0]),
            remedy="declare it, for instance with gdal_edit.py -a_srs EPSG:25832",
        )
    known = frame or facts.vertical_frame
    if known is None:
        raise VerticalFrameMissing(
            f"{files[0].name} declares no vertical frame",
            source=str(files[0]),
            remedy="give --frame; `orograph height --frames` lists the known ones",
        )
    if CRS(facts.horizontal_crs).is_projected:
        pixel_m = (facts.affine.a, -facts.affine.e)
    else:
        pixel_m = ground_pixel_size_m(facts.affine, facts.shape[0], facts.horizontal_crs)
    return Source(
        id=re.sub(r"[^a-z0-9._-]+", "-", files[0].stem.lower()).strip("-._") or "dtm",
        title=files[0].stem,
        providers=(Provider(name=attribution),),
        licence="proprietary",
        attribution=attribution,
        data=Files(hrefs=tuple(str(path.absolute()) for path in files)),
        horizontal_crs=facts.horizontal_crs,
        vertical_frame=known,
        surface=surface,
        resolution_m=round(float(max(pixel_m)), 4),
        thinning=thinning,
        accuracy_m=accuracy_m,
    )
