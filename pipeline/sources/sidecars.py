"""Side-cars: files that describe the raster next to them, found by name and never by listing a folder.

GDAL does not search for them (see `GDAL_DISABLE_READDIR_ON_OPEN`), so an unrelated file does not change heights. An
existing side-car is part of the raster: this module finds it, adds it to the run's identity, and reads it explicitly.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import rasterio
from affine import Affine

from orograph.pipeline.errors import SourceCorrupt
from orograph.pipeline.sources.mosaic_files import members_of
from orograph.pipeline.sources.raster_formats import FORMATS, beside, in_zip, opened_bytes

APPENDED: Final = (".aux.xml", ".msk")
"""Suffixes appended to the raster's name: statements (nodata, CRS, unit, scale) and a mask."""
WORLD: Final = (".tfw", ".tifw", ".tiffw", ".wld", ".TFW")
"""Suffixes that replace the raster's own: world files."""
PROJECTION: Final = (".prj", ".PRJ")
_PLACED: Final = (*WORLD, *PROJECTION)
_REPLACED: Final = {"tif": _PLACED, "tiff": _PLACED} | dict.fromkeys(
    ("asc", "agr", "grd", "txt", "xyz", "csv", "dat", "img", "bil", "bsq", "bip", "flt", "sdat"), PROJECTION
)
"""Suffixes that replace the raster's own, by it."""
_HEADERS: Final = (".hdr", ".sgrd")
_IN_PARTS: Final = tuple(
    {suffix for one in FORMATS if one.companions or one.mosaic for suffix in one.suffixes} | {".adf"}
)
PART_ENDS: Final = frozenset(suffix[suffix.rfind(".") :] for suffix in _IN_PARTS) | {""}
"""Ends, from the last dot, of the names that `may_have_parts` accepts."""
_MOST_TEXT_BYTES: Final = 64 * 2**20
_WORLD_NUMBERS: Final = 6


def candidates(name: str) -> Iterator[str]:
    """Names of the side-cars a raster of that name may have, in any scheme (path, URL)."""
    if "?" in name or "::" in name:
        return  # a signed address is of one object, a chain of an archive's member
    yield from (name + suffix for suffix in APPENDED)
    stem, dot, suffix = name.rpartition(".")
    if dot and "/" not in suffix:
        replaced = _REPLACED.get(suffix.lower(), ())
        yield from (stem + other for other in replaced)


def remote_candidates(href: str) -> Iterator[str]:
    """Return the side-cars to request for a remote raster: those that change heights of a georeferenced raster."""
    if "?" not in href and "::" not in href:
        yield from (href + suffix for suffix in APPENDED)


def find_sidecars(path: str) -> tuple[str, ...]:
    """Side-cars of a local raster, also inside a zip archive (`/vsizip/...`); none for remote names.

    A `.prj` next to a shapefile of the same name belongs to the shapefile.
    """
    packed = in_zip(path)
    if packed is not None:
        try:
            with zipfile.ZipFile(packed[0]) as opened:
                names = opened.NameToInfo
        except (OSError, zipfile.BadZipFile):
            return ()
        return tuple(f"/vsizip/{packed[0]}/{name}" for name in candidates(packed[1]) if name in names)
    if path.startswith("/vsi") or "://" in path:
        return ()
    found: list[str] = []
    for name in candidates(path):
        place = Path(name)
        if not place.is_file() or any(place.samefile(other) for other in found):
            continue
        if name.lower().endswith(".prj") and place.with_suffix(".shp").exists():
            continue
        found.append(name)
    return tuple(found)


def companions(path: str) -> tuple[str, ...]:
    """Local files on which a raster's heights depend: side-cars, headers in separate files, members of mosaics."""
    found = [*find_sidecars(path)]
    if "://" not in path and not path.startswith("/vsi"):
        found += [header for suffix in _HEADERS if (header := beside(path, suffix)) is not None]
        if path.lower().endswith(".adf"):
            found += [str(other) for other in sorted(Path(path).parent.iterdir()) if other != Path(path)]
        for member in members_of(path):
            found += [member, *companions(member)]
    return tuple(dict.fromkeys(found))


def may_have_parts(name: str) -> bool:
    """Whether a raster of that name may consist of several files; `companions` looks for them."""
    lower = name.lower()
    suffix = lower.rpartition("/")[2].rpartition(".")[1:]
    return lower.endswith(_IN_PARTS) or not suffix[0]


def without_sidecars() -> rasterio.Env:
    """GDAL environment that ignores side-cars."""
    return rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO")


def with_sidecars() -> rasterio.Env:
    """GDAL's environment in which `.aux.xml`, `.msk` and world files are read."""
    return rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE", GDAL_PAM_ENABLED="YES")


def world_affine(text: str, name: str) -> Affine:
    """The corner-based transform of a world file, which ties the centre of the first pixel.

    Raises:
        SourceCorrupt: it does not contain six numbers.
    """
    try:
        a, d, b, e, c, f = (float(number.replace(",", ".")) for number in text.split())
    except ValueError as error:
        raise SourceCorrupt(
            f"{name} is not a world file: it must contain {_WORLD_NUMBERS} numbers",
            remedy="remove it, or write it again (gdal_translate -co TFW=YES)",
        ) from error
    return Affine(a, b, c, d, e, f) @ Affine.translation(-0.5, -0.5)


def text_of(name: str) -> str:
    """The text of a side-car, local or in an archive.

    Raises:
        SourceCorrupt: it cannot be read, or is too large for a side-car.
    """
    try:
        with opened_bytes(name) as file:
            return _decoded(file, name)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise SourceCorrupt(f"side-car {basename(name)} cannot be read: {error}") from error


def basename(name: str) -> str:
    """The last part of a path or URL."""
    return PurePosixPath(name).name


def _decoded(file: Any, name: str) -> str:
    data: bytes = file.read(_MOST_TEXT_BYTES + 1)
    if len(data) > _MOST_TEXT_BYTES:
        raise SourceCorrupt(f"side-car {basename(name)} is larger than {_MOST_TEXT_BYTES // 2**20} MiB")
    return data.decode("utf-8", errors="replace")
