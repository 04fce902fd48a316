"""Convert one raster of a source, of any format, into a COG with complete metadata."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.compiled import numpy_forms
from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.core.progress import tracked
from orograph.pipeline.errors import AllVoid, VerticalFrameMissing
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.vertical_datum import VERTICAL_NAME_TAG, vertical_tags
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.facts import Facts
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.single_raster import HeightRaster, open_heights
from orograph.pipeline.sources.suspicion import examine

_STRIP_ROWS: Final = 512
_STRIP_COLS: Final = 8192
"""Windows are strips, because text and raw formats are read line by line."""

_FEW_PX: Final = 10_000_000
"""Numpy's forms of the writers' kernels take less time than importing numba for so many."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted raster.

    Attributes:
        facts: Its facts and their origin, JSON-ready; see `Facts.record`.
        size_bytes: Size of the COG.
        low_m, high_m: Extremes of its heights.
        void_share: Share of void pixels.
        suspicious: Findings in its samples, as sentences; see `suspicion`.
    """

    facts: dict[str, Any]
    size_bytes: int
    low_m: float
    high_m: float
    void_share: float
    suspicious: tuple[str, ...]


def convert(path: str, source: Source, out: Path, origin: Mapping[str, str], *, alone: bool = False) -> Converted:
    """Write the heights of a raster as a COG: float32 metres on its own grid, equal to those that `run` reads.

    The COG has the horizontal CRS, vertical datum, nodata, pixel interpretation, unit, credit, licence and epoch in it,
    so that it needs no side-car and no declaration.

    Args:
        path: Local path, or name of a member of a zip archive.
        source: Its declaration is checked against the file.
        out: The COG; it appears complete or not at all.
        origin: Metadata about where the file comes from.
        alone: No other file follows, so that a small one is written without loading compiled kernels.

    Raises:
        SourceMissing, SourceCorrupt, BandMismatch, SourceGridError, NodataError: see `read_header` and
            `HeightRaster.read`.
        AllVoid: it contains no height.
        DiskFull, StoreUnwritable: the COG cannot be written.
    """
    facts = read_header(path, source)
    with numpy_forms(used=alone and facts.shape[0] * facts.shape[1] <= _FEW_PX):
        return _converted(facts, source, out, origin)


def _converted(facts: Facts, source: Source, out: Path, origin: Mapping[str, str]) -> Converted:
    with HeightRaster(facts, source.id) as raster:
        scratch_path = out.with_name(f".{out.name}.scratch.tif")
        low, high, known = np.inf, -np.inf, 0
        with cog.scratch(scratch_path, GeoBox(raster.shape, raster.transform, raster.known_crs())) as writer:
            for window in tracked(list(_windows(raster.shape)), "converting"):
                heights = raster.read(window.row, window.col, window.height, window.width)
                finite = heights[np.isfinite(heights)]
                if finite.size:
                    known += finite.size
                    low, high = min(low, float(finite.min())), max(high, float(finite.max()))
                writer.write(window, heights)
            if not known:
                raise AllVoid(f"{raster.name} contains no height", source=source.id)
    info = cog.finish(
        scratch_path,
        out,
        band_names=("elevation",),
        band_units=("metre",),
        tags={**_tags(source, facts.vertical_frame or source.vertical_frame), **origin},
        pixel_is=facts.pixel,
    )
    share = 1.0 - known / (facts.shape[0] * facts.shape[1])
    with open_heights(out) as written:
        suspicious = tuple(one.text for one in examine(written))
    return Converted(facts.record(), info.size_bytes, low, high, share, suspicious)


def _windows(shape: tuple[int, int]) -> Iterator[PixelWindow]:
    rows, cols = shape
    for row in range(0, rows, _STRIP_ROWS):
        for col in range(0, cols, _STRIP_COLS):
            yield PixelWindow(row, col, min(_STRIP_ROWS, rows - row), min(_STRIP_COLS, cols - col))


def _tags(source: Source, frame: str) -> dict[str, str]:
    tags = {VERTICAL_NAME_TAG: frame}
    with contextlib.suppress(VerticalFrameMissing):  # a frame of the user's own has a name only
        tags = vertical_tags(frame)
    if source.epoch is not None:
        tags["COORDINATE_EPOCH"] = f"{source.epoch:g}"
    return {
        **tags,
        "SOURCE": source.id,
        "LICENCE": source.licence_name or source.licence,
        "TIFFTAG_IMAGEDESCRIPTION": source.title,
        "TIFFTAG_COPYRIGHT": source.attribution,
        "ATTRIBUTION": source.attribution,
    }
