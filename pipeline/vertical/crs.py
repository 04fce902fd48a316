"""Compound CRS: a horizontal CRS and a vertical frame in one description for files and catalogues."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from pyproj import CRS
from pyproj.crs.crs import CompoundCRS
from pyproj.exceptions import CRSError

from orograph.pipeline.errors import SourceGridError, VerticalFrameMissing


@lru_cache(maxsize=64)
def compound_crs(horizontal: str, frame: str) -> CRS:
    """Horizontal CRS and vertical frame as one CRS, the same text in every process; see `_compound_crs`.

    PROJ keeps objects by code in a cache per thread, and a search for a matching code (`to_epsg`) stores them
    without their datum ensemble, so the text of a CRS would depend on earlier calls. A separate thread starts with an
    empty cache.
    """
    with ThreadPoolExecutor(1) as fresh:
        return CRS.from_wkt(fresh.submit(_compound_wkt, horizontal, frame).result())


def _compound_wkt(horizontal: str, frame: str) -> str:
    return str(_compound_crs(horizontal, frame).to_wkt("WKT2_2019"))


def _compound_crs(horizontal: str, frame: str) -> CRS:
    """Horizontal CRS and vertical frame as one CRS; ellipsoidal frames give the 3D form of the horizontal CRS.

    Args:
        horizontal: 2D CRS, e.g. `EPSG:3035`.
        frame: Frame of the vertical catalogue; a country after `@` is left out, the CRS is the same.

    Raises:
        SourceGridError: the horizontal CRS is not a known 2D CRS.
        VerticalFrameMissing: the frame has no code of its own (a user's own frame).
    """
    try:
        flat = CRS.from_user_input(horizontal)
    except CRSError as error:
        raise SourceGridError(f"{horizontal!r} is not a CRS") from error
    if flat.is_compound or flat.is_vertical or len(flat.axis_info) != 2:
        raise SourceGridError(f"{horizontal!r} is not a 2D CRS")
    code = frame.partition("@")[0]
    try:
        upright = CRS.from_user_input(code)
    except CRSError as error:
        raise VerticalFrameMissing(f"{frame!r} is not a vertical CRS", remedy="use a code such as EPSG:5621") from error
    if upright.is_vertical:
        return CompoundCRS(f"{flat.name} + {upright.name}", [flat, upright])
    if upright.is_geographic and len(upright.axis_info) == 3:
        return flat.to_3d(f"{flat.name} with ellipsoidal height")
    raise VerticalFrameMissing(f"{frame!r} is neither a vertical CRS nor a geographic 3D one")
