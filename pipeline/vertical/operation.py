"""An operation: pinned steps that give the height offset at a point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from pyproj._network import set_network_enabled

from orograph.pipeline.errors import EpochMissing, NoVerticalOperation, OutsideAreaOfUse
from orograph.pipeline.vertical.grids import GridFile, verified, whole_cells

DegreeArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Area:
    """A box of geographic ETRS89 in degrees, borders included; no box crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        if not (-180 <= self.west < self.east <= 180 and -90 <= self.south < self.north <= 90):
            raise OutsideAreaOfUse(f"not an area in degrees: {self.west}, {self.south}, {self.east}, {self.north}")

    def holds(self, lon_deg: DegreeArray, lat_deg: DegreeArray) -> npt.NDArray[np.bool_]:
        """True where a point is inside."""
        return (lon_deg >= self.west) & (lon_deg <= self.east) & (lat_deg >= self.south) & (lat_deg <= self.north)

    def meets(self, other: Area) -> Area | None:
        """The intersection of two areas, or None."""
        west, south = max(self.west, other.west), max(self.south, other.south)
        east, north = min(self.east, other.east), min(self.north, other.north)
        return Area(west, south, east, north) if west < east and south < north else None

    def __str__(self) -> str:
        return f"{self.west:g} to {self.east:g} E, {self.south:g} to {self.north:g} N"


@dataclass(frozen=True, slots=True)
class Step:
    """One catalogued operation, forwards or backwards.

    Attributes:
        id: Its id in the catalogue, e.g. `EPSG:5199`; the label of a record.
        proj: PROJ steps for lon, lat in radians and height in metres, forwards.
        inverse: Applied backwards.
        area: Where it may be used.
        accuracy_m: Its published or derived standard deviation.
        grid: The grid it reads, or None.
    """

    id: str
    proj: str
    inverse: bool
    area: Area
    accuracy_m: float
    grid: GridFile | None = None

    @property
    def label(self) -> str:
        """The id, marked if it is applied backwards."""
        return f"{self.id} (inverse)" if self.inverse else self.id


@dataclass(frozen=True, slots=True)
class Operation:
    """A pinned operation from one vertical frame to another; picklable, and usable in any process.

    Attributes:
        frame_from: Frame of the heights given.
        frame_to: Target frame.
        id: Name in manifests.
        steps: Pinned steps in order; none for an identity.
        derived: True if part of it is not a registered operation but an estimate, with its evidence in `notes`.
        epoch: Decimal year, for time-dependent steps.
        surface_tolerance_m: Largest allowed error of a bilinear delta surface.
    """

    frame_from: str
    frame_to: str
    id: str
    steps: tuple[Step, ...]
    derived: bool = False
    notes: tuple[str, ...] = ()
    epoch: float | None = None
    surface_tolerance_m: float = 0.002

    def __post_init__(self) -> None:
        if any("+t_epoch" in step.proj for step in self.steps) and self.epoch is None:
            raise EpochMissing(
                f"{self.frame_from} to {self.frame_to} depends on time and no epoch is given",
                remedy="give the decimal year of the coordinates, e.g. --epoch 2012.5",
            )

        if self.steps and self.area is None:
            areas = "; ".join(f"{step.label}: {step.area}" for step in self.steps)
            raise NoVerticalOperation(
                f"no point is inside every area of {self.frame_from} to {self.frame_to} ({areas})"
            )

    @property
    def area(self) -> Area | None:
        """Area where every step may be used; None if it is empty. An identity is valid everywhere."""
        area: Area | None = Area(-180.0, -90.0, 180.0, 90.0)
        for step in self.steps:
            area = area.meets(step.area) if area is not None else None
        return area

    @property
    def accuracy_m(self) -> float:
        """Standard deviation, metres: the steps' standard deviations combined as independent."""
        return math.hypot(*(step.accuracy_m for step in self.steps)) if self.steps else 0.0

    @property
    def grids(self) -> tuple[GridFile, ...]:
        """The grids it reads, without repetition."""
        return tuple(dict.fromkeys(step.grid for step in self.steps if step.grid is not None))

    @property
    def labels(self) -> tuple[str, ...]:
        """Its steps, as a manifest names them."""
        return tuple(step.label for step in self.steps)

    @property
    def pipeline(self) -> str:
        """PROJ pipeline for lon, lat in degrees and height in metres; grids by absolute path, so PROJ has no choice."""
        opening = "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad"
        closing = "+step +proj=unitconvert +xy_in=rad +xy_out=deg"
        return " ".join([opening, *(_proj_steps(step) for step in self.steps), closing])

    def inside(self, lon_deg: DegreeArray, lat_deg: DegreeArray) -> npt.NDArray[np.bool_]:
        """True where every step may be used, according to its declared area."""
        inside = np.ones(np.broadcast(lon_deg, lat_deg).shape, dtype=np.bool_)
        for step in self.steps:
            inside &= step.area.holds(lon_deg, lat_deg)
        return inside

    @overload
    def shift(self, lon_deg: float, lat_deg: float) -> float: ...

    @overload
    def shift(self, lon_deg: DegreeArray, lat_deg: DegreeArray) -> DegreeArray: ...

    def shift(self, lon_deg: float | DegreeArray, lat_deg: float | DegreeArray) -> float | DegreeArray:
        """Height offset in metres: H_to = H_from + shift.

        Args:
            lon_deg: Longitudes in degrees of geographic ETRS89, any shape.
            lat_deg: Latitudes, the same shape.

        Returns:
            float64 of that shape; NaN outside the area of use or in a grid's voids. For scalars a float.

        Raises:
            OutsideAreaOfUse: a scalar point is outside.
            GridMissing: a grid is not installed.
            GridCorrupt: a grid differs from the pinned one.
        """
        for grid in self.grids:
            verified(grid)
        lon, lat = np.asarray(lon_deg, dtype=np.float64), np.asarray(lat_deg, dtype=np.float64)
        scalar = lon.ndim == 0 and lat.ndim == 0
        inside = self.inside(lon, lat)
        for grid in self.grids:
            if (cells := whole_cells(grid)) is not None:
                inside &= cells.hold(lon, lat)
        shifts = np.full(inside.shape, np.nan)
        if inside.any():
            shifts[inside] = self._evaluate(
                np.broadcast_to(lon, inside.shape)[inside], np.broadcast_to(lat, inside.shape)[inside]
            )
        if not scalar:
            return shifts
        if not np.isfinite(shifts):
            raise self.outside(float(lon), float(lat))
        return float(shifts)

    def _evaluate(self, lon_deg: DegreeArray, lat_deg: DegreeArray) -> DegreeArray:
        if not self.steps:
            return np.zeros(lon_deg.shape)
        times = np.full(lon_deg.shape, self.epoch) if self.epoch is not None else None
        transformer = _transformer(self.pipeline, tuple(grid.sha256 for grid in self.grids))
        moved = transformer.transform(lon_deg, lat_deg, np.zeros(lon_deg.shape), times)
        shifts: DegreeArray = np.asarray(moved[2], dtype=np.float64)
        # PROJ returns `inf` outside a grid and in its voids.
        return np.where(np.isfinite(shifts), shifts, np.nan)

    def reasons(self, lon_deg: DegreeArray, lat_deg: DegreeArray) -> list[str]:
        """For each point the reason why this operation has no value there; empty for points that have one."""
        missing = ~np.isfinite(self.shift(lon_deg, lat_deg))
        found = [""] * missing.size
        for number in np.flatnonzero(missing):
            lon, lat = lon_deg[number : number + 1], lat_deg[number : number + 1]
            beyond = [f"{step.label}: {step.area}" for step in self.steps if not step.area.holds(lon, lat)[0]]
            voids = [step.grid.name for step in self.steps if step.grid is not None]
            found[number] = (
                f"outside the area of use of {'; '.join(beyond)}" if beyond else f"no value in {', '.join(voids)}"
            )
        return found

    def outside(self, lon_deg: float, lat_deg: float) -> OutsideAreaOfUse:
        """The error for a point where this operation has no value."""
        where = "; ".join(f"{step.label}: {step.area}" for step in self.steps)
        swapped = bool(self.inside(np.array([lat_deg]), np.array([lon_deg]))[0])
        return OutsideAreaOfUse(
            f"{self.frame_from} to {self.frame_to} at {lon_deg:.4f} E, {lat_deg:.4f} N is outside the area of use"
            f" ({where})",
            remedy="longitude comes first; these look swapped" if swapped else "use an operation valid at this point",
        )


def _proj_steps(step: Step) -> str:
    """A step's PROJ text; backwards, the order is reversed and every part inverted."""
    parts = [part.strip() for part in step.proj.split("+step") if part.strip()]
    if step.inverse:
        parts = [part.removeprefix("+inv ") if part.startswith("+inv ") else f"+inv {part}" for part in reversed(parts)]
    return " ".join(f"+step {part}" for part in parts)


@lru_cache(maxsize=128)
def _transformer(pipeline: str, digests: tuple[str, ...]) -> Transformer:
    del digests  # part of the key: PROJ caches grids by path, and the file may have been replaced
    # A network request that fails half-way would leave heights unshifted; every grid is a local file.
    set_network_enabled(active=False)
    return Transformer.from_pipeline(pipeline)
