"""Reads the grids of many similar raster files fast.

Opening 100,000 GeoTIFFs in GDAL takes minutes, nearly all of it for interpreting equal CRS keys repeatedly. Files
whose tags differ only in size, corner and pixel size form a kind: the first file of a kind is checked by
`read_header`, and the others are read from their tags alone. Both methods are compared on the first file; if they
disagree, or a file has side-cars or tags that affect its georeference, every file of the kind is opened.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import rasterio
from rasterio.errors import RasterioError

from orograph.pipeline.errors import SourceCorrupt
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.facts import Facts
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.source_files import LocalFiles, SourceFiles

_WIDTH, _HEIGHT, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 278, 322, 323
_SCALE, _TIEPOINTS, _TRANSFORMATION, _RPC, _METADATA = 33550, 33922, 34264, 50844, 42112
# Bits, compression, photometric, samples, planar, predictor, sample format, geokeys and nodata: equal for files of a kind.
_KIND: Final = (258, 259, 262, 277, 284, 317, 338, 339, 34735, 34736, 34737, 42113)
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8, 16: 8}
_READ: Final = {_WIDTH, _HEIGHT, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _SCALE, _TIEPOINTS, _METADATA, *_KIND}
_STATISTICS: Final = re.compile(rb'<Item name="STATISTICS_[^<]*</Item>\s*')
_FIRST_BYTES: Final = 8192
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class GridFacts:
    """Grid of one file in its CRS: north-west corner, positive pixel sizes, size and blocks in pixels (None: whole)."""

    west: float
    north: float
    pixel_width: float
    pixel_height: float
    width_px: int
    height_px: int
    block_width_px: int | None = None
    block_height_px: int | None = None


@dataclass(frozen=True, slots=True)
class _Tags:
    """Tags of a plain GeoTIFF: its grid as the tags have it, and the key of its kind."""

    facts: GridFacts
    kind: tuple[bytes, ...]


@dataclass(slots=True)
class FactsReader:
    """Reads facts of the files of one source; safe in several threads.

    Args:
        source: Its declaration is checked against every kind of file.
    """

    source: Source
    access: SourceFiles = field(default_factory=LocalFiles)
    _kinds: dict[tuple[bytes, ...], tuple[float, float] | None] = field(default_factory=dict)

    def read(self, file: FileRef) -> GridFacts:
        """Facts of a remote file, from its header.

        Raises:
            SourceMissing, SourceCorrupt, SourceGridError: as `orograph.pipeline.sources.header.read_header`.
        """
        raster = self.access.opened(file, self.source)
        found = self._opened(raster, None)
        # A copy of the whole file was made where ranges cannot be read, so a tile costs all of it.
        return replace(found, block_width_px=None, block_height_px=None) if isinstance(raster, Path) else found

    def read_local(self, path: str, *, has_sidecars: bool) -> GridFacts:
        """Facts of a local file.

        Raises:
            SourceMissing, SourceCorrupt, SourceGridError: as `orograph.pipeline.sources.header.read_header`.
        """
        tags = None if has_sidecars else _plain_tags(path)
        if tags is None:
            return self._opened(Path(path), None)
        if tags.kind not in self._kinds:
            header = read_header(Path(path), self.source)
            self._kinds[tags.kind] = _offset_px(header, tags.facts)
        offset = self._kinds[tags.kind]
        if offset is None:
            return self._opened(Path(path), tags)
        found = tags.facts
        west, north = found.west + offset[0] * found.pixel_width, found.north - offset[1] * found.pixel_height
        return replace(found, west=west, north=north)

    def _opened(self, file: RasterFile, tags: _Tags | None) -> GridFacts:
        header = read_header(file, self.source)
        if tags is not None:
            blocks = tags.facts.block_width_px, tags.facts.block_height_px
        else:
            blocks = _blocks(header.path, self.source)
        return grid_of(header, blocks)


def grid_of(header: Facts, blocks: tuple[int | None, int | None] = (None, None)) -> GridFacts:
    """Grid of a file whose header was read."""
    affine, (height, width) = header.affine, header.shape
    return GridFacts(affine.c, affine.f, affine.a, -affine.e, width, height, *blocks)


def _offset_px(header: Facts, facts: GridFacts) -> tuple[float, float] | None:
    """Pixels from the tags' corner to the right one (0 or half a pixel); None where the tags do not give the grid."""
    affine = header.affine
    same_size = header.shape == (facts.height_px, facts.width_px)
    same_pixel = (
        abs(affine.a / facts.pixel_width - 1) < _TOLERANCE and abs(-affine.e / facts.pixel_height - 1) < _TOLERANCE
    )
    if not (same_size and same_pixel):
        return None
    offset = (affine.c - facts.west) / facts.pixel_width, (facts.north - affine.f) / facts.pixel_height
    rounded = round(offset[0] * 2) / 2, round(offset[1] * 2) / 2
    right = all(abs(a - b) < 1e-6 and abs(b) <= 1 for a, b in zip(offset, rounded, strict=True))
    return rounded if right else None


def _blocks(path: str, source: Source) -> tuple[int | None, int | None]:
    """Block width and height of a file that is read in part; None for archives and formats without blocks."""
    if path.startswith("/vsi") or not path.lower().endswith((".tif", ".tiff")):
        return None, None
    try:
        with rasterio.open(path) as dataset:
            if dataset.driver not in {"GTiff", "COG"}:
                return None, None
            height, width = dataset.block_shapes[0]
    except RasterioError as error:
        raise SourceCorrupt(f"{path} cannot be opened as a raster: {error}", source=source.id) from error
    return width, height


def _plain_tags(path: str) -> _Tags | None:
    """Tags of a little-endian TIFF, georeferenced by one tie point and a pixel size; else None."""
    if not path.lower().endswith((".tif", ".tiff")):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            tags = _first_directory(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, struct.error, KeyError):
        return None
    return None if tags is None else _grid(tags)


def _grid(tags: dict[int, tuple[int, bytes]]) -> _Tags | None:
    if _TRANSFORMATION in tags or _RPC in tags or not {_SCALE, _TIEPOINTS, _WIDTH, _HEIGHT, 34735} <= tags.keys():
        return None
    scale, tie = tags[_SCALE][1], tags[_TIEPOINTS][1]
    if len(scale) < 16 or len(tie) != 48:
        return None
    width, height = _integer(tags[_WIDTH]), _integer(tags[_HEIGHT])
    dx, dy = struct.unpack_from("<dd", scale)
    col, row, _, x, y, _ = struct.unpack("<6d", tie)
    if not (dx > 0 and dy > 0 and width > 0 and height > 0):
        return None
    if _TILE_WIDTH in tags:
        block = _integer(tags[_TILE_WIDTH]), _integer(tags[_TILE_HEIGHT])
    else:
        block = width, min(height, _integer(tags[_ROWS_PER_STRIP])) if _ROWS_PER_STRIP in tags else height
    kind = tuple(tags[tag][1] if tag in tags else b"" for tag in _KIND)
    metadata = _STATISTICS.sub(b"", tags[_METADATA][1]) if _METADATA in tags else b""
    facts = GridFacts(x - col * dx, y + row * dy, dx, dy, width, height, *block)
    # The pixel size is held against the declared resolution, so it belongs to the kind; rounded, for last bits differ.
    return _Tags(facts, (*kind, metadata, f"{dx:.6g} {dy:.6g}".encode()))


def _integer(entry: tuple[int, bytes]) -> int:
    kind, data = entry
    return int.from_bytes(data[: _SIZES[kind]], "little")


def _first_directory(descriptor: int) -> dict[int, tuple[int, bytes]] | None:
    """Type and bytes of the tags of the first directory; None for other byte orders."""
    start = os.pread(descriptor, _FIRST_BYTES, 0)
    if start[:2] != b"II" or start[2:4] not in {b"*\0", b"+\0"}:
        return None
    big = start[2] == 43
    place = struct.unpack_from("<Q", start, 8)[0] if big else struct.unpack_from("<I", start, 4)[0]
    size, inline, layout = (20, 8, "<HHQ") if big else (12, 4, "<HHI")
    head = _piece(descriptor, start, place, 8 if big else 2)
    count = int.from_bytes(head, "little")
    if count > 512:
        return None
    table = _piece(descriptor, start, place + len(head), count * size)
    tags: dict[int, tuple[int, bytes]] = {}
    for at in range(0, count * size, size):
        tag, kind, number = struct.unpack_from(layout, table, at)
        if tag in (_TRANSFORMATION, _RPC):
            return None
        if tag in _READ:
            length = _SIZES[kind] * number
            value = table[at + size - inline : at + size]
            if length > inline:
                value = _piece(descriptor, start, int.from_bytes(value, "little"), length)
            tags[tag] = kind, value[:length]
    return tags


def _piece(descriptor: int, start: bytes, place: int, length: int) -> bytes:
    end = place + length
    data = start[place:end] if end <= len(start) else os.pread(descriptor, length, place)
    if len(data) != length:
        raise struct.error("truncated")
    return data
