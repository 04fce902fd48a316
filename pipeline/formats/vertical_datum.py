"""The vertical datum of a raster file: written as metadata, read from metadata or from a compound CRS.

Products carry their horizontal CRS only. With a compound CRS gdalwarp moves heights to the ellipsoid whenever the
target is a 2D CRS and the geoid grid happens to be installed: 43 m in the Netherlands, without a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pyproj import CRS

from orograph.pipeline.errors import VerticalFrameMissing

VERTICAL_DATUM_TAG: Final = "VERTICAL_DATUM"
"""Metadata item with the code of the vertical CRS, such as `EPSG:5621`."""

VERTICAL_NAME_TAG: Final = "VERTICAL_DATUM_NAME"
"""Metadata item with the name of the vertical CRS."""


def vertical_tags(frame: str) -> dict[str, str]:
    """Metadata items that name the vertical datum of a file's heights.

    Args:
        frame: Frame of the vertical catalogue; a country after `@` is left out, the datum is the same.

    Raises:
        VerticalFrameMissing: the frame has no code of its own (a user's own frame).
    """
    code = frame.partition("@")[0]
    if not code.startswith("EPSG:"):
        raise VerticalFrameMissing(f"{frame!r} is not a vertical CRS", remedy="use a code such as EPSG:5621")
    return {VERTICAL_DATUM_TAG: code, VERTICAL_NAME_TAG: CRS.from_user_input(code).name}


def declared_datum(crs: CRS, tags: Mapping[str, str]) -> str | None:
    """Code of the vertical datum that a file declares in metadata or compound CRS; None without a code."""
    if crs.is_compound:
        code = crs.sub_crs_list[1].to_epsg()
        return f"EPSG:{code}" if code else None
    return tags.get(VERTICAL_DATUM_TAG)
