"""Interface of a stage, and the window of a tile that passes from one stage to the next.

A stage is a pure function of a window with halo: `stage(window, context) -> window`. Its results in the window's core
may depend on at most `halo_px` pixels around, so windows and tiles processed apart agree bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.job import Job

IndexArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One source on the window's grid, in the target frame.

    Attributes:
        index: Number of the source in the tile's source index, from 1.
        heights_m: float32, NaN void.
        sigma_m: Standard deviation, float32 of the same shape or one number.
        lowered: Share of each pixel that bare earth lowered, float32, 0 to 1; None if the source is used unchanged.
    """

    index: int
    heights_m: FloatArray
    sigma_m: FloatArray | float
    lowered: FloatArray | None = None

    @property
    def valid(self) -> BoolArray:
        """True where there is a height."""
        return np.isfinite(self.heights_m)


@dataclass(frozen=True, slots=True, eq=False)
class TileWindow:
    """A block of a tile on its way through the stages; arrays cover the core and `halo_px` around it.

    Attributes:
        core: Pixels of the tile that this window produces.
        halo_px: Pixels around the core on each side, also beyond the tile's edge.
        geobox: Grid of core and halo.
        layers: Sources, best first; empty before `regrid` and after `blend`.
        heights_m: float32 merged heights, NaN void; None before `blend`.
        source_index: uint8, 0 where void.
        sigma_m: float32 standard deviation, NaN where void.
        filled: True where a void was filled.
        lowered: Share of each pixel that bare earth lowered, 0 to 1; None if bare earth was not used.
        unbent_m: Merged heights before sources were bent to meet; None where one source covers the window.
    """

    core: PixelWindow
    halo_px: int
    geobox: GeoBox
    layers: tuple[Layer, ...] = ()
    heights_m: FloatArray | None = None
    source_index: IndexArray | None = None
    sigma_m: FloatArray | None = None
    filled: BoolArray | None = None
    lowered: FloatArray | None = None
    unbent_m: FloatArray | None = None

    def evolve(self, **changes: Any) -> Self:
        """A copy of the window with some values replaced."""
        return replace(self, **changes)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the arrays."""
        return self.core.height + 2 * self.halo_px, self.core.width + 2 * self.halo_px

    def inner(self, array: npt.NDArray[Any], extra_px: int = 0) -> npt.NDArray[Any]:
        """The core of an array, widened by `extra_px` of the halo."""
        cut = self.halo_px - extra_px
        return array[cut : array.shape[0] - cut, cut : array.shape[1] - cut]


class TileReader(Protocol):
    """Resamples every source of the tile to a window's grid; see `orograph.pipeline.tile.assembly`."""

    def layers(self, geobox: GeoBox) -> tuple[Layer, ...]:
        """Layers with data in the window, best first; those entirely covered by better ones may be left out."""
        ...

    def has_better(self, index: int, geobox: GeoBox) -> bool:
        """Whether a source better than that of an index has heights in a window."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """Inputs of a stage besides the window: job, reader and clock."""

    job: Job
    reader: TileReader
    details: dict[str, Any] = field(default_factory=dict)

    def pixels(self, length_m: float) -> int:
        """A length in whole pixels, rounded up."""
        return int(np.ceil(length_m / self.job.settings.pixel_size_m))


class Stage(Protocol):
    """One step of a tile's processing chain."""

    @property
    def name(self) -> str:
        """Name in settings, progress and errors."""
        ...

    def halo_px(self, job: Job) -> int:
        """Number of pixels around a pixel on which the stage's result depends."""
        ...

    def peak_bytes(self, shape: tuple[int, int], job: Job) -> int:
        """Memory in bytes for a window of this shape, including the window's own arrays."""
        ...

    def __call__(self, window: TileWindow, context: Context) -> TileWindow:
        """Do it."""
        ...
