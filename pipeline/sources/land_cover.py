"""Land cover of a DSM source: share of trees and of buildings in each pixel, from a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from affine import Affine
from pydantic import BaseModel, ConfigDict, Field

from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import SourceCorrupt, SourceGridError, SourceMissing

if TYPE_CHECKING:  # every command reads a catalogue, few read rasters
    import numpy as np

    from orograph.pipeline.core.raster import FloatArray

LAND_COVER_SHA256: Final = "bare_earth_land_cover_sha256"
"""The entry of a manifest's models that names the maps which bare earth was shown."""


class LandCover(BaseModel):
    """A categorical raster with one band of classes.

    Attributes:
        path: GeoTIFF, in any CRS.
        sha256: Expected digest of the file, because another map gives other heights.
        trees: Classes under trees; those of ESA WorldCover by default.
        built: Classes that are built up.
        attribution: Credit to state where the map affected heights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    trees: tuple[int, ...] = (10, 95)
    built: tuple[int, ...] = (50,)
    attribution: str = ""

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return a map with the default classes and the file's current digest.

        Raises:
            SourceMissing: the file does not exist.
        """
        return cls(path=str(path), sha256=_digest(str(path)))

    def shares(self, affine: Affine, crs: str, shape: tuple[int, int]) -> FloatArray:
        """Return the share of trees and of buildings in each pixel of a grid.

        Args:
            affine: Pixel to CRS, corner based.
            crs: CRS of the grid.
            shape: Rows and columns.

        Returns:
            float32, (2, rows, columns), 0 to 1; NaN where the map has no data.

        Raises:
            SourceMissing, SourceCorrupt: the file is missing or its digest differs.
            SourceGridError: it has no CRS, or more than one band.
        """
        import numpy as np
        import rasterio
        from rasterio.enums import Resampling
        from rasterio.errors import RasterioError
        from rasterio.vrt import WarpedVRT

        if _digest(self.path) != self.sha256:
            raise SourceCorrupt(
                f"{self.path} has sha256 {_digest(self.path)}, expected {self.sha256}", remedy="fetch the map again"
            )
        try:
            with rasterio.open(self.path) as dataset:
                if dataset.crs is None or dataset.count != 1:
                    raise SourceGridError(f"{self.path} is not a map of one band with a CRS")
                # Classes are put on pixels of a third and counted there, so that every window counts alike.
                fine = {"transform": affine * Affine.scale(1 / _FINER), "width": shape[1] * _FINER}
                with WarpedVRT(
                    dataset, crs=crs, height=shape[0] * _FINER, resampling=Resampling.nearest, add_alpha=True, **fine
                ) as warped:
                    classes, known = warped.read(1), warped.read(2) > 0
                if dataset.nodata is not None:
                    known &= classes != dataset.nodata
        except RasterioError as error:
            raise SourceCorrupt(f"{self.path} cannot be read: {error}") from error
        counted = _counted(known)
        with np.errstate(invalid="ignore", divide="ignore"):
            planes = [_counted(np.isin(classes, chosen) & known) / counted for chosen in (self.trees, self.built)]
        return np.where(counted > 0, np.stack(planes), np.nan).astype(np.float32)


_FINER: Final = 3


def _counted(fine: np.ndarray) -> np.ndarray:
    import numpy as np

    rows, cols = (size // _FINER for size in fine.shape)
    return np.asarray(fine.reshape(rows, _FINER, cols, _FINER).sum(axis=(1, 3)), dtype=np.float64)


def _digest(path: str) -> str:
    """Return the current sha256 of a file."""
    if not Path(path).is_file():
        raise SourceMissing(f"no land-cover map {path}")
    return file_sha256(path)
