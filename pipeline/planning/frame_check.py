"""Finds the vertical operation of every source of a tile, verifies its grids, and compares its area with the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import OrographError, OutsideAreaOfUse
from orograph.pipeline.planning.areas import tile_area_deg
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.vertical import Operation, VerticalCatalogue

_POINTS_ALONG: Final = 24
"""Points along each side of a source's part of a tile: every 2 km of a whole tile."""


@dataclass(frozen=True, slots=True)
class PlannedOperation:
    """Vertical operation of one source in one tile.

    Attributes:
        source: Source id.
        frame_from, frame_to: Vertical frames.
        operation: Id of the operation; `identity` if the frames are the same.
        steps: Pinned steps in order.
        accuracy_m: Standard deviation.
        derived: Part of it is an estimate and not a registered operation.
        grids: SHA-256 of the grids it reads, by name.
        share: Share of the source's files in the tile that the operation's area covers, 0 to 1, from points 2 km apart.
        area: The area of use, as text.
    """

    source: str
    frame_from: str
    frame_to: str
    operation: str
    steps: tuple[str, ...]
    accuracy_m: float
    derived: bool
    grids: Mapping[str, str]
    share: float
    area: str

    @property
    def shortfall(self) -> str | None:
        """Sentence on the heights outside the area of use; None if there are none."""
        if self.share >= 1.0:
            return None
        part = "all" if self.share == 0 else f"about {100 * (1 - self.share):.0f} %"
        return f"{part} of {self.source} is outside the area of use of {self.operation} ({self.area})"


@dataclass(slots=True)
class FrameCheck:
    """Resolves the vertical operations of tiles with one set of settings; each source's operation is found once.

    Args:
        settings: Processing settings; they name the target frame.
        grids_dir: Folder of geoid grids.
    """

    settings: ProcessingSettings
    grids_dir: Path
    _operations: dict[str, Operation | OrographError] = field(default_factory=dict)

    def operation(self, source: Source) -> Operation:
        """The operation that tiles will use for a source.

        Raises:
            FrameUnknown, NoVerticalOperation, GridMissing, GridCorrupt, EpochMissing: there is no valid operation; the
                error names the source.
        """
        if source.id not in self._operations:
            try:
                self._operations[source.id] = VerticalCatalogue.load().operation(
                    source.vertical_frame,
                    self.settings.target_frame,
                    grids_dir=self.grids_dir,
                    user_grid=source.vertical_grid,
                    epoch=source.epoch,
                )
            except OrographError as error:
                self._operations[source.id] = error.at(source=source.id, stage="vertical")
        found = self._operations[source.id]
        if isinstance(found, OrographError):
            raise found
        return found

    def planned(self, source: Source, tile: Tile, files: Sequence[BaseGeometry]) -> PlannedOperation:
        """Compare a source's operation with its files in a tile.

        Args:
            source: The source.
            tile: The tile.
            files: Footprints of the source's files in degrees.

        Raises:
            VerticalError: as `operation`.
        """
        operation = self.operation(source)
        return PlannedOperation(
            source=source.id,
            frame_from=operation.frame_from,
            frame_to=operation.frame_to,
            operation=operation.id,
            steps=operation.labels,
            accuracy_m=round(operation.accuracy_m, 4),
            derived=operation.derived,
            grids={grid.name: grid.sha256 for grid in operation.grids},
            share=1.0 if _contains(operation, tile) else _share(operation, tile, files),
            area=str(operation.area),
        )

    def outside(self, source: Source, tile: Tile, files: Sequence[BaseGeometry]) -> OutsideAreaOfUse:
        """The error of a tile where every source is outside its operation's area."""
        lon, lat = _points_in(tile, files)
        middle = lon.size // 2
        error = self.operation(source).outside(float(lon[middle]), float(lat[middle]))
        return error.at(tile=tile.id, source=source.id, stage="vertical")


def _contains(operation: Operation, tile: Tile) -> bool:
    """Whether an operation without grids may be used in the whole tile."""
    if operation.grids or operation.area is None:
        return False
    west, south, east, north = tile_area_deg(tile, 0.0).bounds
    area = operation.area
    return area.west <= west and area.south <= south and east <= area.east and north <= area.north


def _share(operation: Operation, tile: Tile, files: Sequence[BaseGeometry]) -> float:
    """Share of the files in a tile where an operation has a value."""
    lon, lat = _points_in(tile, files)
    return float(np.isfinite(operation.shift(lon, lat)).mean()) if lon.size else 1.0


def _points_in(tile: Tile, files: Sequence[BaseGeometry]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Longitude and latitude of regular points of a tile that are inside the files."""
    part = tile_area_deg(tile, 0.0).intersection(shapely.union_all(files))
    if part.is_empty:
        return np.empty(0), np.empty(0)
    west, south, east, north = part.bounds
    along = (np.arange(_POINTS_ALONG) + 0.5) / _POINTS_ALONG
    lon, lat = (grid.ravel() for grid in np.meshgrid(west + (east - west) * along, south + (north - south) * along))
    inside = shapely.contains_xy(part, lon, lat)
    if inside.any():
        return lon[inside], lat[inside]
    point = part.representative_point()
    return np.array([point.x]), np.array([point.y])
