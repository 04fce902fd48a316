"""Regrid: interpolates every source to the window's grid, in the target frame, exactly once."""

from __future__ import annotations

from dataclasses import dataclass

from orograph.pipeline.job import Job
from orograph.pipeline.tile.stages.stage import Context, TileWindow


@dataclass(frozen=True, slots=True)
class Regrid:
    """Read, shift, upsample and interpolate the sources; see `orograph.pipeline.tile.assembly`."""

    name: str = "regrid"

    def halo_px(self, job: Job) -> int:  # noqa: ARG002 - part of the stage's signature
        """The reader fetches what the kernel needs beyond the window itself."""
        return 0

    def peak_bytes(self, shape: tuple[int, int], job: Job) -> int:
        """Each source: its native window (at most the target's pixels times 4), its errors, and the result."""
        pixels = shape[0] * shape[1]
        return pixels * 4 * (8 + len(job.sources))

    def __call__(self, window: TileWindow, context: Context) -> TileWindow:
        """Fill in the layers."""
        return window.evolve(layers=context.reader.layers(window.geobox))
