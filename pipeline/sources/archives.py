"""Zip and 7z archives of rasters: their members, and the name by which GDAL reads a member of a zip."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from orograph.pipeline.errors import IngestNeeded, OrographError, SourceCorrupt, SourceMissing
from orograph.pipeline.sources.raster_formats import ESRI_GRID, SUFFIXES, format_of, ingest_remedy

ZIP_SUFFIX: Final = ".zip"
SEVEN_ZIP_SUFFIX: Final = ".7z"
_HEADER: Final = "hdr.adf"
_TEXT_OF_ANY_KIND: Final = (".txt", ".csv", ".dat", ".img", ".raw")
"""Suffixes of rasters that other files have too; the content decides."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive.

    Attributes:
        name: Path inside the archive.
        size_bytes: Unpacked size.
    """

    name: str
    size_bytes: int


def is_archive(name: str) -> bool:
    """Whether a name is one of a zip or 7z archive, in upper or lower case."""
    return name.lower().endswith((ZIP_SUFFIX, SEVEN_ZIP_SUFFIX))


def gdal_path(path: str) -> str:
    """Return the GDAL name of a local raster: of an Esri grid's folder its header, of a zip archive its one raster.

    Raises:
        SourceMissing: a folder that is not an Esri grid.
        SourceCorrupt: the archive is damaged or contains no raster.
        IngestNeeded: it contains several rasters, or is a 7z archive.
    """
    if Path(path).is_dir():
        if not (Path(path) / _HEADER).is_file():
            raise SourceMissing(f"{path} is a folder, not a raster", source=path, remedy="name the files in it")
        return str(Path(path) / _HEADER)
    if not is_archive(path) or not Path(path).is_file():
        return path
    name = PurePosixPath(path).name
    if path.lower().endswith(SEVEN_ZIP_SUFFIX):
        raise IngestNeeded(f"{name} is a 7z archive, which has no windows", source=path, remedy=ingest_remedy(path))
    inner = [member.name for member in rasters(members(Path(path)))]
    if len(inner) > 1:
        inner = [member for member in inner if _is_raster(f"/vsizip/{path}/{member}")]
    if not inner:
        raise SourceCorrupt(f"{name} contains no raster", source=path, remedy="check what was downloaded")
    if len(inner) > 1:
        raise IngestNeeded(
            f"{name} contains {len(inner)} rasters, one can be read directly", source=path, remedy=ingest_remedy(path)
        )
    return f"/vsizip/{path}/{inner[0]}"


def members(path: Path) -> list[Member]:
    """Files of an archive in its order, without folders, `__MACOSX` and hidden files.

    Raises:
        SourceCorrupt: it is damaged or encrypted.
        PackageMissing: it is a 7z archive and py7zr is not installed.
    """
    try:
        if path.name.lower().endswith(SEVEN_ZIP_SUFFIX):
            with _seven_zip(path) as archive:
                found = [Member(one.filename, one.uncompressed) for one in archive.list() if not one.is_directory]
        else:
            with zipfile.ZipFile(path) as packed:
                found = [Member(one.filename, one.file_size) for one in packed.infolist() if not one.is_dir()]
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise SourceCorrupt(
            f"{path.name} is not an archive, or is damaged: {error}", source=str(path), remedy="fetch it again"
        ) from error
    return [member for member in found if _is_visible(member.name)]


def rasters(listed: Sequence[Member]) -> list[Member]:
    """Members that may be rasters, by their names; an Esri grid's folder is represented by its `hdr.adf`."""
    found = []
    for member in listed:
        lower = member.name.lower()
        if lower.endswith(ESRI_GRID.suffixes):
            if PurePosixPath(lower).name == _HEADER:
                found.append(member)
        elif lower.endswith(SUFFIXES) or _has_header(member, listed):
            found.append(member)
    certain = [one for one in found if not one.name.lower().endswith(_TEXT_OF_ANY_KIND)]
    return certain or found


def companions_in(member: Member, listed: Sequence[Member]) -> list[Member]:
    """Members that belong to a raster: of the same folder and stem, or all of an Esri grid's folder."""
    place = PurePosixPath(member.name)
    found = []
    for one in listed:
        other = PurePosixPath(one.name)
        if one == member or other.parent != place.parent or is_archive(one.name):
            continue
        grid = place.suffix.lower() == ".adf"
        if grid or other.name.startswith(f"{place.stem}.") or other.name.startswith(f"{place.name}."):
            found.append(one)
    return found


def unpack(path: Path, wanted: Sequence[Member], folder: Path) -> None:
    """Write members below a folder, with their folders.

    Raises:
        SourceCorrupt: a member is damaged, encrypted, or would be written outside the folder.
        PackageMissing: see `members`.
        OSError: the disk is full.
    """
    for member in wanted:
        if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
            raise SourceCorrupt(f"{path.name} has a member outside itself: {member.name}", source=str(path))
    try:
        if path.name.lower().endswith(SEVEN_ZIP_SUFFIX):
            with _seven_zip(path) as archive:
                archive.extract(folder, targets=[member.name for member in wanted])
            return
        with zipfile.ZipFile(path) as packed:
            for member in wanted:
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member.name) as data, target.open("wb") as out:
                    shutil.copyfileobj(data, out, 2**20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceCorrupt(
            f"{path.name} is damaged or encrypted: {error}", source=str(path), remedy="fetch it again, or unpack it"
        ) from error


def _is_visible(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "__MACOSX" not in parts and not any(part.startswith(".") for part in parts)


def _has_header(member: Member, listed: Sequence[Member]) -> bool:
    """Whether a member without a suffix has an ENVI header next to it."""
    name = PurePosixPath(member.name)
    return not name.suffix and any(one.name.lower() == f"{member.name}.hdr".lower() for one in listed)


def _is_raster(name: str) -> bool:
    try:
        format_of(name)
    except OrographError:
        return False
    return True


@contextlib.contextmanager
def _seven_zip(path: Path) -> Iterator[Any]:
    """An open 7z archive; its library's errors become those of zip archives."""
    import lzma

    import py7zr

    try:
        with py7zr.SevenZipFile(path) as archive:
            yield archive
    except (py7zr.exceptions.ArchiveError, lzma.LZMAError) as error:
        raise zipfile.BadZipFile(str(error)) from error
