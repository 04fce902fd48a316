"""Detects resampling in heights: staircases of nearest neighbour, and periodic curvature of interpolation.

Nearest neighbour repeats samples at regular intervals, so that equal neighbours seldom occur three in a row; on flat
land and on roofs they often do. Interpolation bends the terrain only at the original samples, so the size of the second
differences has a period, which shows as a sharp peak in its spectrum; of terrain measured on its own grid the spectrum
has none.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import FloatArray

_LEAST_PAIRS: Final = 1_000
_LEAST_EQUAL: Final = 0.12
_DISTINCT: Final = 50
_COMMON: Final = 0.005
"""Values more frequent than this are water, fill or flat land, not terrain."""
_QUANTA: Final = 4.0
_LEAST_PEAK: Final = 60.0
"""Real terrain reaches 30, linear interpolation by 2 starts at 60, by 3 at 120."""
_LOWEST_FREQUENCY: Final = 0.16
"""Cycles per pixel; the spectrum of terrain is not flat below."""


def staircase_share(z: FloatArray) -> float | None:
    """Share of equal neighbours in heights enlarged by nearest neighbour; None if they are not.

    Args:
        z: float32 metres, NaN for void, full resolution.
    """
    values, counts = np.unique(z[np.isfinite(z)], return_counts=True)
    if values.size < _DISTINCT:
        return None
    quantum = float(np.quantile(np.diff(values), 0.1))
    common = values[counts > max(2, _COMMON * counts.sum())]
    terrain = np.isfinite(z) & ~np.isin(z, common)
    shares = [_rhythmic_share(lines, known, quantum) for lines, known in ((z, terrain), (z.T, terrain.T))]
    found = [share for share in shares if share is not None]
    return max(found) if found else None


def _rhythmic_share(lines: FloatArray, known: npt.NDArray[np.bool_], quantum: float) -> float | None:
    pairs = known[1:] & known[:-1]
    steps = np.abs(np.diff(lines, axis=0))
    equal = pairs & (steps == 0)
    moved = steps[pairs & (steps > 0)]
    if pairs.sum() < _LEAST_PAIRS or moved.size < _LEAST_PAIRS or np.median(moved) < _QUANTA * quantum:
        return None
    share = float(equal.sum() / pairs.sum())
    followed = equal[:-1] & pairs[1:]
    if share < _LEAST_EQUAL or not followed.any():
        return None
    again = float((equal[:-1] & equal[1:]).sum() / followed.sum())
    # An even rhythm has the smallest possible share of repeated repeats; independent ones have `share`, flats more.
    evenest = max(0.0, 2.0 - 1.0 / share)
    return share if again <= (share + evenest) / 2.0 else None


def interpolation_period_px(z: FloatArray) -> float | None:
    """Distance in pixels of the samples that heights were interpolated from; None if there is no such period.

    Args:
        z: float32 metres, NaN for void, full resolution.
    """
    best, period = _LEAST_PEAK, None
    for axis in (0, 1):
        peak, frequency = _sharpest_peak(np.abs(np.diff(z, 2, axis=axis)))
        if peak > best:
            best, period = peak, 1.0 / frequency
    return period


def _sharpest_peak(bends: FloatArray) -> tuple[float, float]:
    """Height of the sharpest peak of a spectrum over its median, and its frequency in cycles per pixel."""
    known = np.isfinite(bends)
    if known.mean() < 0.5:
        return 0.0, 1.0
    cap = float(np.quantile(bends[known], 0.9))
    if cap == 0.0:
        return 0.0, 1.0
    capped = np.minimum(np.where(known, bends, np.median(bends[known])), np.float32(cap)).astype(np.float64)
    rows, cols = capped.shape
    capped = (capped - capped.mean()) * np.outer(np.hanning(rows), np.hanning(cols))
    spectrum = np.abs(np.fft.rfft2(capped))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols)[None, :])
    spectrum[frequency <= _LOWEST_FREQUENCY] = 0.0
    median = float(np.median(spectrum[frequency > _LOWEST_FREQUENCY]))
    place = int(np.argmax(spectrum))
    return (float(spectrum.flat[place]) / median if median > 0.0 else 0.0), float(frequency.flat[place])
