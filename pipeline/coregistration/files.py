"""What a coregistration writes: the aligned raster, the field, numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from pipeline.coregistration.field import crs_of
from pipeline.errors import ExportError
from pipeline.raster import FloatArray

NODATA: Final = -9999.0


def write_cog(path: Path, bands: Sequence[FloatArray], geobox: GeoBox, names: Sequence[str]) -> None:
    """Write float32 bands in metres as a cloud-optimised GeoTIFF, NaN as -9999.

    Raises:
        ExportError: GDAL could not write the file.
    """
    profile = {
        "driver": "COG",
        "dtype": "float32",
        "count": len(bands),
        "height": geobox.shape.y,
        "width": geobox.shape.x,
        "crs": crs_of(geobox).to_wkt(),
        "transform": geobox.affine,
        "nodata": NODATA,
        "compress": "deflate",
        "predictor": "yes",
        "blocksize": 512,
        "overview_resampling": "average",
    }
    try:
        with rasterio.open(path, "w", **profile) as file:
            for number, (band, name) in enumerate(zip(bands, names, strict=True), 1):
                file.write(np.where(np.isfinite(band), band, np.float32(NODATA)), number)
                file.set_band_description(number, name)
                file.set_band_unit(number, "metre")
    except RasterioError as error:
        raise ExportError(
            f"cannot write {path.name}: {error}", remedy="check the folder and the space on it"
        ) from error


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write JSON that every parser reads: no NaN, no infinity."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
