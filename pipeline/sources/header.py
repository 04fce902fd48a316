"""Check a source's raster file against its catalogue entry before reading heights."""

from __future__ import annotations

import re
from pathlib import Path

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.errors import SourceCorrupt, SourceMissing
from orograph.pipeline.sources.archives import gdal_path
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.fact_reader import read_facts
from orograph.pipeline.sources.facts import Declared, Facts
from orograph.pipeline.sources.partial import RasterFile, path_of
from orograph.pipeline.sources.raster_formats import HGT_SIDES, in_zip


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
    check_hgt_name(name, facts, source.id)
    return facts


def check_hgt_name(name: str, facts: Facts, source_id: str) -> None:
    """Check an HGT file's name against its position: GDAL takes the position from any name it can parse.

    Raises:
        SourceCorrupt: they differ, or the shape is not one of HGT.
    """
    place = in_zip(facts.path)
    own = Path(place[1] if place else name).name
    match = re.match(r"([NS]\d{2}[EW]\d{3})", own.upper())
    if ".HGT" not in own.upper():
        return
    if match is None or facts.shape not in HGT_SIDES:
        raise SourceCorrupt(f"{name} has no HGT name or shape {facts.shape} no HGT has", source=source_id)
    cell = Cell.parse(match[1])
    affine = facts.affine
    west, north = affine.c + affine.a / 2, affine.f + affine.e / 2
    if abs(west - cell.lon) > 1e-9 or abs(north - cell.lat - 1) > 1e-9:
        raise SourceCorrupt(f"{name} is at {west:.6f}, {north - 1:.6f}, which contradicts its name", source=source_id)
