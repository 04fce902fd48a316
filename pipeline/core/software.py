"""Versions of the software that made a result."""

from __future__ import annotations

import importlib.metadata

import pyproj
import rasterio

from orograph.pipeline.version import __version__


def software_versions() -> dict[str, str]:
    """Versions of the packages that affect the bytes of results."""
    named = {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "numba", "rasterio", "pyproj")}
    return {"orograph": __version__, "gdal": rasterio.__gdal_version__, "proj": pyproj.proj_version_str, **named}
