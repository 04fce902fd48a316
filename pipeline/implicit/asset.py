"""The implicit terrain of a published tile, as an optional asset."""

from __future__ import annotations

from pathlib import Path

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.errors import AllVoid
from orograph.pipeline.implicit.fit import FitOptions, fit_model
from orograph.pipeline.implicit.model import MEDIA_TYPE
from orograph.pipeline.manifest import Product, ProductInfo

_SHARE = 0.06


def implicit_product(raster: Raster, folder: Path, name: str = "implicit") -> Product:
    """Fit an adaptive lattice with 0.06 parameters per pixel to a tile and write it as `<name>.safetensors`.

    The file gives height, slope, aspect and curvature anywhere in the tile; it contains CRS, extent, vertical frame and
    error statistics.

    Raises:
        AllVoid: the raster contains no height.
    """
    if not raster.valid.any():
        raise AllVoid("no height to fit a continuous terrain to")
    parameters = max(256, int(_SHARE * raster.heights_m.size))
    model = fit_model(
        raster.heights_m, raster.geobox, FitOptions(parameters=parameters), source=name, frame=raster.frame
    )
    path = folder / f"{name}.safetensors"
    model.save(path)
    info = ProductInfo(
        name="implicit",
        filename=path.name,
        title=f"Continuous terrain, RMSE {model.statistics.rmse_m:.2f} m",
        media_type=MEDIA_TYPE,
        roles=("data",),
    )
    return Product(info, path)
