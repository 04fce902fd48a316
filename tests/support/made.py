"""Small made sources for tests: a smooth terrain with a known height everywhere, in any CRS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import yaml
from affine import Affine
from pyproj import Transformer

from orograph.pipeline.sources.catalogue import Files, Provider, Source, Thinning


def terrain(east_m: npt.ArrayLike, north_m: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Heights over EPSG:3035: hills of 1 to 5 km, so smooth that a 10 m grid interpolates them to centimetres."""
    e, n = np.asarray(east_m, np.float64), np.asarray(north_m, np.float64)
    return (
        400.0
        + 90.0 * np.sin(e / 710.0) * np.cos(n / 530.0)
        + 60.0 * np.sin(e / 290.0 + n / 370.0)
        + 0.002 * (e - 4.0e6)
    )


def write_source(
    path: Path,
    crs: str,
    bounds: tuple[float, float, float, float],
    pixel: float,
    *,
    shift_m: tuple[float, float] = (0.0, 0.0),
    offset_m: float = 0.0,
    nodata: float = -9999.0,
    points: bool = False,
    hole: tuple[slice, slice] | None = None,
) -> Path:
    """Write the terrain on a grid of `crs`; `bounds` are west, south, east, north in that CRS."""
    west, south, east, north = bounds
    cols, rows = round((east - west) / pixel), round((north - south) / pixel)
    affine = Affine(pixel, 0, west, 0, -pixel, north)
    x, y = np.meshgrid(west + (np.arange(cols) + 0.5) * pixel, north - (np.arange(rows) + 0.5) * pixel)
    e, n = Transformer.from_crs(crs, "EPSG:3035", always_xy=True).transform(x, y)
    heights = (terrain(e - shift_m[0], n - shift_m[1]) + offset_m).astype(np.float32)
    if hole is not None:
        heights[hole] = nodata
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "width": cols,
        "height": rows,
        "count": 1,
        "dtype": "float32",
        "crs": crs,
        "transform": affine,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(heights, 1)
        if points:
            dataset.update_tags(AREA_OR_POINT="Point")
    return path


def source(path: Path | tuple[Path, ...], **described: object) -> Source:
    """A source description with everything filled in; override what matters."""
    paths = path if isinstance(path, tuple) else (path,)
    values: dict[str, object] = {
        "id": "made",
        "title": "Made",
        "providers": (Provider(name="tests"),),
        "licence": "CC0-1.0",
        "attribution": "tests",
        "data": Files(hrefs=tuple(str(p) for p in paths)),
        "horizontal_crs": "EPSG:3035",
        "vertical_frame": "EPSG:5621",
        "surface": "DTM",
        "resolution_m": 10.0,
        "thinning": Thinning.DECIMATED,
        "accuracy_m": 0.2,
    }
    return Source.model_validate({**values, **described})


def write_catalogue(path: Path, *sources: Source) -> Path:
    """Write a catalogue of these sources; its path."""
    entries = [json.loads(one.model_dump_json(exclude_none=True)) for one in sources]
    path.write_text(yaml.safe_dump({"sources": entries}))
    return path
