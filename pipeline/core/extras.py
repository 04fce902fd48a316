"""Optional packages: which extra of the distribution installs which import."""

from __future__ import annotations

from typing import Final

from orograph.pipeline.errors import PackageMissing

EXTRA_OF: Final = {
    "torch": "nets",
    "ray": "ray",
    "anyio": "serve",
    "cql2": "serve",
    "fastapi": "serve",
    "prometheus_client": "serve",
    "rio_tiler": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "xarray": "xarray",
    "rioxarray": "xarray",
    "av": "video",
    "h5py": "hdf5",
    "py7zr": "archives",
}
"""Extra by first name of the import."""


def missing_package(error: ModuleNotFoundError) -> PackageMissing | None:
    """The error to show for a failed import; None if the package belongs to no extra."""
    name = (error.name or "").partition(".")[0]
    if name not in EXTRA_OF:
        return None
    return PackageMissing(
        f"this needs the package {name}, which is not installed",
        remedy=f"pip install 'orograph[{EXTRA_OF[name]}]'",
    )
