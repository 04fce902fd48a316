"""Pixel interpretation (point or area) of a raster, from its tag, its declaration and the phase of its grid."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from affine import Affine

from orograph.pipeline.errors import SourceGridError

_PHASE_TOLERANCE_PX: Final = 0.02


class PixelIs(StrEnum):
    """Pixel interpretation of a raster's georeferencing."""

    AREA = "area"
    POINT = "point"


def placed_pixels(
    points: bool | None, declared: PixelIs | None, affine: Affine, label: str
) -> tuple[PixelIs, Affine, str | None]:
    """Pixel interpretation and the corner-based transform that goes with it.

    GDAL's transform is corner based: it moves files tagged Point by half a pixel. A file of points that lost its tag is
    in one of two states; the phase of its grid distinguishes them. Samples of such products are at whole multiples of
    the spacing. A crop that kept the transform has corners half a pixel off these multiples and is correct; a file that
    places its first sample at the corner has its corners on the multiples and is half a pixel off.

    Args:
        points: Whether the file's tag says Point; None where it has no tag.
        declared: Interpretation declared in the catalogue or command.
        affine: GDAL's transform, north up.
        label: Name of the file in messages.

    Returns:
        Interpretation, transform, and the origin of the interpretation; None for the declaration.

    Raises:
        SourceGridError: tag and declaration contradict each other, and the phase does not decide between them.
    """
    if declared is None:
        return (
            (PixelIs.POINT, affine, "file")
            if points
            else (PixelIs.AREA, affine, "file" if points is False else "default")
        )
    if points and declared is PixelIs.AREA:
        raise SourceGridError(
            f"{label} declares points, its source declares areas",
            remedy="remove `pixel: area` from the source catalogue if the file is right, or correct the file's AREA_OR_POINT",
        )
    if points or declared is PixelIs.AREA:
        return declared, affine, "file" if points is not None else None
    corner = _phase(affine)
    if corner == "half":
        return PixelIs.POINT, affine, "phase of the grid"
    if corner == "whole":
        return PixelIs.POINT, affine @ Affine.translation(-0.5, -0.5), "phase of the grid"
    raise SourceGridError(
        f"{label} declares areas, its source declares points, and its grid does not show which is right",
        remedy="write the tag (gdal_edit.py -mo AREA_OR_POINT=Point) if samples are points, else remove `pixel: point`",
    )


def _phase(affine: Affine) -> str | None:
    """Return the phase of the corners in units of the spacing: `whole` or `half` multiples, None for neither."""
    for name, wanted in (("whole", 0.0), ("half", 0.5)):
        if all(
            _off(corner / size, wanted) <= _PHASE_TOLERANCE_PX
            for corner, size in ((affine.c, affine.a), (affine.f, affine.e))
        ):
            return name
    return None


def _off(position: float, wanted: float) -> float:
    """Distance in pixels to the nearest position of that fraction."""
    return abs((position - wanted + 0.5) % 1.0 - 0.5)
