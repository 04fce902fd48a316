"""VRTs and GDAL tile indexes over local files: their members, and checks that they neither resample nor compute.

A VRT may compute, warp or read from anywhere, and fills a missing member with nodata. Only plain mosaics of local files at
their own resolution are read, whose members exist; the members belong to the run's identity.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from orograph.pipeline.errors import SourceCorrupt, SourceGridError, SourceMissing
from orograph.pipeline.sources.raster_formats import TILE_INDEX, VRT, format_of, in_zip

_MOST_BYTES: Final = 256 * 2**20
_SAME_SIZE: Final = 1e-3
_INDEX_OPTIONS: Final = {
    "IndexLayer": "LAYER",
    "LocationField": "LOCATION_FIELD",
    "SortField": "SORT_FIELD",
    "SortFieldAsc": "SORT_FIELD_ASC",
    "Filter": "FILTER",
    "SRS": "SRS",
    "ResX": "RESX",
    "ResY": "RESY",
    "MinX": "MINX",
    "MinY": "MINY",
    "MaxX": "MAXX",
    "MaxY": "MAXY",
    "BandCount": "BAND_COUNT",
    "DataType": "DATA_TYPE",
    "NoData": "NODATA",
    "NoDataValue": "NODATA",
}
"""Elements of a description and the open options of the same meaning."""
_PLAIN_BANDS: Final = {None, "VRTSourcedRasterBand"}
_PLAIN_SOURCES: Final = {"SimpleSource", "ComplexSource"}


def members_of(name: str) -> tuple[str, ...]:
    """Check a VRT or tile index.

    Returns:
        Local paths of the files that it reads, in its order; none for other formats.

    Raises:
        SourceCorrupt: it is damaged, or reads files that are not local.
        SourceMissing: a member does not exist.
        SourceGridError: it warps, resamples or computes.
    """
    if not name.lower().endswith((*VRT.suffixes, *TILE_INDEX.suffixes)):
        return ()
    if in_zip(name) is not None:
        raise SourceCorrupt(
            f"{_basename(name)} is a mosaic inside an archive", source=name, remedy="unpack the archive"
        )
    state = Path(name).stat()
    members = _members(name, state.st_mtime_ns, state.st_size)
    missing = [member for member in members if not Path(member).is_file()]
    if missing:
        raise SourceMissing(
            f"{_basename(name)} lists {missing[0]}, which does not exist"
            + (f" ({len(missing)} members are missing)" if len(missing) > 1 else ""),
            source=name,
            remedy="put it there, or build the mosaic again (gdalbuildvrt)",
        )
    return members


def opened_index(name: str) -> tuple[str, dict[str, str]]:
    """Name and open options of a tile index for GDAL, which takes relative paths of a description from the working directory.

    Raises:
        SourceCorrupt: the description has an element that is not known.
    """
    if not name.lower().endswith(".gti"):
        return name, {}
    options: dict[str, str] = {}
    index = ""
    for element in _parsed(name):
        text = (element.text or "").strip()
        if element.tag == "IndexDataset":
            index = str(Path(name).parent / text)
        elif element.tag in _INDEX_OPTIONS:
            options[_INDEX_OPTIONS[element.tag]] = text
        else:
            raise SourceCorrupt(
                f"{_basename(name)} has a {element.tag}, which is not read", source=name, remedy="give the index itself"
            )
    if not index.lower().endswith(TILE_INDEX.suffixes):
        # GDAL takes members of other indexes from the working directory too, and leaves void those it does not find.
        raise SourceCorrupt(
            f"{_basename(name)} names no IndexDataset *.gti.gpkg or *.gti.fgb",
            source=name,
            remedy="name the index so",
        )
    return index, options


@lru_cache(maxsize=64)
def _members(name: str, _modified_ns: int, size: int) -> tuple[str, ...]:
    if format_of(name) is TILE_INDEX:
        found = _indexed(name)
    else:
        if size > _MOST_BYTES:
            raise SourceCorrupt(f"{_basename(name)} has {size / 2**20:.0f} MiB", source=name, remedy="use a tile index")
        found = _sources(_parsed(name), name)
    remote = next((member for member in found if "://" in member or ":/" in member or "/vsi" in member), None)
    if remote is not None:
        raise SourceCorrupt(
            f"{_basename(name)} reads {remote}, which is not a local file",
            source=name,
            remedy="list the files themselves in the source catalogue, or index them as `tile-index`",
        )
    return tuple(dict.fromkeys(found))


def _parsed(name: str) -> Element:
    try:
        return fromstring(Path(name).read_bytes(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise SourceCorrupt(f"{_basename(name)} is not XML: {error}", source=name) from error


def _sources(root: Element, name: str) -> list[str]:
    if root.get("subClass") is not None:
        raise _computes(name, f"is a {root.get('subClass')}")
    found = []
    for band in root.iter("VRTRasterBand"):
        if band.get("subClass") not in _PLAIN_BANDS:
            raise _computes(name, f"has a {band.get('subClass')}")
        for source in band:
            if source.tag.endswith("Source"):
                _check_source(source, name)
                found.append(_path_of(source, name))
    if not found:
        raise SourceCorrupt(f"{_basename(name)} lists no file", source=name, remedy="build it again (gdalbuildvrt)")
    return found


def _check_source(source: Element, name: str) -> None:
    if source.tag not in _PLAIN_SOURCES:
        raise _computes(name, f"has a {source.tag}")
    if any(source.find(tag) is not None for tag in ("LUT", "Exponent", "ColorTableComponent")):
        raise _computes(name, "maps its values")
    there, here = source.find("SrcRect"), source.find("DstRect")
    if there is None or here is None:
        return
    for side in ("xSize", "ySize"):
        ratio = float(here.get(side, 0)) / float(there.get(side, 1))
        if not math.isclose(ratio, 1.0, rel_tol=_SAME_SIZE):
            raise SourceGridError(
                f"{_basename(name)} resamples {_basename(source.findtext('SourceFilename') or '')} by {ratio:.3g}, pixel by pixel",
                source=name,
                remedy="build one mosaic per resolution (gdalbuildvrt -tr), or list the files themselves",
            )


def _path_of(source: Element, name: str) -> str:
    element = source.find("SourceFilename")
    text = "" if element is None else (element.text or "").strip()
    if element is not None and element.get("relativeToVRT") == "1":
        return str(Path(name).parent / text)
    return text


def _computes(name: str, how: str) -> SourceGridError:
    return SourceGridError(
        f"{_basename(name)} {how}: its heights are computed, not read",
        source=name,
        remedy="write them as a GeoTIFF first (gdal_translate), with the resampling you want",
    )


def _indexed(name: str) -> list[str]:
    """Members of a tile index; relative locations are next to it, as GDAL takes them."""
    import pyogrio

    index, options = opened_index(name)
    column = options.get("LOCATION_FIELD", "location")
    try:
        meta, _, _, columns = pyogrio.raw.read(index, layer=options.get("LAYER"), read_geometry=False)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise SourceCorrupt(f"{_basename(name)} is not a tile index: {error}", source=name) from error
    names = list(meta["fields"])
    if column not in names:
        raise SourceCorrupt(f"{_basename(name)} has no column {column!r}: {', '.join(names)}", source=name)
    return [str(Path(index).parent / str(location)) for location in columns[names.index(column)]]


def _basename(name: str) -> str:
    return name.rpartition("/")[2]
