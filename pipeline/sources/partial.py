"""Rasters of which only the needed blocks are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class PartialRaster(Protocol):
    """A sparse local copy of a remote raster: it has the header, and `ensure` fetches blocks.

    A block that was not fetched reads as zeros, so `ensure` must be called before each read.
    """

    @property
    def path(self) -> Path:
        """The copy that GDAL opens."""
        ...

    @property
    def href(self) -> str:
        """Location of the raster, for messages."""
        ...

    def ensure(self, col: int, row: int, width: int, height: int, shape: tuple[int, int]) -> None:
        """Fetch the blocks of a pixel window, in the image (full resolution or overview) of this shape (rows, columns).

        Raises:
            SourceChanged, SourceMissing, SourceInaccessible, SourceUnavailable, SourceCorrupt: a block cannot be
                fetched.
        """
        ...


RasterFile = Path | PartialRaster
"""A local raster, or the sparse copy of a remote one."""


def path_of(file: RasterFile) -> Path:
    """The path that GDAL opens."""
    return file if isinstance(file, Path) else file.path


def ensure(file: RasterFile, col: int, row: int, width: int, height: int, shape: tuple[int, int]) -> None:
    """Fetch the blocks of a window if the file is partial; see `PartialRaster.ensure`."""
    if not isinstance(file, Path):
        file.ensure(col, row, width, height, shape)
