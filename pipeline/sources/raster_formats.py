"""The table of raster formats that every command reads, and how a file's format is recognised.

A file is opened only with the GDAL driver that its name and first bytes indicate:
a `.tif` that contains a VRT is rejected.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from orograph.pipeline.errors import IngestNeeded, SourceCorrupt, SourceMissing

MOST_TEXT_BYTES: Final = 64 * 2**20
"""Text files up to this size are read directly: 2 million points, about a second."""
MOST_PACKED_BYTES: Final = 128 * 2**20
"""Rasters in a zip archive up to this size are read directly; a window of a larger one costs a pass over all of it."""
HGT_SIDES: Final = ((1201, 1201), (3601, 3601), (3601, 1801), (7201, 7201))
"""Rows and columns of HGT files."""
_HGT_BYTES: Final = {2 * rows * cols for rows, cols in HGT_SIDES}
_HEAD_BYTES: Final = 4096
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SEVEN_ZIP: Final = b"7z\xbc\xaf\x27\x1c"
_ZIP: Final = b"PK\x03\x04"
_GRID_KEYS: Final = (b"ncols", b"nrows", b"xllc", b"yllc", b"cellsize", b"nodata", b"dx", b"dy")
_POINT_LINE: Final = re.compile(rb"\s*[-+]?\d[-+.,\deE]*(?:[;,|\s]+[-+]?[\d.][-+.,\deE]*){2,}\s*[;,]?\s*")
_NUMBER_PAIR: Final = re.compile(rb"\s*[a-z_]+\s+[-+]?\d", re.IGNORECASE)
_ZIP_MEMBER: Final = re.compile(r"/vsizip/(.+?\.zip)/(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RasterFormat:
    """One row of the table.

    Attributes:
        name: Name in messages and reports.
        driver: GDAL driver that reads it.
        suffixes: Usual suffixes, lower case.
        most_bytes: Largest file that is read directly, without `orograph ingest`; None where windows cost the same in
            files of any size.
        companions: Suffixes, appended or replaced, of files without which it cannot be read.
        mosaic: Whether it only lists other files.
    """

    name: str
    driver: str
    suffixes: tuple[str, ...]
    most_bytes: int | None = None
    companions: tuple[str, ...] = ()
    mosaic: bool = False


GEOTIFF: Final = RasterFormat("GeoTIFF", "GTiff", (".tif", ".tiff", ".gtiff"))
HGT: Final = RasterFormat("HGT", "SRTMHGT", (".hgt",))
ASCII_GRID: Final = RasterFormat("ASCII grid", "AAIGrid", (".asc", ".agr", ".grd", ".txt"), MOST_TEXT_BYTES)
POINTS: Final = RasterFormat("XYZ text", "XYZ", (".xyz", ".txt", ".csv", ".dat"), MOST_TEXT_BYTES)
ENVI: Final = RasterFormat(
    "ENVI", "ENVI", (".img", ".dat", ".bil", ".bsq", ".bip", ".envi", ".raw"), companions=(".hdr",)
)
EHDR: Final = RasterFormat("Esri raw raster", "EHdr", (".bil", ".flt", ".dem", ".raw"), companions=(".hdr",))
SAGA: Final = RasterFormat("SAGA grid", "SAGA", (".sdat",), companions=(".sgrd",))
ESRI_GRID: Final = RasterFormat("Esri grid", "AIG", (".adf",))
IMAGINE: Final = RasterFormat("ERDAS Imagine", "HFA", (".img",))
DTED: Final = RasterFormat("DTED", "DTED", (".dt0", ".dt1", ".dt2"))
VRT: Final = RasterFormat("VRT", "VRT", (".vrt",), mosaic=True)
TILE_INDEX: Final = RasterFormat("GDAL tile index", "GTI", (".gti", ".gti.gpkg", ".gti.fgb"), mosaic=True)

FORMATS: Final = (
    GEOTIFF, HGT, ASCII_GRID, POINTS, ENVI, EHDR, SAGA, ESRI_GRID, IMAGINE, DTED, VRT, TILE_INDEX,
)  # fmt: skip
SUFFIXES: Final = tuple(sorted({suffix for one in FORMATS for suffix in one.suffixes}))


def format_of(name: str) -> RasterFormat:
    """The format of a raster, by its name and first bytes.

    Args:
        name: Local path, or name of a member of a zip archive (`/vsizip/...`).

    Raises:
        SourceMissing: there is no such file.
        SourceCorrupt: the format is not supported.
        IngestNeeded: an archive that is not read directly.
    """
    lower = name.lower()
    head = head_of(name)
    if head.startswith(_TIFF):
        return GEOTIFF
    if lower.endswith(GEOTIFF.suffixes):
        raise SourceCorrupt(_unknown(head), source=name, remedy="fetch it again, or name it by its format")
    if lower.endswith(HGT.suffixes) and size_of(name) in _HGT_BYTES:
        return HGT
    if head.startswith(_SEVEN_ZIP):
        raise IngestNeeded(
            f"{_basename(name)} is a 7z archive, which has no windows", source=name, remedy=ingest_remedy(name)
        )
    found = _by_suffix(lower) or _by_head(head) or _by_companion(name) or _by_text(head)
    if found is None:
        raise SourceCorrupt(_unknown(head), source=name, remedy=f"formats read: {', '.join(f.name for f in FORMATS)}")
    return found


def check_size(name: str, found: RasterFormat) -> None:
    """Reject files whose windows are expensive: large text, and large rasters inside an archive.

    Raises:
        IngestNeeded: the file is of this kind.
    """
    limits = [limit for limit in (found.most_bytes, MOST_PACKED_BYTES if in_zip(name) else None) if limit is not None]
    size = size_of(name) if limits else 0
    if limits and size > min(limits):
        what = f"{found.name} in an archive" if in_zip(name) else found.name
        raise IngestNeeded(
            f"{_basename(name)} has {size / 2**20:.0f} MiB of {what}, at most {min(limits) / 2**20:.0f} are read directly",
            source=name,
            remedy=ingest_remedy(name),
        )


def ingest_remedy(name: str) -> str:
    """The command that makes COGs of a file."""
    match = in_zip(name)
    return f"convert it once: orograph ingest {match[0] if match else name} --source ID --to STORE"


def in_zip(name: str) -> tuple[str, str] | None:
    """Archive and member of a name inside a zip archive; None for other names."""
    match = _ZIP_MEMBER.fullmatch(name)
    return (match[1], match[2]) if match else None


def head_of(name: str) -> bytes:
    """The first 4 KiB of a file or member; of a folder, none."""
    if Path(name).is_dir():
        return b""
    with opened_bytes(name) as file:
        return file.read(_HEAD_BYTES)


def size_of(name: str) -> int:
    """Bytes of a file or of an unpacked member."""
    place = in_zip(name)
    if place is None:
        return Path(name).stat().st_size
    with zipfile.ZipFile(place[0]) as archive:
        return archive.getinfo(place[1]).file_size


def opened_bytes(name: str) -> BinaryIO:
    """A file or member of a zip archive, open for reading.

    Raises:
        SourceMissing: there is no such file.
        SourceCorrupt: it cannot be read.
    """
    place = in_zip(name)
    try:
        if place is None:
            return Path(name).open("rb")
        with zipfile.ZipFile(place[0]) as archive:
            return archive.open(place[1])  # type: ignore[return-value]  # keeps the archive's file open
    except (FileNotFoundError, KeyError) as error:
        raise SourceMissing(f"no file at {name}", source=name) from error
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise SourceCorrupt(f"{_basename(name)} cannot be read: {error}", source=name) from error


def beside(name: str, suffix: str) -> str | None:
    """The file next to a raster with a suffix appended or replaced, in lower or upper case; None if there is none."""
    stem = name.rpartition(".")[0] if "." in _basename(name) else name
    for candidate in dict.fromkeys((stem + suffix, stem + suffix.upper(), name + suffix, name + suffix.upper())):
        if candidate != name and _exists(candidate):
            return candidate
    return None


def _exists(name: str) -> bool:
    place = in_zip(name)
    if place is None:
        return Path(name).is_file()
    with zipfile.ZipFile(place[0]) as archive:
        return place[1] in archive.NameToInfo


def _by_suffix(lower: str) -> RasterFormat | None:
    if lower.endswith(TILE_INDEX.suffixes):
        return TILE_INDEX
    if lower.endswith(ESRI_GRID.suffixes):
        return ESRI_GRID
    return None


def _by_head(head: bytes) -> RasterFormat | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<VRTDataset"):
        return VRT
    if text.startswith(b"<GDALTileIndexDataset"):
        return TILE_INDEX
    if head.startswith(b"EHFA_HEADER_TAG"):
        return IMAGINE
    if head.startswith((b"UHL1", b"HDR1", b"VOL1")):
        return DTED
    return None


def _by_companion(name: str) -> RasterFormat | None:
    header = beside(name, ".hdr")
    if header is not None and not _is_text(head_of(name)):
        return ENVI if head_of(header).lstrip().startswith(b"ENVI") else EHDR
    if name.lower().endswith(SAGA.suffixes) and beside(name, ".sgrd") is not None:
        return SAGA
    return None


def _by_text(head: bytes) -> RasterFormat | None:
    """ASCII grids start with two or more of their keys; of points, one of the first lines has three numbers."""
    if not _is_text(head):
        return None
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    first = [line.strip().lower() for line in lines[:2]]
    if len(first) == 2 and all(line.startswith(_GRID_KEYS) and _NUMBER_PAIR.match(line) for line in first):
        return ASCII_GRID
    complete = lines[:-1] if len(head) == _HEAD_BYTES else lines
    return POINTS if any(_POINT_LINE.fullmatch(line) for line in complete[:40]) else None


def _is_text(head: bytes) -> bool:
    return bool(head) and not any(byte < 9 or 13 < byte < 32 for byte in head)


def _unknown(head: bytes) -> str:
    text = head.lstrip().lower()
    if not head:
        return "the file is empty"
    if text.startswith((b"<!doctype", b"<html", b"<head")):
        return "the file is an HTML page, not a raster: the server answered with a page"
    if text.startswith(b"<"):
        return "the file is XML (perhaps a VRT or an error message), not a raster"
    if head.startswith(_ZIP):
        return "not a TIFF file but a zip archive; name it .zip"
    return f"not a TIFF or another raster of heights (it begins {head[:8]!r})"


def _basename(name: str) -> str:
    return name.rpartition("/")[2]
