"""Uncertainty of a DSM used without bare earth, where a land-cover map shows canopy or buildings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orograph.pipeline.bare_earth.canopy_edges import BUILT_M, CANOPY_M
from orograph.pipeline.bare_earth.reader import canopy_share_of
from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.core.raster import HeightPatch
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.sources.reader import SourceGrid, SourceReader


@dataclass(frozen=True, slots=True)
class CanopyReader:
    """Reads a DSM with the error that its canopy and buildings cause when it is used as a DTM.

    Attributes:
        reader: Reader of the source.
        land_cover: Map of trees and buildings.
        share: Share of the canopy's height that the sensor measures.
    """

    reader: SourceReader
    land_cover: LandCover
    share: float = 1.0

    def read(self, lattice: SourceGrid, window: PixelWindow) -> HeightPatch:
        """Return the DSM in a lattice window; its sigma is zero where the map has no value or shows open terrain."""
        heights = self.reader.read(lattice, window.row, window.col, window.height, window.width)
        affine = lattice.scaled_affine * lattice.affine.translation(window.col, window.row)
        crs = self.reader.source.horizontal_crs
        trees, built = np.nan_to_num(self.land_cover.shares(affine, crs, (window.height, window.width)))
        squares = trees * (self.share * CANOPY_M) ** 2 + built * BUILT_M**2
        return HeightPatch(heights, np.sqrt(squares).astype(np.float32))


def canopy_reader(source: Source, reader: SourceReader) -> CanopyReader | None:
    """The reader of a DSM used without bare earth; None for DTMs and without a land-cover map."""
    if source.surface is not Surface.DSM or source.land_cover is None:
        return None
    return CanopyReader(reader, source.land_cover, canopy_share_of(source))
