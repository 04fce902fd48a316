"""Check a source's raster file against its catalogue entry before reading heights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.errors import SourceCorrupt, SourceMissing
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.fact_reader import gdal_path, read_facts
from orograph.pipeline.sources.facts import Declared, Facts
from orograph.pipeline.sources.partial import RasterFile, path_of

_HGT_SHAPES: Final = ((1201, 1201), (3601, 3601), (3601, 1801))


def read_header(file: RasterFile | str, source: Source) -> Facts:
    """Open a local file, or the sparse copy of a remote one, and check it against its source.

    Raises:
        SourceMissing: the file does not exist.
        SourceCorrupt: not a raster, or an HGT whose name does not match its position.
        BandMismatch: more than one band.
        SourceGridError: see `read_facts`.
    """
    path = file if isinstance(file, str) else str(path_of(file))
    name = str(file) if isinstance(file, str | Path) else file.href
    if not Path(path).exists():
        raise SourceMissing(f"no file at {name}", source=source.id, remedy="check the href in the source catalogue")
    facts = read_facts(gdal_path(path), Declared.of(source), label=name)
    _check_name(name, facts, source)
    return facts


def _check_name(name: str, facts: Facts, source: Source) -> None:
    """An HGT file's georeferencing is its name; GDAL believes any, so at least the shape must be one of HGT's."""
    match = re.match(r"([NS]\d{2}[EW]\d{3})", Path(name).name.upper())
    if ".HGT" not in Path(name).name.upper():
        return
    if match is None or facts.shape not in _HGT_SHAPES:
        raise SourceCorrupt(f"{name} has no HGT name or shape {facts.shape} no HGT has", source=source.id)
    cell = Cell.parse(match[1])
    affine = facts.affine
    west, north = affine.c + affine.a / 2, affine.f + affine.e / 2
    if abs(west - cell.lon) > 1e-9 or abs(north - cell.lat - 1) > 1e-9:
        raise SourceCorrupt(f"{name} is at {west:.6f}, {north - 1:.6f}, which contradicts its name", source=source.id)
