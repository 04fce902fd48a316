"""Peak memory, projected before a tile starts: windows stream, so it does not grow with the tile."""

from __future__ import annotations

from typing import Final

from orograph.pipeline.errors import MemoryBudgetExceeded
from orograph.pipeline.job import Job
from orograph.pipeline.tile.stages import chain

_GDAL_CACHE_BYTES: Final = 64 * 2**20
_NODE_BYTES: Final = 24 * 250**2
_SAMPLING_BYTES: Final = 8_000_000 * 4 * 2 + 1_000_000 * 4 * 12
LARGEST_WINDOW_PX: Final = 1536
"""A multiple of the COGs' blocks, so that no block crosses windows and is encoded twice."""


def window_px(job: Job) -> int:
    """Side of a window's core: large enough that halos cost little, small enough for the memory limit."""
    return LARGEST_WINDOW_PX if job.settings.pixel_size_m >= 5 else 1024


def tile_halo_px(job: Job) -> int:
    """Return a window's halo: the sum of the stages' halos and one pixel for the hillshade."""
    return sum(stage.halo_px(job) for stage in chain(job.settings.stages)) + 1


def projected_peak_bytes(job: Job) -> int:
    """Projected peak memory of a tile in bytes, without the interpreter and its imports.

    The largest stage on the largest window, or the sampling for coregistration, the larger of both; with GDAL's block
    cache and the lattices of coordinates.
    """
    side = window_px(job) + 2 * tile_halo_px(job)
    stages = max(stage.peak_bytes((side, side), job) for stage in chain(job.settings.stages))
    sampling = _SAMPLING_BYTES if len(job.sources) > 1 and job.settings.coregistration != "none" else 0
    return _GDAL_CACHE_BYTES + _NODE_BYTES * 4 * len(job.sources) + max(stages, sampling)


def check_budget(job: Job, limit_mb: int) -> int:
    """Reject a tile that would need more memory than allowed.

    Raises:
        MemoryBudgetExceeded: before reading any source.
    """
    projected = projected_peak_bytes(job)
    if projected > limit_mb * 2**20:
        raise MemoryBudgetExceeded(
            f"projected peak of {projected / 2**20:.0f} MB is above the limit of {limit_mb} MB",
            tile=job.tile.id,
            remedy="lower blend_width_m or fill_max_m, or raise --memory-limit-mb",
        )
    return projected
