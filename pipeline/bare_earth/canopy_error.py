"""Uncertainty of a DSM used without bare earth, where a land-cover map shows canopy or buildings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter

from orograph.pipeline.bare_earth.canopy_edges import BUILT_M, CANOPY_M
from orograph.pipeline.bare_earth.reader import canopy_share_of, footprint_of
from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.core.pixel_size import RowBand, row_bands
from orograph.pipeline.core.raster import FloatArray, HeightPatch
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.sources.reader import SourceGrid, SourceReader

_TRUNCATE: Final = 3.0
"""Standard deviations after which the footprint ends."""


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
        """Return the DSM in a lattice window; its sigma is zero where the sensor sees open terrain only or no map."""
        heights = self.reader.read(lattice, window.row, window.col, window.height, window.width)
        size_m = self.reader.source.resolution_m * lattice.factor
        bands = row_bands(lattice.scaled_affine, self.reader.source.horizontal_crs, size_m, window.row, window.height)
        trees, built = np.concatenate([self._seen(lattice, window, band) for band in bands], axis=1)
        return HeightPatch(heights, np.hypot(trees * self.share * CANOPY_M, built * BUILT_M).astype(np.float32))

    def _seen(self, lattice: SourceGrid, window: PixelWindow, band: RowBand) -> FloatArray:
        """Shares of trees and buildings in the sensor's footprint over the rows of a window whose pixels have one shape.

        A footprint wider than a pixel puts canopy on the open terrain next to it, in proportion to its share.
        """
        footprint_m = footprint_of(self.reader.source)
        sigmas = [footprint_m / size for size in reversed(band.pixel_size_m)]
        above, aside = (math.ceil(_TRUNCATE * sigma) + 1 if footprint_m > 0.0 else 0 for sigma in sigmas)
        affine = lattice.scaled_affine * lattice.affine.translation(window.col - aside, band.row - above)
        shape = band.height + 2 * above, window.width + 2 * aside
        shares = np.nan_to_num(self.land_cover.shares(affine, self.reader.source.horizontal_crs, shape))
        if footprint_m > 0.0:
            shares = np.stack([gaussian_filter(share, sigmas, truncate=_TRUNCATE) for share in shares])
        return shares[:, above : above + band.height, aside : aside + window.width]


def canopy_reader(source: Source, reader: SourceReader) -> CanopyReader | None:
    """The reader of a DSM used without bare earth; None for DTMs and without a land-cover map."""
    if source.surface is not Surface.DSM or source.land_cover is None:
        return None
    return CanopyReader(reader, source.land_cover, canopy_share_of(source))
