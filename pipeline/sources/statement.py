"""Reads the facts stated by a raster file and its side-cars; a difference between them raises an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError

from orograph.pipeline.core.crs_identity import file_crs, same_horizontal
from orograph.pipeline.core.height_unit import height_unit
from orograph.pipeline.errors import BandMismatch, SourceCorrupt, SourceGridError
from orograph.pipeline.formats.vertical_datum import VERTICAL_DATUM_TAG
from orograph.pipeline.sources.mosaic_files import members_of
from orograph.pipeline.sources.opening import opened_raster
from orograph.pipeline.sources.sidecars import PROJECTION, WORLD, basename, find_sidecars, text_of, world_affine

_PLACE_TOLERANCE_PX: Final = 0.05
"""World files carry a dozen digits; half a pixel is the mistake to find."""
_ALPHA_BANDS: Final = 2
_ESRI_NODATA: Final = -9999.0
"""Nodata of ASCII grids without a NODATA line, by Esri's definition of the format."""
CENTRES_TAG: Final = "OROGRAPH_CENTRES"
_READ_BY_DRIVER: Final = frozenset({"AAIGrid", "EHdr", "ENVI", "SAGA"})
"""Drivers that read a `.prj` themselves."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Facts stated by a file.

    Attributes:
        affine: Pixel to CRS, corner based; None if the file is not georeferenced.
        shape: Rows, columns, as stored.
        dtype: Data type of the samples.
        crs_wkt: CRS as WKT; None if not stated.
        nodata: Declared nodata value of raw samples; None if not stated.
        scale, offset: Height = raw x scale + offset, in the unit.
        unit: Unit of the band, as written; empty if not stated.
        masked: Whether a mask marks the valid samples.
        alpha: Whether a second band (alpha) marks them; GDAL itself honours it for bytes only.
        points: Whether the tag AREA_OR_POINT is Point; None if the tag is missing.
        datum: Code of the vertical datum in the metadata (`VERTICAL_DATUM`); None if not stated.
        driver: GDAL driver of the file.
        centres: Whether the format places each sample by its centre, whatever the tag AREA_OR_POINT states.
        nodata_is_default: Whether nodata is the format's default instead of a statement.
        said_by: Name of the side-car for each fact that a side-car states.
    """

    affine: Affine | None
    shape: tuple[int, int]
    dtype: str
    crs_wkt: str | None
    nodata: float | None
    scale: float
    offset: float
    unit: str
    masked: bool
    alpha: bool
    points: bool | None
    datum: str | None = None
    driver: str = "GTiff"
    centres: bool = False
    nodata_is_default: bool = False
    said_by: tuple[tuple[str, str], ...] = ()


def statement_of(path: str, label: str) -> Statement:
    """Read the facts stated by a raster and its side-cars.

    Args:
        path: Path or name for GDAL.
        label: Name of the file in messages.

    Raises:
        SourceCorrupt: not a raster, or a damaged side-car.
        BandMismatch: more than one band of heights.
        SourceGridError: file and side-car contradict each other.
    """
    names = find_sidecars(path)
    alone = _opened_statement(path, label, sidecars=False)
    merged = alone
    if names:
        merged = _merged(alone, _opened_statement(path, label, sidecars=True), names, label)
    members = members_of(path)
    return _with_members(merged, members, label) if members else merged


def _opened_statement(path: str, label: str, *, sidecars: bool) -> Statement:
    try:
        with opened_raster(path, sidecars=sidecars) as dataset:
            return _read(dataset, label)
    except RasterioError as error:
        raise SourceCorrupt(
            f"{label} cannot be opened as a raster: {error}",
            remedy="fetch the file again, or remove it from the source catalogue",
        ) from error


def _with_members(mosaic: Statement, members: Sequence[str], label: str) -> Statement:
    """The statement of a mosaic, or an error for a fact of its members that it does not state."""
    states = tuple((member, Path(member).stat().st_mtime_ns) for member in members)
    stated = [(member, _member_statement(member, changed)) for member, changed in states]
    for member, own in stated:
        lost = [
            fact
            for fact in ("scale", "offset", "unit")
            if not _equal(fact, getattr(own, fact), getattr(mosaic, fact)) and not _silent(fact, getattr(own, fact))
        ]
        lost += ["nodata"] * (own.nodata is not None and mosaic.nodata is None)
        lost += ["mask"] * ((own.masked or own.alpha) and not (mosaic.masked or mosaic.alpha))
        if lost:
            raise SourceGridError(
                f"{basename(member)} states {lost[0]}, which the mosaic {label} does not",
                remedy="build the mosaic again (gdalbuildvrt), or list the files themselves in the source catalogue",
            )
    data = {own.datum for _, own in stated}
    if mosaic.datum is None and len(data) > 1:
        raise SourceGridError(f"the members of {label} have different vertical datums: {sorted(map(str, data))}")
    points = {own.points for _, own in stated}
    return replace(
        mosaic,
        datum=mosaic.datum or data.pop(),
        points=points.pop() if mosaic.points is None and len(points) == 1 else mosaic.points,
    )


@lru_cache(maxsize=16_384)
def _member_statement(member: str, _modified_ns: int) -> Statement:
    return statement_of(member, basename(member))


def _read(dataset: Any, label: str) -> Statement:
    alpha = dataset.count == _ALPHA_BANDS and dataset.colorinterp[1] == ColorInterp.alpha
    if dataset.count != 1 and not alpha:
        raise BandMismatch(
            f"{label} has {dataset.count} bands, heights have one",
            remedy="extract the band of heights (gdal_translate -b)",
        )
    dtype = str(dataset.dtypes[0])
    if dtype.startswith("complex"):
        raise SourceGridError(f"{label} contains complex numbers, not heights", remedy="write one real band")
    flags = dataset.mask_flag_enums[0]
    tag = dataset.tags().get("AREA_OR_POINT")
    identity = dataset.transform == Affine.identity()
    esri_default = dataset.driver == "AAIGrid" and dataset.nodata is None
    return Statement(
        affine=None if identity else dataset.transform,
        shape=dataset.shape,
        dtype=dtype,
        crs_wkt=_crs_of(dataset),
        nodata=_ESRI_NODATA if esri_default else dataset.nodata,
        scale=float(dataset.scales[0]),
        offset=float(dataset.offsets[0]),
        unit=(dataset.units[0] or "").strip(),
        masked=MaskFlags.per_dataset in flags and not alpha,
        alpha=alpha,
        points=None if tag is None else tag.lower() == "point",
        datum=dataset.tags().get(VERTICAL_DATUM_TAG),
        driver=dataset.driver,
        centres=CENTRES_TAG in dataset.tags(),
        nodata_is_default=esri_default,
    )


def _crs_of(dataset: Any) -> str | None:
    """WKT of the CRS; None also for the local CRS that GDAL makes of keys that name none."""
    if dataset.crs is None:
        return None
    wkt = str(dataset.crs.to_wkt())
    return None if wkt.startswith(("LOCAL_CS", "ENGCRS", "ENGINEERINGCRS")) else wkt


def _merged(alone: Statement, together: Statement, names: Sequence[str], label: str) -> Statement:
    """Merge two statements; raise an error where they contradict each other."""
    by = _speakers(names)
    said: dict[str, str] = {}
    _check_crs(alone, together, by.get("statements", ""), label)
    for fact in ("nodata", "scale", "offset", "unit", "affine", "crs_wkt", "points"):
        one, other = getattr(alone, fact), getattr(together, fact)
        if _equal(fact, one, other):
            continue
        speaker = by.get("world" if fact == "affine" and "world" in by else "statements", basename(names[0]))
        if not _silent(fact, one):
            raise SourceGridError(
                f"{label} and its side-car {speaker} contradict each other: {fact} {_shown(one)} and {_shown(other)}",
                remedy=f"remove {speaker}, or correct the one that is wrong",
            )
        said[fact] = speaker
    if together.masked and not alone.masked:
        said["mask"] = by.get("mask", by.get("statements", ""))
    return _with_texts(replace(together, said_by=tuple(said.items())), names, label)


def _speakers(names: Sequence[str]) -> dict[str, str]:
    by: dict[str, str] = {}
    for name in names:
        kind = (
            "statements" if name.endswith(".aux.xml")
            else "mask" if name.endswith(".msk")
            else "world" if name.endswith(WORLD)
            else "projection"
        )  # fmt: skip
        by.setdefault(kind, basename(name))
    return by


def _silent(fact: str, value: Any) -> bool:
    """Return whether a value is GDAL's default for a fact that is not stated."""
    return value is None or value == {"scale": 1.0, "offset": 0.0, "unit": ""}.get(fact)


def _equal(fact: str, one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    if fact == "affine":
        return _same_place(one, other)
    if fact == "crs_wkt":
        return True
    if fact == "unit":
        return bool(one == other) or (height_unit(one) is not None and height_unit(one) == height_unit(other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def _same_place(one: Affine, other: Affine) -> bool:
    back = ~one
    return all(_near(back @ (other @ corner), corner) for corner in ((0.0, 0.0), (1000.0, 1000.0)))


def _near(place: tuple[float, float], wanted: tuple[float, float]) -> bool:
    return all(abs(a - b) <= _PLACE_TOLERANCE_PX for a, b in zip(place, wanted, strict=True))


def _check_crs(alone: Statement, together: Statement, speaker: str, label: str) -> None:
    if alone.crs_wkt is None or together.crs_wkt is None or alone.crs_wkt == together.crs_wkt:
        return
    bounds = _bounds(together)
    ours, theirs = file_crs(alone.crs_wkt, bounds), file_crs(together.crs_wkt, bounds)
    upright = (ours.vertical, theirs.vertical)
    vertical_differs = None not in upright and upright[0] != upright[1]
    if vertical_differs or not same_horizontal(ours, theirs.text, bounds):
        raise SourceGridError(
            f"{label} and its side-car {speaker} contradict each other: {ours.label} and {theirs.label}",
            remedy=f"remove {speaker}, or correct the one that is wrong",
        )


def _bounds(statement: Statement) -> tuple[float, float, float, float]:
    affine = statement.affine or Affine.identity()
    corners = [affine @ (x, y) for x in (0, statement.shape[1]) for y in (0, statement.shape[0])]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _with_texts(merged: Statement, names: Sequence[str], label: str) -> Statement:
    """The statement with world file and `.prj`, which GDAL ignores where the file has keys, or always."""
    said = dict(merged.said_by)
    for name in names:
        if name.endswith(WORLD):
            affine = world_affine(text_of(name), basename(name))
            if merged.affine is None:
                merged = replace(merged, affine=affine)
                said["affine"] = basename(name)
            elif not _same_place(merged.affine, affine):
                raise SourceGridError(
                    f"{label} and its world file {basename(name)} place it differently: "
                    f"{_shown(merged.affine)} and {_shown(affine)}",
                    remedy=f"remove {basename(name)}, or correct the one that is wrong",
                )
        elif name.endswith(PROJECTION):
            if merged.crs_wkt is None:
                merged = replace(merged, crs_wkt=_projection(text_of(name), basename(name)))
                said["crs_wkt"] = basename(name)
            elif merged.driver in _READ_BY_DRIVER:
                said.setdefault("crs_wkt", basename(name))
    return replace(merged, said_by=tuple(said.items()))


def _projection(text: str, name: str) -> str:
    try:
        return str(CRS.from_user_input(text.strip()).to_wkt())
    except CRSError as error:
        raise SourceCorrupt(f"{name} does not contain a CRS: {error}", remedy="remove it, or write WKT") from error


def _shown(value: Any) -> str:
    return (
        str(tuple(value)[:6])
        if isinstance(value, Affine)
        else f"{value:g}"
        if isinstance(value, float)
        else repr(value)
    )
