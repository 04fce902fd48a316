"""Borders shared by neighbouring lattices: three coefficient lines along each edge, computed identically on both sides.

Value, slope and curvature on a border depend only on the three coefficient lines around it. Each line is fitted only to
the pixels within a few knots of the border, on both sides, so each neighbour computes the same numbers from the same
pixels; rounding to a common step makes them bit-identical. The difference between a local and the global fit decays by
0.27 per knot: over eight knots to 3e-5. Where all pixels near a border or a corner are void, that part of the frame is
omitted on both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from orograph.pipeline.errors import UsageError
from orograph.pipeline.implicit.lattice import SMOOTHING, LatticeShape, fit_lattice
from orograph.pipeline.implicit.splines import DEGREE, Float64Array, refinement

REACH_KNOTS: Final = 8
_LINES: Final = 3
# Where pixels are missing a stiffer prior prevents the rim's roughness from oscillating into the void.
_SMOOTHING_WITH_VOIDS: Final = 1e-2
_HEAD, _TAIL = slice(0, _LINES), slice(-_LINES, None)
_ALL = slice(None)
_SIDES: Final = ((_HEAD, _ALL), (_TAIL, _ALL), (_ALL, _HEAD), (_ALL, _TAIL))
_CORNERS: Final = ((_HEAD, _HEAD), (_HEAD, _TAIL), (_TAIL, _HEAD), (_TAIL, _TAIL))


@dataclass(frozen=True, slots=True, eq=False)
class SharedFrame:
    """The shared border of a lattice, in multiples of `step_m`.

    Attributes:
        edges: North, south (3, along columns) and west, east (3, along rows) lines, on the axis `along` times coarser.
        corners: (3, 3) each, on the lattice itself: north-west, north-east, south-west, south-east.
        along: Coarsening factor of the edges along the border.
        step_m: Metres per unit.
    """

    edges: tuple[np.ndarray | None, ...]
    corners: tuple[np.ndarray | None, ...]
    along: int
    step_m: float

    @property
    def parameters(self) -> int:
        """Number of parameters in the frame."""
        return sum(part.size for part in (*self.edges, *self.corners) if part is not None)

    def impose(self, coefficients: Float64Array) -> Float64Array:
        """Replace a lattice's border lines by the shared ones."""
        framed = coefficients.copy()
        for edge, side in zip(self.edges, _SIDES, strict=True):
            if edge is not None:
                line = self._line(edge)
                framed[side] = line if side[1] == _ALL else line.T
        for corner, at in zip(self.corners, _CORNERS, strict=True):
            if corner is not None:
                framed[at] = corner * self.step_m
        return framed

    def _line(self, edge: np.ndarray) -> Float64Array:
        line = edge * self.step_m
        if self.along == 1:
            return line
        intervals = edge.shape[1] - DEGREE
        return np.asarray((refinement(intervals) @ line.T).T)


def halo_needed(count_px: int, intervals: int) -> int:
    """Pixels beyond the border that a shared frame reads along an axis."""
    return math.ceil(REACH_KNOTS * count_px / intervals)


def shared_frame(
    heights_m: np.ndarray, halo_px: int, shape: LatticeShape, step_m: float, along: int = 1
) -> SharedFrame:
    """Fit the border lines of a tile's lattice.

    Args:
        heights_m: The tile and `halo_px` pixels of its surroundings on every side, metres; NaN is void.
        halo_px: Width of the surroundings, at least `halo_needed`.
        shape: Intervals of the tile's lattice.
        step_m: The rounding; must be the same for all tiles.
        along: 1, or 2 to store the lines at twice the spacing along the border.

    Raises:
        UsageError: the halo is too narrow, or the intervals do not divide.
    """
    height, width = (size - 2 * halo_px for size in heights_m.shape)
    reach = (halo_needed(height, shape.rows), halo_needed(width, shape.cols))
    if min(height, width) < 1 or halo_px < max(reach):
        raise UsageError(f"a halo of {halo_px} px is too narrow for a shared border", remedy=f"give {max(reach)} px")
    if shape.rows % along or shape.cols % along:
        raise UsageError(f"{shape.rows} x {shape.cols} intervals do not divide by {along}")
    tile = heights_m[halo_px - reach[0] : halo_px + height + reach[0], halo_px - reach[1] : halo_px + width + reach[1]]
    rows = _Side(height, shape.rows, reach[0])
    cols = _Side(width, shape.cols, reach[1])
    edges = (
        _edge(tile[: 2 * reach[0]], rows, cols, along),
        _edge(tile[-2 * reach[0] :], rows, cols, along),
        _edge(tile[:, : 2 * reach[1]].T, cols, rows, along),
        _edge(tile[:, -2 * reach[1] :].T, cols, rows, along),
    )
    corners = tuple(_corner(tile, rows, cols, at) for at in _CORNERS)
    return SharedFrame(
        tuple(_rounded(edge, step_m) for edge in edges), tuple(_rounded(c, step_m) for c in corners), along, step_m
    )


def _rounded(part: Float64Array | None, step_m: float) -> np.ndarray | None:
    return None if part is None else np.rint(part / step_m).astype(np.int32)


@dataclass(frozen=True, slots=True)
class _Side:
    """One axis of the tile: pixels, intervals, and pixels of margin beyond each end."""

    pixels: int
    intervals: int
    reach: int

    def around_border(self) -> tuple[Float64Array, int, int]:
        """Across a border: pixel coordinates, intervals of the strip's lattice, and its interval at the border."""
        half = math.ceil(self.reach * self.intervals / self.pixels)
        position = (np.arange(2 * self.reach) + 0.5 - self.reach) * (self.intervals / self.pixels) + half
        return np.asarray(position, dtype=np.float64), 2 * half, half

    def along_border(self, coarseness: int) -> tuple[Float64Array, int, int]:
        """Along a border, the reach beyond both ends included, on a lattice `coarseness` times coarser."""
        intervals = self.intervals // coarseness
        beyond = math.ceil(self.reach * intervals / self.pixels)
        pixels = np.arange(self.pixels + 2 * self.reach)
        position = (pixels + 0.5 - self.reach) * (intervals / self.pixels) + beyond
        return np.asarray(position, dtype=np.float64), intervals + 2 * beyond, beyond


def _edge(strip: np.ndarray, across: _Side, along: _Side, coarseness: int) -> Float64Array | None:
    """Three lines (3, along) of the border in the middle of a strip (2 reach, reach + pixels + reach)."""
    if np.isnan(strip).all():
        return None
    rows, depth, middle = across.around_border()
    cols, length, first = along.along_border(coarseness)
    lattice = fit_lattice(strip, LatticeShape(depth, length), smoothing=_smoothing(strip), positions=(rows, cols))
    return lattice[middle : middle + _LINES, first : first + along.intervals // coarseness + DEGREE]


def _corner(tile: np.ndarray, rows: _Side, cols: _Side, at: tuple[slice, slice]) -> Float64Array | None:
    part = tile[
        slice(0, 2 * rows.reach) if at[0] is _HEAD else slice(-2 * rows.reach, None),
        slice(0, 2 * cols.reach) if at[1] is _HEAD else slice(-2 * cols.reach, None),
    ]
    if np.isnan(part).all():
        return None
    (u, depth, row), (v, breadth, col) = rows.around_border(), cols.around_border()
    lattice = fit_lattice(part, LatticeShape(depth, breadth), smoothing=_smoothing(part), positions=(u, v))
    return lattice[row : row + _LINES, col : col + _LINES]


def _smoothing(part: np.ndarray) -> float:
    return _SMOOTHING_WITH_VOIDS if np.isnan(part).any() else SMOOTHING
