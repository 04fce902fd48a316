"""Colours of maps: ramps, tinted relief and differences, as arrays; one look for every picture and report."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Colours = npt.NDArray[np.float32]
Stops = tuple[tuple[int, int, int], ...]

TINTS: Final[Stops] = ((95, 138, 92), (169, 184, 109), (217, 196, 139), (169, 132, 103), (244, 241, 236))
"""Heights, from low to high."""
RED_BLUE: Final[Stops] = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))
"""Changes of height: blue where lower, red where higher."""
MAGMA: Final[Stops] = (
    (0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122), (229, 80, 100), (251, 135, 97),
    (254, 194, 135), (252, 253, 191),
)  # fmt: skip
"""Sizes of errors, from black to white."""
VOID: Final = (228, 226, 220)
_STEPS: Final = 1024
_LIGHT: Final = 0.5**0.5
_EXAGGERATION: Final = 1.5


def ramp(values: Array, stops: Stops, low: float, high: float, void: tuple[int, int, int] = VOID) -> Colours:
    """Colours of values between evenly spaced stops: (rows, columns, 3), 0 to 255; `void` where not finite."""
    places = np.linspace(0.0, len(stops) - 1.0, _STEPS)
    parts = [np.interp(places, range(len(stops)), [stop[i] for stop in stops]) for i in range(3)]
    table = np.vstack([np.stack(parts, axis=1), void]).astype(np.float32)
    known = np.isfinite(values)
    place = np.clip((np.where(known, values, low) - low) / (high - low), 0.0, 1.0) * (_STEPS - 1) + 0.5
    painted: Colours = table[np.where(known, place.astype(np.intp), _STEPS)]
    return painted


def relief(heights_m: Array, pixel_m: tuple[float, float], low: float, high: float) -> Colours:
    """Tinted heights under light from the north-west, (rows, columns, 3), 0 to 255.

    Args:
        heights_m: (rows, columns), north up, NaN is void.
        pixel_m: Width and height of a pixel, metres.
        low: Height of the first tint.
        high: Height of the last tint.
    """
    south, east = np.gradient(heights_m, pixel_m[1], pixel_m[0])
    slope = np.sqrt(1.0 + _EXAGGERATION**2 * (east**2 + south**2))
    light = np.clip((_LIGHT + 0.5 * _EXAGGERATION * (east + south)) / slope, 0.0, 1.0)
    shade = np.where(np.isfinite(light), 0.4 + 0.75 * light, 1.0)[..., None]
    painted: Colours = np.clip(ramp(heights_m, TINTS, low, high) * shade, 0, 255).astype(np.float32)
    return painted


def span(values: Array) -> tuple[float, float]:
    """Range of colours: all but the outermost hundredth of the finite values, never empty; 0 to 1 without any."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, (0.5, 99.5)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)
