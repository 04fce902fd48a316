"""The entries of `catalogue.yaml`, validated on reading."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ELLIPSOID = "EPSG:4937"
"""Heights above GRS80 in ETRS89: the pivot between national frames."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Frame(_Entry):
    """A vertical frame; `dynamic` ones move with time and need an epoch."""

    name: str
    countries: tuple[str, ...] = ()
    kind: Literal["gravity", "ellipsoidal"] = "gravity"
    dynamic: bool = False


class GridEntry(_Entry):
    """A grid of PROJ-data: its SHA-256 and its attribution."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    licence: str
    attribution: str


class Plane(_Entry):
    """Parameters of EPSG method 1046, Vertical Offset and Slope."""

    lat_0_deg: float
    lon_0_deg: float
    offset_m: float
    slope_lat_arcsec: float
    slope_lon_arcsec: float


class Interpolation(_Entry):
    """The geodetic datum of a grid's coordinates, and the Helmert transformation from it to ETRS89."""

    title: str
    ellps: str
    helmert: str


class OperationMethod(StrEnum):
    """Kind of computation of an operation."""

    CONSTANT = "constant"
    """H_to = H_from + offset (EPSG method 9616)."""
    SLOPE = "slope"
    """The same with a tilted plane (EPSG method 1046)."""
    GEOID = "geoid"
    """h = H + N, N from a grid; the target is the ellipsoid."""
    OFFSET_GRID = "offset-grid"
    """H_to = H_from + O, O from a grid."""
    RELATIONSHIP = "relationship"
    """H_to = H_from - O: local datum to national frame as in New Zealand, whose grids hold O = H_local - H."""
    HELMERT = "helmert"
    """The height part of a time-dependent Helmert transformation."""
    ROUTE = "route"
    """Other operations in a fixed order; `-` before an id applies it backwards."""


_NEEDS: dict[OperationMethod, str] = {
    OperationMethod.CONSTANT: "offset_m",
    OperationMethod.SLOPE: "plane",
    OperationMethod.GEOID: "grid",
    OperationMethod.OFFSET_GRID: "grid",
    OperationMethod.RELATIONSHIP: "grid",
    OperationMethod.HELMERT: "helmert",
    OperationMethod.ROUTE: "route",
}


class OperationEntry(_Entry):
    """One operation of the catalogue.

    Attributes:
        interpolation: Datum of the grid, if it is not in degrees of ETRS89.
        component: Serves only as a part of routes; never chosen on its own.
        derived: Not a registered operation; `notes` contain the evidence.
        area: West, south, east, north in degrees.
        surface_tolerance_m: Allowed error of a bilinear delta surface where the grid is rougher than the surface.
    """

    id: str
    title: str
    frame_from: str = Field(alias="from")
    frame_to: str = Field(alias="to")
    method: OperationMethod
    grid: str | None = None
    interpolation: Interpolation | None = None
    offset_m: float | None = None
    plane: Plane | None = None
    helmert: str | None = None
    route: tuple[str, ...] | None = None
    accuracy_m: float | None = Field(default=None, ge=0)
    area: tuple[float, float, float, float] | None = None
    component: bool = False
    derived: bool = False
    surface_tolerance_m: float = Field(default=0.002, gt=0)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        need = _NEEDS[self.method]
        if getattr(self, need) is None:
            raise ValueError(f"operation {self.id}: method {self.method} needs {need}")
        if self.method is not OperationMethod.ROUTE and (self.accuracy_m is None or self.area is None):
            raise ValueError(f"operation {self.id} needs accuracy_m and area")
        return self


class OpenDemEntry(_Entry):
    """A row of OpenDEM Europe's table: constants in centimetres and the frames they belong to."""

    country: str
    frame_2000: str
    frame_2007: str | None = None
    evrf2000_cm: float | None = None
    evrf2007_cm: float | None = None
    area: tuple[float, float, float, float]

    def constant_cm(self, frame_from: str, frame_to: str) -> float | None:
        """The constant for a pair of frames, if the table has one."""
        if frame_to == "EPSG:5730" and frame_from == self.frame_2000:
            return self.evrf2000_cm
        if frame_to == "EPSG:5621" and frame_from == (self.frame_2007 or self.frame_2000):
            return self.evrf2007_cm
        return None
