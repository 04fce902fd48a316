"""Block locations of a TIFF: reads its directories through a function that returns byte ranges.

It reads everything except block data (directories, tag values, block offsets and byte counts), so that a sparse copy of
the file with these bytes opens exactly like the file. Source: TIFF 6.0, BigTIFF.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.errors import SourceCorrupt
from orograph.pipeline.formats.tiff import TYPE_SIZES

FIRST_BYTES: Final = 32 * 2**10
"""Size of the first read: it contains all directories of a COG of the size of a GLO-30 cell."""
_MIN_READ: Final = 16 * 2**10
_MAGIC: Final = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS = 254, 256, 257, 258, 259, 277, 278
_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 273, 279, 322, 323, 324, 325
_POINTERS: Final = (34665, 34853, 40965)  # EXIF, GPS and interoperability directories
_STRUCT_CODES: Final = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_MOST_DIRECTORIES: Final = 64
_MOST_ENTRIES: Final = 512
_MOST_BLOCKS: Final = 4_000_000

Read = Callable[[int, int], bytes]
"""Returns the object's bytes from a start to an end offset."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexedLevel:
    """One image of the file: full resolution, an overview or a mask.

    Attributes:
        width, height: Pixels.
        block_width, block_height: Pixels of a tile or strip.
        offsets, counts: First byte and size of each block of the first band, row-major; 0 and 0 for a block that the
            file does not store, which reads as nodata.
        is_mask: A transparency mask.
    """

    width: int
    height: int
    block_width: int
    block_height: int
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    is_mask: bool = False

    def blocks(self, col: int, row: int, width: int, height: int) -> npt.NDArray[np.int64]:
        """Numbers of the blocks that a pixel window touches; the window is clipped to the image."""
        if col >= self.width or row >= self.height:
            return np.zeros(0, np.int64)
        across = -(-self.width // self.block_width)
        first_col, end_col = max(col, 0) // self.block_width, -(-min(col + width, self.width) // self.block_width)
        first_row, end_row = max(row, 0) // self.block_height, -(-min(row + height, self.height) // self.block_height)
        rows, cols = np.arange(first_row, end_row), np.arange(first_col, end_col)
        return (rows[:, None] * across + cols[None, :]).ravel()


@dataclass(slots=True, eq=False)
class TiffIndex:
    """Levels of a TIFF and the bytes that were read to find them.

    Attributes:
        levels: Levels in file order, full resolution first.
        header: The ranges read, by first byte.
    """

    levels: tuple[IndexedLevel, ...]
    header: dict[int, bytes] = field(default_factory=dict)

    def level(self, width: int, height: int) -> IndexedLevel | None:
        """The image of a size; masks are excluded."""
        return next(
            (one for one in self.levels if (one.width, one.height) == (width, height) and not one.is_mask), None
        )


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a TIFF."""
    return start[:4] in _MAGIC


def read_index(read: Read, size_bytes: int, source: str) -> TiffIndex | None:
    """Index of a TIFF; None if its blocks cannot be located (no byte counts of compressed blocks).

    Raises:
        SourceCorrupt: not a TIFF, truncated, directories in a circle, or blocks outside the file.
    """
    buffer = _Buffer(read, size_bytes, source)
    start = buffer.get(0, 16)
    if not is_tiff(start):
        raise SourceCorrupt("not a TIFF file", source=source)
    try:
        return _Parser(buffer, start).index()
    except (struct.error, OverflowError, IndexError, ValueError) as error:
        raise SourceCorrupt("the TIFF header is damaged", source=source) from error


@dataclass(slots=True)
class _Buffer:
    """Ranges read so far; asks for at least 16 KiB."""

    read: Read
    size: int
    source: str
    parts: dict[int, bytes] = field(default_factory=dict)

    def get(self, start: int, count: int) -> bytes:
        if not 0 <= start <= start + count <= self.size:
            raise SourceCorrupt(
                f"truncated: the header names bytes {start} to {start + count} of {self.size}",
                source=self.source,
                remedy="fetch it again",
            )
        for at, part in self.parts.items():
            if at <= start and start + count <= at + len(part):
                return part[start - at : start - at + count]
        least = FIRST_BYTES if not self.parts else _MIN_READ
        part = self.read(start, min(self.size, start + max(count, least)))
        self.parts[start] = part
        return part[:count]


@dataclass(slots=True)
class _TagEntry:
    kind: int
    count: int
    inline: bytes
    offset: int

    @property
    def size(self) -> int:
        return TYPE_SIZES.get(self.kind, 0) * self.count


class _Parser:
    def __init__(self, buffer: _Buffer, start: bytes) -> None:
        self.buffer = buffer
        self.order = "<" if start[:2] == b"II" else ">"
        self.big = b"+" in start[2:4]
        self.first = int(struct.unpack(self.order + "Q", start[8:16])[0] if self.big else self._u4(start[4:8]))

    def index(self) -> TiffIndex | None:
        levels: list[IndexedLevel] = []
        offset, seen = self.first, set[int]()
        while offset:
            if offset in seen or len(seen) >= _MOST_DIRECTORIES:
                raise SourceCorrupt("the TIFF's directories form a circle, or are too many", source=self.buffer.source)
            seen.add(offset)
            entries, offset = self.directory(offset)
            for pointer in _POINTERS:
                if pointer in entries:
                    self.directory(int(self.values(entries[pointer])[0]))
            level = self.level(entries)
            if level is None:
                return None
            levels.append(level)
        if not levels:
            raise SourceCorrupt("a TIFF without an image", source=self.buffer.source)
        return TiffIndex(tuple(levels), self.buffer.parts)

    def directory(self, offset: int) -> tuple[dict[int, _TagEntry], int]:
        """Entries by tag, with all of their values read; offset of the next directory."""
        count_bytes, entry_bytes, next_bytes = (8, 20, 8) if self.big else (2, 12, 4)
        start = self.buffer.get(offset, count_bytes)
        count = int(struct.unpack(self.order + ("Q" if self.big else "H"), start)[0])
        if count > _MOST_ENTRIES:
            raise SourceCorrupt(f"a TIFF directory of {count} entries", source=self.buffer.source)
        body = self.buffer.get(offset + count_bytes, count * entry_bytes + next_bytes)
        entries: dict[int, _TagEntry] = {}
        for at in range(0, count * entry_bytes, entry_bytes):
            tag, entry = self.entry(body[at : at + entry_bytes])
            entries.setdefault(tag, entry)
        outside = sorted((entry.offset, entry.offset + entry.size) for entry in entries.values() if entry.offset)
        for first, end in _merged(outside):
            self.buffer.get(first, end - first)
        following = struct.unpack(self.order + ("Q" if self.big else "I"), body[count * entry_bytes :])[0]
        return entries, int(following)

    def entry(self, data: bytes) -> tuple[int, _TagEntry]:
        tag, kind = struct.unpack(self.order + "HH", data[:4])
        count = struct.unpack(self.order + ("Q" if self.big else "I"), data[4 : 12 if self.big else 8])[0]
        value = data[12:] if self.big else data[8:]
        entry = _TagEntry(kind, int(count), value, 0)
        if entry.size > len(value):
            where = struct.unpack(self.order + ("Q" if self.big else "I"), value)[0]
            entry = _TagEntry(kind, int(count), b"", int(where))
        return int(tag), entry

    def values(self, entry: _TagEntry) -> npt.NDArray[np.int64]:
        letter = _STRUCT_CODES.get(entry.kind)
        if letter is None:
            raise SourceCorrupt(f"a TIFF tag of type {entry.kind}", source=self.buffer.source)
        data = self.buffer.get(entry.offset, entry.size) if entry.offset else entry.inline[: entry.size]
        return np.frombuffer(data, self.order + letter).astype(np.int64)

    def level(self, entries: dict[int, _TagEntry]) -> IndexedLevel | None:
        def first(tag: int, default: int) -> int:
            return int(self.values(entries[tag])[0]) if tag in entries else default

        width, height = first(_WIDTH, 0), first(_HEIGHT, 0)
        is_tiled = _TILE_OFFSETS in entries
        block_width = first(_TILE_WIDTH, width)
        block_height = first(_TILE_HEIGHT, 0) if is_tiled else min(first(_ROWS, height), height)
        if min(width, height, block_width, block_height) < 1:
            raise SourceCorrupt(f"an image of {width} x {height} pixels", source=self.buffer.source)
        blocks = -(-width // block_width) * -(-height // block_height)
        if blocks > _MOST_BLOCKS:
            raise SourceCorrupt(f"{blocks} blocks, at most {_MOST_BLOCKS} are read", source=self.buffer.source)
        offsets_tag, counts_tag = (_TILE_OFFSETS, _TILE_COUNTS) if is_tiled else (_STRIP_OFFSETS, _STRIP_COUNTS)
        if offsets_tag not in entries or counts_tag not in entries:
            return None
        offsets, counts = self.values(entries[offsets_tag])[:blocks], self.values(entries[counts_tag])[:blocks]
        if offsets.size != blocks or counts.size != blocks:
            return None
        if (counts < 0).any() or (offsets < 0).any() or (offsets + counts > self.buffer.size).any():
            raise SourceCorrupt(
                "truncated: blocks are outside the file", source=self.buffer.source, remedy="fetch it again"
            )
        return IndexedLevel(width, height, block_width, block_height, offsets, counts, bool(first(_SUBFILE, 0) & 4))

    def _u4(self, data: bytes) -> int:
        return int(struct.unpack(self.order + "I", data)[0])


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted ranges, those less than 4 KiB apart as one."""
    found: list[tuple[int, int]] = []
    for start, end in ranges:
        if found and start <= found[-1][1] + 4096:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
