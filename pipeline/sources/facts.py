"""Facts of a height raster, and the facts declared in its catalogue or command."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from affine import Affine

from orograph.pipeline.core.crs_identity import Bounds
from orograph.pipeline.core.frames import frame_id
from orograph.pipeline.core.pixel_is import PixelIs
from orograph.pipeline.sources.catalogue import Source


class Word(StrEnum):
    """Origin of a fact."""

    FILE = "file"
    SIDECAR = "side-car"
    CATALOGUE = "catalogue"
    COMMAND = "command"
    PHASE = "phase of the grid"
    FORMAT = "default of the format"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Declared:
    """Facts that a catalogue entry or a command declares of a file; None for facts it does not declare.

    Attributes:
        by: Origin of the declaration.
        source: Id of the source, for messages.
        horizontal_crs: 2D CRS.
        vertical_frame: Id or name in the vertical catalogue; kept as its id.
        nodata: Further void values of raw samples.
        pixel: Pixel interpretation.
        unit: Unit of heights, a name of `orograph.pipeline.core.height_unit`.
        resolution_m: Ground sampling distance, metres.
        area_deg: West, south, east, north the source has data in.
    """

    by: Word = Word.COMMAND
    source: str | None = None
    horizontal_crs: str | None = None
    vertical_frame: str | None = None
    nodata: tuple[float, ...] = ()
    pixel: PixelIs | None = None
    unit: str | None = None
    resolution_m: float | None = None
    area_deg: Bounds | None = None

    def __post_init__(self) -> None:
        if self.vertical_frame is not None:
            object.__setattr__(self, "vertical_frame", frame_id(self.vertical_frame))

    @classmethod
    def of(cls, source: Source) -> Self:
        """Facts that a catalogue entry declares."""
        return cls(
            by=Word.CATALOGUE,
            source=source.id,
            horizontal_crs=source.horizontal_crs,
            vertical_frame=source.vertical_frame,
            nodata=source.nodata,
            pixel=source.pixel,
            unit=source.unit,
            resolution_m=source.resolution_m,
            area_deg=source.area_deg,
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one file, ready for reading.

    Attributes:
        path: Path or name for GDAL.
        affine: Pixel to CRS, corner based, north up with columns eastwards, independent of the file's order.
        shape: Rows, columns.
        nodata: Void values of raw samples.
        dtype: Of raw samples.
        horizontal_crs: Code or WKT of the 2D CRS; None if not stated.
        vertical_frame: Code or name; None if not stated.
        unit: Unit of heights in the file, after scale and offset.
        metres: Metres per unit.
        scale, offset: Height in the unit = raw x scale + offset.
        masked: Whether a mask marks the valid samples.
        alpha: Whether a second band (alpha) marks them.
        pixel: Pixel interpretation of the file; `affine` is corner based either way.
        mirrored: Columns of the file run westwards.
        upside_down: Rows of the file run northwards.
        sidecars: Whether to open the file with its side-cars.
        said_by: Origin of each fact, by fact.
    """

    path: str
    affine: Affine
    shape: tuple[int, int]
    nodata: tuple[float, ...]
    dtype: str
    horizontal_crs: str | None = None
    vertical_frame: str | None = None
    unit: str = "metre"
    metres: float = 1.0
    scale: float = 1.0
    offset: float = 0.0
    masked: bool = False
    alpha: bool = False
    pixel: PixelIs = PixelIs.AREA
    mirrored: bool = False
    upside_down: bool = False
    sidecars: bool = False
    said_by: tuple[tuple[str, str], ...] = ()

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north in the file's CRS."""
        west, north = self.affine.c, self.affine.f
        return west, north + self.shape[0] * self.affine.e, west + self.shape[1] * self.affine.a, north

    @property
    def converted(self) -> bool:
        """Whether heights differ from raw samples."""
        return (self.scale, self.offset, self.metres) != (1.0, 0.0, 1.0)

    def record(self) -> dict[str, Any]:
        """The facts as manifests store them: JSON-ready values and the origin of each."""
        values: dict[str, Any] = {
            "horizontal_crs": self.horizontal_crs,
            "vertical_frame": self.vertical_frame,
            "pixel_is": self.pixel.value,
            "pixel_size": [self.affine.a, -self.affine.e],
            "data_type": self.dtype,
            "nodata": [value if math.isfinite(value) else str(value) for value in self.nodata],
            "unit": self.unit,
            "scale": self.scale,
            "offset": self.offset,
            "mask": "alpha band" if self.alpha else "mask" if self.masked else None,
        }
        if self.mirrored or self.upside_down:
            values["order"] = ["columns from the east"] * self.mirrored + ["rows from the south"] * self.upside_down
        return {**values, "said_by": dict(self.said_by)}
