"""A slope with houses and a wood, for tests of bare earth."""

from __future__ import annotations

import numpy as np

from orograph.pipeline.bare_earth.network import SurfaceSpec

TINY = SurfaceSpec((3, 7), (1.5, 3.0), 4)


def slope(rows: int = 96, cols: int = 96) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
    return (200 + 0.1 * x + 2 * np.sin(y / 20)).astype(np.float32)


def town(rows: int = 96, cols: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A slope with three houses and a wood, and what stands on it."""
    above = np.zeros((rows, cols), dtype=np.float32)
    above[20:30, 20:34] = 8
    above[60:66, 10:18] = 5
    above[15:22, 70:80] = 12
    rng = np.random.default_rng(0)
    above[60:85, 50:85] = 15 + rng.normal(0, 2, (25, 35))
    return slope(rows, cols), above
