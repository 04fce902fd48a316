"""Steps along the borders of a tile's sources, before and after blending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.tile.stages.stage import IndexArray, TileWindow

_STEP_M: Final = 0.001
_LARGEST_M: Final = 20.0
_BINS: Final = round(2 * _LARGEST_M / _STEP_M) + 1
FEWEST_PAIRS: Final = 20
"""Shorter borders give no figure for the tile."""
_BEFORE, _AFTER = 0, 1
Counts = npt.NDArray[np.int64]


@dataclass(slots=True)
class BorderTally:
    """Histograms of the steps between neighbouring pixels of different sources, by pair of sources.

    A step is the difference of the two pixels less the mean slope on both sides of them, so that a hillside across a
    border is not a step. Positive steps rise from the better source to the lesser one. Medians are exact to a
    millimetre.
    """

    _steps: dict[tuple[int, int], Counts] = field(default_factory=dict)

    def add(self, window: TileWindow) -> None:
        """Count the pairs whose first pixel (the western or northern one) is in the window's core."""
        if window.unbent_m is None or window.heights_m is None or window.source_index is None:
            return
        core = window.core
        planes = window.unbent_m, window.heights_m
        self._along_rows(window.source_index, planes, window.halo_px, (core.height, core.width))
        turned = planes[0].T, planes[1].T
        self._along_rows(window.source_index.T, turned, window.halo_px, (core.width, core.height))

    def _along_rows(
        self, index: IndexArray, planes: tuple[FloatArray, FloatArray], halo: int, size: tuple[int, int]
    ) -> None:
        rows = slice(halo, halo + size[0])

        def column(array: npt.NDArray[Any], offset: int) -> npt.NDArray[Any]:
            return array[rows, halo + offset : halo + offset + size[1]]

        first, second = column(index, 0), column(index, 1)
        border = (first != second) & (first > 0) & (second > 0)
        if not border.any():
            return
        border &= (column(index, -1) == first) & (column(index, 2) == second)
        at = np.nonzero(border)
        pairs = np.stack([first[at], second[at]])
        for kind, plane in enumerate(planes):
            before, p, q, behind = (column(plane, offset)[at].astype(np.float64) for offset in (-1, 0, 1, 2))
            step = (q - p) - ((p - before) + (behind - q)) / 2
            self._count(kind, pairs, np.where(pairs[0] < pairs[1], step, -step))

    def _count(self, kind: int, pairs: npt.NDArray[np.uint8], steps: npt.NDArray[np.float64]) -> None:
        known = np.isfinite(steps)
        low, high, steps = pairs.min(axis=0)[known], pairs.max(axis=0)[known], steps[known]
        bins = np.rint((np.clip(steps, -_LARGEST_M, _LARGEST_M) + _LARGEST_M) / _STEP_M).astype(np.int64)
        for a, b in sorted(set(zip(low.tolist(), high.tolist(), strict=True))):
            counts = self._steps.setdefault((a, b), np.zeros((2, _BINS), np.int64))
            counts[kind] += np.bincount(bins[(low == a) & (high == b)], minlength=_BINS)

    def result(
        self, source_ids: Sequence[str], joined: Mapping[tuple[int, int], tuple[int, int]]
    ) -> list[dict[str, Any]]:
        """One record per border: sources, pairs of pixels, median step before and after, and pixels joined.

        Args:
            source_ids: Id of source index 1, 2, ...
            joined: Rim pixels of borders without overlap, and those whose difference was bounded, by pair.
        """
        records = []
        for a, b in sorted(set(self._steps) | set(joined)):
            counts = self._steps.get((a, b), np.zeros((2, _BINS), np.int64))
            pixels, bounded = joined.get((a, b), (0, 0))
            records.append(
                {
                    "sources": [source_ids[a - 1], source_ids[b - 1]],
                    "pairs": int(counts[_AFTER].sum()),
                    "step_before_m": _median(counts[_BEFORE]),
                    "step_after_m": _median(counts[_AFTER]),
                    "joined_px": pixels,
                    "bounded_px": bounded,
                }
            )
        return records


def largest_step_m(records: Sequence[Mapping[str, Any]]) -> float | None:
    """Largest remaining median step at a border of at least 20 pairs, metres; None without such a border."""
    steps = [abs(record["step_after_m"]) for record in records if record["pairs"] >= FEWEST_PAIRS]
    return max(steps, default=None)


def _median(counts: Counts) -> float | None:
    total = int(counts.sum())
    if total == 0:
        return None
    at = int(np.searchsorted(np.cumsum(counts), (total + 1) // 2))
    return round(at * _STEP_M - _LARGEST_M, 3)
