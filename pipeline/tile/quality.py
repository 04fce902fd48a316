"""Quality statistics of a tile, gathered window by window and independent of the order of windows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.core.raster import BoolArray
from orograph.pipeline.formats.statistics import BandStatistics
from orograph.pipeline.manifest import Quality
from orograph.pipeline.tile.borders import BorderTally, largest_step_m
from orograph.pipeline.tile.stages.stage import IndexArray, TileWindow

_STRIDE_PX = 4
_SIGMA_BINS = np.concatenate([[0.0], np.geomspace(0.01, 100.0, 401)])


@dataclass(slots=True)
class QualityTally:
    """Counts pixels over the cores of a tile's windows.

    Attributes:
        source_ids: Id of source index 1, 2, ...
        borders: Steps along the borders of sources.
        joined: Pixels joined at borders without overlap; see `BorderTally.result`.
        outside: By source index, heights left out because they are outside the vertical operation's area.
    """

    source_ids: tuple[str, ...]
    pixels: int = 0
    void: int = 0
    filled: int = 0
    by_source: dict[int, int] = field(default_factory=dict)
    outside: dict[int, int] = field(default_factory=dict)
    borders: BorderTally = field(default_factory=BorderTally)
    joined: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    _sigma: np.ndarray = field(default_factory=lambda: np.zeros(_SIGMA_BINS.size, np.int64))

    def add(self, window: TileWindow) -> None:
        """Count a finished window's core."""
        if window.heights_m is None or window.source_index is None or window.sigma_m is None:
            raise ValueError("quality comes last")
        self.borders.add(window)
        index = window.inner(window.source_index)
        self.pixels += index.size
        self.void += int(np.count_nonzero(np.isnan(window.inner(window.heights_m))))
        if window.filled is not None:
            self.filled += int(np.count_nonzero(window.inner(window.filled)))
        for number, count in enumerate(np.bincount(index.ravel(), minlength=1)):
            if number and count:
                self.by_source[number] = self.by_source.get(number, 0) + int(count)
        # A sixteenth of the pixels is enough for the median; windows start at multiples of the stride.
        sigma = window.inner(window.sigma_m)[::_STRIDE_PX, ::_STRIDE_PX]
        bins = np.digitize(sigma[np.isfinite(sigma)], _SIGMA_BINS) - 1
        self._sigma += np.bincount(bins, minlength=self._sigma.size)[: self._sigma.size]

    def add_outside(self, number: int, lost: BoolArray, source_index: IndexArray | None) -> None:
        """Count heights of a source that its vertical operation leaves out and no better source replaces.

        Args:
            number: Index of the source.
            lost: True where it has a height outside the operation's area, on a window's core.
            source_index: Sources of the core's heights; None if it has none.
        """
        if source_index is not None:
            lost = lost & ((source_index == 0) | (source_index > number))
        if count := int(np.count_nonzero(lost)):
            self.outside[number] = self.outside.get(number, 0) + count

    def add_void(self, core: PixelWindow) -> None:
        """Count a window without any source as void."""
        self.pixels += core.height * core.width
        self.void += core.height * core.width

    def result(self, heights: BandStatistics) -> Quality:
        """Quality statistics of the tile; those of heights come from the written file."""
        borders = self.borders.result(self.source_ids, self.joined)
        return Quality(
            pixels=self.pixels,
            void_fraction=_share(self.void, self.pixels),
            filled_fraction=_share(self.filled, self.pixels),
            source_fractions={
                self.source_ids[number - 1]: _share(count, self.pixels)
                for number, count in sorted(self.by_source.items())
            },
            height_min_m=heights.minimum or 0.0,
            height_max_m=heights.maximum or 0.0,
            height_mean_m=heights.mean or 0.0,
            height_std_m=heights.stddev or 0.0,
            uncertainty_median_m=self._median_sigma(),
            border_step_m=largest_step_m(borders),
            details={"borders": borders} if borders else {},
        )

    def _median_sigma(self) -> float | None:
        """Median of the standard deviations, to the width of a bin (2.3 %)."""
        total = int(self._sigma.sum())
        if total == 0:
            return None
        at = int(np.searchsorted(np.cumsum(self._sigma), (total + 1) // 2))
        upper = _SIGMA_BINS[min(at + 1, _SIGMA_BINS.size - 1)]
        return round(math.sqrt(max(_SIGMA_BINS[at], 1e-3) * upper), 4)


def _share(count: int, total: int) -> float:
    """Round, but keep positive shares above zero: the licence of a single pixel counts too."""
    return max(round(count / total, 9), 1e-9) if count else 0.0
