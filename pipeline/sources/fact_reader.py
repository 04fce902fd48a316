"""Read the facts of a height raster, from the file itself and from its catalogue or command.

A fact stated by only one of them is accepted, and the manifest records its origin. A contradiction is an error that
names the wrong statement where it can be determined. `single_raster` applies the exact conversions when it reads
heights: masks, scale and offset, units, nodata of side-cars, world files, rows from the east or the south.
"""

from __future__ import annotations

from pathlib import Path

from affine import Affine

from orograph.pipeline.core.pixel_is import PixelIs, placed_pixels
from orograph.pipeline.errors import OrographError, SourceMissing
from orograph.pipeline.sources.agreement import (
    agreed_horizontal,
    agreed_unit,
    agreed_vertical,
    bounds_of,
    check_place,
    check_resolution,
    north_up,
    own_vertical,
    parsed_crs,
    stated_axis,
)
from orograph.pipeline.sources.facts import Declared, Facts, Word
from orograph.pipeline.sources.statement import Statement, statement_of


def read_facts(path: str, declared: Declared, *, label: str | None = None) -> Facts:
    """Read the facts of a file and check them against the declaration.

    Args:
        path: Path or name for GDAL.
        declared: Facts declared in the catalogue or command.
        label: Name in messages; the path's last part by default.

    Raises:
        SourceMissing: the file does not exist.
        SourceCorrupt: not a raster, or a damaged side-car.
        BandMismatch: more than one band.
        SourceGridError: rotated, not georeferenced, or a contradiction between file, side-car and declaration.
    """
    name = label or path.rpartition("/")[2]
    if not path.startswith("/vsi") and not Path(path).exists():
        raise SourceMissing(
            f"no file at {path}", source=declared.source, remedy="check the href in the source catalogue"
        )
    try:
        return _facts(path, statement_of(path, name), declared, name)
    except OrographError as error:
        raise error.at(source=declared.source) from error.__cause__


def _facts(path: str, statement: Statement, declared: Declared, label: str) -> Facts:
    affine, mirrored, upside_down = north_up(statement, label)
    bounds = bounds_of(affine, statement.shape)
    said = {fact: f"{Word.SIDECAR} {name}" for fact, name in statement.said_by}
    own = None if statement.crs_wkt is None else parsed_crs(statement.crs_wkt, bounds, label)
    horizontal = agreed_horizontal(own, declared, bounds, label)
    unit, metres = agreed_unit(statement, own, declared, label)
    part = own_vertical(own, statement.datum, label)
    frame = agreed_vertical(part, declared, label)
    if horizontal is not None:
        check_place(horizontal, bounds, label)
    pixel, affine, pixel_by = _placed(statement, declared, affine, label)
    if horizontal is not None and declared.resolution_m is not None:
        check_resolution(horizontal, affine, statement.shape, declared.resolution_m, label)
    words = {
        "horizontal_crs": said.get("crs_wkt", Word.FILE if own else declared.by),
        "vertical_frame": Word.FILE if part else declared.by,
        "georeferencing": said.get("affine", Word.FILE),
        "pixel_is": pixel_by or declared.by,
        "unit": said.get("unit", Word.FILE if statement.unit or stated_axis(part) else declared.by if declared.unit else Word.DEFAULT),
        "nodata": said.get("nodata", _nodata_by(statement, declared)),
        "scale": said.get("scale", Word.FILE),
        "mask": said.get("mask", Word.FILE),
    }  # fmt: skip
    if frame is None:
        del words["vertical_frame"]
    return Facts(
        path=path,
        affine=affine,
        shape=statement.shape,
        nodata=tuple(dict.fromkeys(v for v in (statement.nodata, *declared.nodata) if v is not None)),
        dtype=statement.dtype,
        horizontal_crs=horizontal,
        vertical_frame=frame,
        unit=unit,
        metres=metres,
        scale=statement.scale,
        offset=statement.offset,
        masked=statement.masked,
        alpha=statement.alpha,
        pixel=pixel,
        mirrored=mirrored,
        upside_down=upside_down,
        sidecars=bool(statement.said_by),
        said_by=tuple((fact, str(word)) for fact, word in words.items()),
    )


def _nodata_by(statement: Statement, declared: Declared) -> str:
    if statement.nodata_is_default:
        return Word.FORMAT
    return Word.FILE if statement.nodata is not None else declared.by if declared.nodata else Word.DEFAULT


def _placed(statement: Statement, declared: Declared, affine: Affine, label: str) -> tuple[PixelIs, Affine, str | None]:
    """Pixel interpretation, transform, and the origin of the interpretation; see `placed_pixels`."""
    if statement.centres:
        return declared.pixel or PixelIs.POINT, affine, None if declared.pixel else Word.FILE
    return placed_pixels(statement.points, declared.pixel, affine, label)
