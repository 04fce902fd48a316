"""Check a raster file's header before decoding: a supported format and plausible sizes.

Decoders trust headers: four megabytes of sparse TIFF may declare 360 GB, one block may unpack to gigabytes, a chain of
directories may have no end, and GDAL opens files by content, so that a `.tif` may be a VRT that reads another file.
The header is read here with a few seeks, before GDAL sees the file, and GDAL is limited to an allow-list of drivers.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from orograph.pipeline.errors import OrographError, SourceCorrupt
from orograph.pipeline.formats.tiff import TYPE_SIZES
from orograph.pipeline.sources.archives import gdal_path
from orograph.pipeline.sources.raster_formats import ASCII_GRID, HGT_SIDES, check_size, format_of, head_of

_HGT_SHAPES: Final = {2 * rows * cols: (rows, cols) for rows, cols in HGT_SIDES}
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS = 256, 257, 258, 277, 278
_TILE_WIDTH, _TILE_HEIGHT, _PLANAR = 322, 323, 284
_READ_TAGS: Final = {_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, _PLANAR}


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest raster that is read.

    Attributes:
        pixels: Number of pixels of an image; 200 km squared at 1 m is 4e10.
        block_bytes: Decoded size of a block; it bounds the memory of the smallest read.
        blocks: Number of blocks; all their offsets are in memory.
        bands: Number of bands: heights and a few others.
        directories: Number of overviews and masks; no pyramid has sixteen levels of both.
    """

    pixels: int = 40_000_000_000
    block_bytes: int = 256 * 2**20
    blocks: int = 4_000_000
    bands: int = 16
    directories: int = 64
    entries: int = 512


@dataclass(frozen=True, slots=True)
class RasterHeader:
    """Header fields of the file's first image."""

    driver: str
    width_px: int
    height_px: int
    bands: int
    block_bytes: int
    directories: int


def check_raster_file(path: Path, limits: Limits | None = None) -> RasterHeader:
    """Read a raster's header and reject files that are unsafe to decode.

    Raises:
        SourceCorrupt: empty, HTML or XML, no known format, truncated header, or beyond a limit; the message says which.
        IngestNeeded: only `orograph ingest` reads it.
    """
    limits = limits or Limits()
    source = str(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
            if start[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
                return _check_tiff(_Tiff(file, start, size, source), limits)
    except (struct.error, OverflowError) as error:
        raise SourceCorrupt("the TIFF header is truncated", source=source) from error
    except IsADirectoryError:
        size = 0
    except OSError as error:
        raise SourceCorrupt(f"cannot be read: {error.strerror}", source=source) from error
    if path.suffix.lower() == ".hgt" and size in _HGT_SHAPES:
        rows, cols = _HGT_SHAPES[size]
        return RasterHeader("SRTMHGT", cols, rows, 1, size, 1)
    return _check_other(source, limits)


def _check_other(source: str, limits: Limits) -> RasterHeader:
    """A file that is neither TIFF nor HGT: its format, and its size where a grid's heading states it."""
    try:
        name = gdal_path(source)
        found = format_of(name)
        check_size(name, found)
    except OrographError as error:
        error.source = source
        raise
    height, width = _text_shape(head_of(name)) if found is ASCII_GRID else (0, 0)
    if width * height > limits.pixels:
        raise SourceCorrupt(f"{width} x {height} pixels are more than {limits.pixels:.2g}", source=source)
    return RasterHeader(found.driver, width, height, 1, 0, 1)


def _text_shape(head: bytes) -> tuple[int, int]:
    found = {key: int(value) for key, value in re.findall(rb"(?i)(ncols|nrows)\s+(\d+)", head.lower())}
    return found.get(b"nrows", 0), found.get(b"ncols", 0)


@dataclass(slots=True)
class _Tiff:
    file: BinaryIO
    start: bytes
    size: int
    source: str

    @property
    def order(self) -> str:
        return "<" if self.start[:2] == b"II" else ">"

    @property
    def big(self) -> bool:
        return b"+" in self.start[2:4]

    @property
    def first_directory(self) -> int:
        if self.big:
            return int(struct.unpack(self.order + "Q", self.start[8:16])[0])
        return int(struct.unpack(self.order + "I", self.start[4:8])[0])

    def directory(self, offset: int, most_entries: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """The tags we need of the directory at an offset, and the offset of the next."""
        count_format, entry_bytes, next_format = ("Q", 20, "Q") if self.big else ("H", 12, "I")
        if not 0 < offset < self.size:
            raise SourceCorrupt(
                f"truncated: a directory at byte {offset} of {self.size}", source=self.source, remedy="fetch it again"
            )
        self.file.seek(offset)
        (entries,) = self._unpack(count_format)
        if entries > most_entries:
            raise SourceCorrupt(f"a TIFF directory of {entries} entries", source=self.source)
        body = self._read(entries * entry_bytes)
        (following,) = self._unpack(next_format)
        tags = {}
        for at in range(0, len(body), entry_bytes):
            tag, values = self._entry(body[at : at + entry_bytes])
            if tag in _READ_TAGS:
                tags[tag] = values
        return tags, int(following)

    def _entry(self, entry: bytes) -> tuple[int, tuple[int, ...]]:
        tag, kind = struct.unpack(self.order + "HH", entry[:4])
        letter = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if tag not in _READ_TAGS or letter is None:
            return tag, ()
        value = entry[12:] if self.big else entry[8:]
        (count,) = struct.unpack(self.order + ("Q" if self.big else "I"), entry[4:12] if self.big else entry[4:8])
        # Lists too long for the entry are stored elsewhere (bits per sample of many bands); the first suffices.
        fitting = min(count, len(value) // TYPE_SIZES[kind])
        if count * TYPE_SIZES[kind] > len(value):
            return tag, (0,) * min(count, 64)
        return tag, struct.unpack(f"{self.order}{fitting}{letter}", value[: fitting * TYPE_SIZES[kind]])

    def _read(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            raise SourceCorrupt("the TIFF header is truncated", source=self.source, remedy="fetch it again")
        return data

    def _unpack(self, letters: str) -> tuple[int, ...]:
        return struct.unpack(self.order + letters, self._read(struct.calcsize(self.order + letters)))


def _check_tiff(tiff: _Tiff, limits: Limits) -> RasterHeader:
    offset, seen = tiff.first_directory, set[int]()
    first: RasterHeader | None = None
    while offset:
        if offset in seen:
            raise SourceCorrupt("the TIFF's directories form a circle", source=tiff.source)
        seen.add(offset)
        if len(seen) > limits.directories:
            raise SourceCorrupt(f"more than {limits.directories} TIFF directories", source=tiff.source)
        tags, offset = tiff.directory(offset, limits.entries)
        header = _check_image(tags, limits, tiff.source)
        first = first or header
    if first is None:
        raise SourceCorrupt("a TIFF without an image", source=tiff.source)
    return RasterHeader("GTiff", first.width_px, first.height_px, first.bands, first.block_bytes, len(seen))


def _check_image(tags: dict[int, tuple[int, ...]], limits: Limits, source: str) -> RasterHeader:
    def first(tag: int, default: int) -> int:
        return (tags.get(tag) or (default,))[0]

    width, height, bands = first(_WIDTH, 0), first(_HEIGHT, 0), first(_SAMPLES, 1)
    if width < 1 or height < 1:
        raise SourceCorrupt(f"an image of {width} x {height} pixels", source=source)
    if width * height > limits.pixels:
        raise SourceCorrupt(f"{width} x {height} pixels are more than {limits.pixels:.2g}", source=source)
    if not 1 <= bands <= limits.bands:
        raise SourceCorrupt(f"{bands} bands, at most {limits.bands} are read", source=source)
    block_width = first(_TILE_WIDTH, width)
    block_height = first(_TILE_HEIGHT, min(first(_ROWS, height), height))
    sample_bytes = (first(_BITS, 32) or 64) / 8
    interleaved = bands if first(_PLANAR, 1) == 1 else 1
    block_bytes = int(block_width * block_height * sample_bytes * interleaved)
    if block_bytes > limits.block_bytes or not block_bytes:
        raise SourceCorrupt(
            f"blocks of {block_width} x {block_height} pixels take {block_bytes / 2**20:.0f} MiB each",
            source=source,
            remedy="rewrite it tiled: gdal_translate -of COG",
        )
    blocks = -(-width // block_width) * -(-height // block_height)
    if blocks > limits.blocks:
        raise SourceCorrupt(f"{blocks} blocks, at most {limits.blocks} are read", source=source)
    return RasterHeader("GTiff", width, height, bands, block_bytes, 1)
