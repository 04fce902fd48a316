"""The factor by which a source is upsampled before it is resampled to a tile's pixels."""

from __future__ import annotations

from typing import Final

UPSAMPLED_FROM: Final = 1.5
"""Smallest ratio of a source's resolution to the pixel size at which the source is upsampled."""
LARGEST_ZOOM: Final = 10
IN_PLACE: Final = "keys6"
"""Fallback when the network was trained for another factor."""


def zoom_of(resolution_m: float, pixel_size_m: float) -> int:
    """Whole factor by which a source is upsampled before it is resampled; 1 for none."""
    ratio = resolution_m / pixel_size_m
    return 1 if ratio < UPSAMPLED_FROM else min(LARGEST_ZOOM, max(2, round(ratio + 0.2)))
