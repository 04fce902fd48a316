"""GDAL options of worker processes, as environment variables because `rasterio.Env` applies to one thread only.

They must be set before rasterio is imported: GDAL reads some of them once.
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import Final

GDAL_ENV: Final = MappingProxyType(
    {
        # Megabytes here (rasterio.Env would take bytes). The default is 5 % of the machine's memory, in every process.
        "GDAL_CACHEMAX": "64",
        # The block-read path with several threads gives up on the first network fault; parallelism is ours, by tiles.
        "GDAL_NUM_THREADS": "1",
        # No probing for sidecars: a forgotten .ovr or .aux.xml next to a source must not change its heights.
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_HTTP_MAX_RETRY": "3",
        "GDAL_HTTP_RETRY_DELAY": "0.5",
        "GDAL_HTTP_CONNECTTIMEOUT": "10",
        "GDAL_HTTP_TIMEOUT": "120",
        "GDAL_HTTP_LOW_SPEED_TIME": "30",
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
        # PROJ must never fetch grids behind our back; the frames' grids are pinned by sha256.
        "PROJ_NETWORK": "OFF",
    }
)

FIXED: Final = frozenset({"GDAL_CACHEMAX", "GDAL_DISABLE_READDIR_ON_OPEN", "GDAL_PAM_ENABLED", "PROJ_NETWORK"})
"""Variables that a user cannot override: the output bytes depend on them and the run key does not record them. Sidecars and
fetched grids change heights; the cache size decides when tiles of a file are compressed, and so their bytes."""

THREAD_ENV: Final = MappingProxyType(
    {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
)
"""One thread a worker: tiles are the unit of parallelism, and sums of one thread are the same everywhere."""


def worker_env() -> dict[str, str]:
    """Environment of a worker: our options; the user's values override those that do not change results."""
    ours = {**GDAL_ENV, **THREAD_ENV}
    return {name: value if name in FIXED else os.environ.get(name, value) for name, value in ours.items()}


def apply_gdal_env() -> None:
    """Set GDAL's options in this process, before rasterio is imported; the user's harmless options are kept."""
    for name, value in GDAL_ENV.items():
        os.environ[name] = value if name in FIXED else os.environ.get(name, value)


def apply_blas_env() -> None:
    """Let numpy multiply in one thread, before it is imported, unless the user asked for more.

    Matrices of commands are small: waiting threads of OpenBLAS doubled the CPU time of a coregistration.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
