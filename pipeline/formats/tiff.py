"""The part of TIFF needed to assemble COGs: read tags and tile offsets of a file, lay out another.

GDAL encodes tiles while windows stream into a plain GeoTIFF; this module only moves the encoded tiles: headers first,
overviews next, full resolution last, as in GDAL's own COG layout. Nothing is decoded or encoded twice.

Source: TIFF 6.0; BigTIFF; GDAL's COG driver documentation, "Header ghost area" and tile leaders and trailers.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.errors import ExportError

TYPE_SIZES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes per value of each TIFF 6.0 and BigTIFF type."""
_SHORT, _LONG, _LONG8 = 3, 4, 16
_SUBFILE_TYPE, _TILE_OFFSETS, _TILE_COUNTS = 254, 324, 325
_PHOTOMETRIC, _COLOUR_MAP, _PALETTE = 262, 320, 3
# Tags that an overview repeats from its own file: structure and nodata, but neither georeference nor metadata.
_OVERVIEW_TAGS: Final = (256, 257, 258, 259, 262, 277, 284, 317, 320, 322, 323, 338, 339, 42113, 50674)
_GHOST: Final = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_LEADER_BYTES: Final = 4
_TRAILER_BYTES: Final = 4
_CLASSIC_LIMIT: Final = 4_000_000_000

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag's value: TIFF type, count and little-endian bytes."""

    kind: int
    count: int
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class WrittenLevel:
    """One resolution: file, offset and size of its encoded tiles, row by row; size 0 is a tile of void only."""

    path: Path
    tags: dict[int, Entry]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


def read_level(path: Path) -> WrittenLevel:
    """Read the first image of a little-endian, tiled TIFF or BigTIFF.

    Raises:
        ExportError: it is not such a file.
    """
    try:
        with path.open("rb") as file:
            tags = _read_tags(file)
        places, sizes = (_integers(tags[tag]) for tag in (_TILE_OFFSETS, _TILE_COUNTS))
    except (OSError, struct.error, KeyError, ValueError) as fault:
        raise ExportError(f"{path.name} is not a tiled TIFF: {fault!r}") from fault
    return WrittenLevel(path, tags, places, sizes)


def assemble(levels: Sequence[WrittenLevel], out_path: Path, *, colours: Mapping[int, Colour] | None = None) -> int:
    """Write full resolution and overviews (largest first) as one COG; returns its size in bytes.

    Args:
        levels: Full resolution, then overviews.
        out_path: The COG.
        colours: Colour of each value, of 8-bit rasters with one band; other values are black.

    Raises:
        OSError: the file cannot be written.
    """
    data_bytes = sum(int((level.sizes[level.sizes > 0] + _LEADER_BYTES + _TRAILER_BYTES).sum()) for level in levels)
    tile_count = sum(level.sizes.size for level in levels)
    big = data_bytes + 32 * tile_count + 1_000_000 > _CLASSIC_LIMIT
    header = _Header([_coloured(level, colours) for level in levels] if colours else levels, big=big)
    with out_path.open("wb") as out:
        out.write(header.to_bytes())
        for level in reversed(levels):
            with level.path.open("rb") as source:
                _move_tiles(source, level, out)
        return out.tell()


def _coloured(level: WrittenLevel, colours: Mapping[int, Colour]) -> WrittenLevel:
    """The level with a colour table, in the 16 bits that TIFF gives a channel."""
    table = np.zeros((3, 256), "<u2")
    for value, colour in colours.items():
        table[:, value] = np.array(colour) * 257
    palette = Entry(_SHORT, 1, struct.pack("<H", _PALETTE))
    return replace(level, tags={**level.tags, _PHOTOMETRIC: palette, _COLOUR_MAP: Entry(_SHORT, 768, table.tobytes())})


def _move_tiles(source: BinaryIO, level: WrittenLevel, out: BinaryIO) -> None:
    for place, size in zip(level.offsets.tolist(), level.sizes.tolist(), strict=True):
        if not size:
            continue
        source.seek(place)
        tile = source.read(size)
        if len(tile) != size:
            raise ExportError(f"{level.path.name} ends inside a tile")
        out.write(struct.pack("<I", size))
        out.write(tile)
        out.write(tile[-_TRAILER_BYTES:].rjust(_TRAILER_BYTES, b"\0"))


class _Header:
    """Everything before the tiles: signature, ghost area, one directory per level followed by its values."""

    def __init__(self, levels: Sequence[WrittenLevel], *, big: bool) -> None:
        self._big = big
        ghost = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_GHOST) + _GHOST
        first = _aligned((16 if big else 8) + len(ghost))
        tables = [self._tags(level, index) for index, level in enumerate(levels)]
        sizes = [self._directory_bytes(tags) for tags in tables]
        ends = np.cumsum([first, *sizes])
        places = self._place_tiles(levels, int(ends[-1]))
        self._prefix = self._signature(first) + ghost
        self._prefix = self._prefix.ljust(first, b"\0")
        self._directories = []
        for index, tags in enumerate(tables):
            offsets = places[index]
            kind, code = (_LONG8, "<u8") if big else (_LONG, "<u4")
            tags[_TILE_OFFSETS] = Entry(kind, offsets.size, offsets.astype(code).tobytes())
            following = int(ends[index + 1]) if index + 1 < len(tables) else 0
            self._directories.append(self._directory(tags, int(ends[index]), following))

    def to_bytes(self) -> bytes:
        return self._prefix + b"".join(self._directories)

    def _tags(self, level: WrittenLevel, index: int) -> dict[int, Entry]:
        kept = level.tags if index == 0 else {tag: level.tags[tag] for tag in _OVERVIEW_TAGS if tag in level.tags}
        tags = {tag: entry for tag, entry in kept.items() if tag not in {_SUBFILE_TYPE, _TILE_OFFSETS, _TILE_COUNTS}}
        if index:
            tags[_SUBFILE_TYPE] = Entry(_LONG, 1, struct.pack("<I", 1))
        count = level.sizes.size
        tags[_TILE_COUNTS] = Entry(_LONG, count, level.sizes.astype("<u4").tobytes())
        width = 8 if self._big else 4
        tags[_TILE_OFFSETS] = Entry(_LONG8 if self._big else _LONG, count, bytes(width * count))
        return tags

    @staticmethod
    def _place_tiles(levels: Sequence[WrittenLevel], start: int) -> list[npt.NDArray[np.int64]]:
        places: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)] * len(levels)
        for index in reversed(range(len(levels))):
            sizes = levels[index].sizes
            framed = np.where(sizes > 0, sizes + _LEADER_BYTES + _TRAILER_BYTES, 0)
            ends = start + np.cumsum(framed)
            places[index] = np.where(sizes > 0, ends - framed + _LEADER_BYTES, 0)
            start = int(ends[-1])
        return places

    def _signature(self, first: int) -> bytes:
        if self._big:
            return b"II" + struct.pack("<HHHQ", 43, 8, 0, first)
        return b"II" + struct.pack("<HI", 42, first)

    def _directory_bytes(self, tags: dict[int, Entry]) -> int:
        inline = 8 if self._big else 4
        fixed = 8 + 20 * len(tags) + 8 if self._big else 2 + 12 * len(tags) + 4
        behind = sum(_aligned(len(entry.data)) for entry in tags.values() if len(entry.data) > inline)
        return _aligned(fixed) + behind

    def _directory(self, tags: dict[int, Entry], start: int, following: int) -> bytes:
        inline, count_code, offset_code = (8, "<Q", "<Q") if self._big else (4, "<H", "<I")
        item = "<HHQ" if self._big else "<HHI"
        fixed = 8 + 20 * len(tags) + 8 if self._big else 2 + 12 * len(tags) + 4
        table, behind = [struct.pack(count_code, len(tags))], [bytes(_aligned(fixed) - fixed)]
        place = start + _aligned(fixed)
        for tag in sorted(tags):
            entry = tags[tag]
            table.append(struct.pack(item, tag, entry.kind, entry.count))
            if len(entry.data) <= inline:
                table.append(entry.data.ljust(inline, b"\0"))
                continue
            table.append(struct.pack(offset_code, place))
            behind.append(entry.data.ljust(_aligned(len(entry.data)), b"\0"))
            place += _aligned(len(entry.data))
        table.append(struct.pack(offset_code, following))
        return b"".join(table + behind)


def _read_tags(file: BinaryIO) -> dict[int, Entry]:
    start = file.read(16)
    if start[:2] != b"II" or start[2] not in {42, 43}:
        raise ValueError("not a little-endian TIFF")
    big = start[2] == 43
    place = struct.unpack("<Q", start[8:16])[0] if big else struct.unpack("<I", start[4:8])[0]
    item, inline = (20, 8) if big else (12, 4)
    file.seek(place)
    count = struct.unpack("<Q", file.read(8))[0] if big else struct.unpack("<H", file.read(2))[0]
    table = file.read(item * count)
    tags: dict[int, Entry] = {}
    for at in range(0, item * count, item):
        tag, kind, number = struct.unpack_from("<HHQ" if big else "<HHI", table, at)
        value = table[at + item - inline : at + item]
        length = TYPE_SIZES[kind] * number
        if length > inline:
            file.seek(struct.unpack("<Q" if big else "<I", value)[0])
            value = file.read(length)
        tags[tag] = Entry(kind, number, value[:length])
    return tags


def _integers(entry: Entry) -> npt.NDArray[np.int64]:
    code = {_SHORT: "<u2", _LONG: "<u4", _LONG8: "<u8"}[entry.kind]
    return np.frombuffer(entry.data, code).astype(np.int64)


def _aligned(size: int) -> int:
    return (size + 7) // 8 * 8
