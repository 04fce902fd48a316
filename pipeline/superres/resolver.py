"""Protocol of all upsampling methods."""

from __future__ import annotations

from typing import Protocol

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.sources.catalogue import Thinning


class Resolver(Protocol):
    """Upsamples coarse heights on the coarse grid's own lattice.

    Attributes:
        name: Name it was registered under.
        halo_px: Coarse pixels of context on each side; if it is supplied and cropped afterwards, every tiling of the
            same raster gives the same bits, voids included.
    """

    @property
    def name(self) -> str:
        """Name it was registered under."""
        ...

    @property
    def halo_px(self) -> int:
        """Coarse pixels of context on each side."""
        ...

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, FloatArray | None]:
        """Divide every coarse pixel into `factor` x `factor` fine ones.

        Args:
            heights_m: float32, shape (rows, columns), metres; NaN is void.
            factor: Fine pixels along a coarse pixel's side; for odd factors the central fine pixel shares its centre.
            thinning: Whether the coarse heights were decimated or averaged.
            pixel_size_m: Size of a coarse pixel along columns (x) and rows (y), metres.
            origin_px: Row and column of `heights_m[0, 0]` on the source's global pixel lattice.

        Returns:
            Heights, float32, shape (rows * factor, columns * factor), NaN where the coarse pixel is void, and their
            standard error in metres on the same grid, or None if the resolver has no error estimate.
        """
        ...
