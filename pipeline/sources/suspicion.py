"""Detect suspicious samples: undeclared voids, traces of resampling, spikes, steps in a file and between files.

Data is neither changed nor rejected here. Each finding has a location, so that a picture can show it. Thresholds
are far from real terrain and real DSMs: a lake meets its shore, a mast is not one pixel of a smooth slope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.sources.resampling_traces import interpolation_period_px, staircase_share
from orograph.pipeline.sources.single_raster import HeightRaster

WINDOW_PX: Final = 512
"""Side of the windows that are looked at, in full resolution."""
PLACES: Final = 9
_LEAST_PX: Final = 64
_PLATEAU_SHARE: Final = 0.01
_PLATEAU_PX: Final = 100
_CLIFF_M: Final = 3.0
_CLIFF_TIMES: Final = 10.0
_SPIKE_M: Final = 50.0
_SPIKE_TIMES: Final = 5.0
_STEP_M: Final = 1.0
_STEP_TIMES: Final = 15.0
_DUPLICATE_SHARE: Final = 0.05
_DISTINCT: Final = 12


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One finding.

    Attributes:
        kind: `undeclared void`, `constant border`, `repeated lines`, `staircase`, `interpolated`, `spike`, `crater`,
            `step`.
        text: The finding, in a sentence.
        row: First row of the window that shows it.
        col: First column.
        height: Rows.
        width: Columns.
    """

    kind: str
    text: str
    row: int
    col: int
    height: int
    width: int

    def moved(self, row: int, col: int) -> Suspicion:
        """The finding with its position in a larger raster, where the window starts at (row, col)."""
        return Suspicion(self.kind, self.text, self.row + row, self.col + col, self.height, self.width)


def examine(raster: HeightRaster, places: int = PLACES) -> tuple[Suspicion, ...]:
    """Look at windows spread over a raster, and at all of a small one.

    Args:
        raster: Open heights.
        places: Largest number of windows; 1 checks only the centre.

    Returns:
        The first finding of each kind.
    """
    found: dict[str, Suspicion] = {}
    for row, col, height, width in _windows(raster, places):
        heights = raster.read_unchecked(row, col, height, width)
        edges = (row == 0, row + height == raster.height, col == 0, col + width == raster.width)
        for one in examine_window(heights, edges):
            found.setdefault(one.kind, one.moved(row, col))
    return tuple(found.values())


def examine_window(heights_m: FloatArray, edges: tuple[bool, bool, bool, bool] = (True,) * 4) -> Iterator[Suspicion]:
    """Findings in heights held in memory.

    Args:
        heights_m: float32 metres, NaN for void, full resolution.
        edges: Whether top, bottom, left and right of the window are edges of the file.
    """
    if min(heights_m.shape) < _LEAST_PX or np.isfinite(heights_m).mean() < 0.05:
        return
    looks: tuple[Callable[[FloatArray], Suspicion | None], ...] = (_undeclared_void, _resampled, _outliers, _step)
    for look in looks:
        found = look(heights_m)
        if found is not None:
            yield found
    border = _constant_border(heights_m, edges)
    if border is not None:
        yield border


def _windows(raster: HeightRaster, places: int) -> Iterator[tuple[int, int, int, int]]:
    height, width = min(WINDOW_PX, raster.height), min(WINDOW_PX, raster.width)
    seen = set()
    for place in range(PLACES) if places > 1 else (PLACES // 2,):
        row = (raster.height - height) * (place // 3) // 2
        col = (raster.width - width) * (place % 3) // 2
        if (row, col) not in seen:
            seen.add((row, col))
            yield row, col, height, width


def _undeclared_void(z: FloatArray) -> Suspicion | None:
    """A constant that ends in cliffs: an undeclared void, or a class code; water meets its shore."""
    flat = (z[:-1, :-1] == z[1:, :-1]) & (z[:-1, :-1] == z[:-1, 1:])
    values, counts = np.unique(z[:-1, :-1][flat], return_counts=True)
    valid = int(np.isfinite(z).sum())
    for value, count in sorted(zip(values, counts, strict=True), key=lambda pair: -pair[1])[:3]:
        if count < max(_PLATEAU_PX, _PLATEAU_SHARE * valid):
            return None
        plateau = z == value
        shore, typical = _steps(z, plateau)
        if shore.size >= 16 and np.median(shore) > max(_CLIFF_M, _CLIFF_TIMES * typical):
            share = 100.0 * plateau.sum() / valid
            text = (
                f"{share:.1f} % of the heights are exactly {value:g} m and end in cliffs of {np.median(shore):.3g} m "
                f"(steps elsewhere: {typical:.2g} m): an undeclared void?"
            )
            return _at("undeclared void", text, plateau)
    return None


def _steps(z: FloatArray, plateau: npt.NDArray[np.bool_]) -> tuple[FloatArray, float]:
    """Absolute steps over the plateau's edge, and the typical step of pairs away from it."""
    shore, away = [], []
    for step, one, other in (
        (np.abs(np.diff(z, axis=0)), plateau[1:], plateau[:-1]),
        (np.abs(np.diff(z, axis=1)), plateau[:, 1:], plateau[:, :-1]),
    ):
        known = np.isfinite(step)
        shore.append(step[known & (one ^ other)])
        away.append(step[known & ~one & ~other])
    rest = np.concatenate(away)
    return np.concatenate(shore), float(np.quantile(rest, 0.75)) if rest.size else 0.0


def _repeated_lines(z: FloatArray) -> Suspicion | None:
    """Rows or columns that repeat their neighbour throughout: enlarged by nearest neighbour."""
    for axis, name in ((0, "rows"), (1, "columns")):
        lines = z if axis == 0 else z.T
        known = np.isfinite(lines[1:]) & np.isfinite(lines[:-1])
        same = np.where(known, lines[1:] == lines[:-1], True).all(axis=1) & (known.sum(axis=1) >= _LEAST_PX)
        varied = np.array([np.unique(line[np.isfinite(line)]).size >= _DISTINCT for line in lines[1:]])
        judged = varied & (known.sum(axis=1) >= _LEAST_PX)
        if judged.sum() >= _LEAST_PX // 2 and (same & judged).sum() > _DUPLICATE_SHARE * judged.sum():
            share = 100.0 * (same & judged).sum() / judged.sum()
            mark = np.zeros(z.shape, np.bool_)
            where = np.flatnonzero(same & judged)
            (mark if axis == 0 else mark.T)[where[0] + 1] = True
            text = f"{share:.0f} % of the {name} repeat the one before them: enlarged by nearest neighbour?"
            return _at("repeated lines", text, mark)
    return None


def _outliers(z: FloatArray) -> Suspicion | None:
    """A pixel far beyond eight neighbours that agree."""
    inner = z[1:-1, 1:-1]
    around = [
        z[1 + i : z.shape[0] - 1 + i, 1 + j : z.shape[1] - 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j
    ]
    top, bottom = around[0].copy(), around[0].copy()
    for one in around[1:]:
        np.maximum(top, one, out=top)
        np.minimum(bottom, one, out=bottom)
    limit = np.maximum(np.float32(_SPIKE_M), np.float32(_SPIKE_TIMES) * (top - bottom))
    with np.errstate(invalid="ignore"):
        for kind, off in (("spike", inner - top), ("crater", bottom - inner)):
            marks = off > limit
            if marks.any():
                largest = float(off[marks].max())
                text = f"{int(marks.sum())} single pixels are up to {largest:.0f} m beyond neighbours that agree: a {kind}?"
                return _at(kind, text, np.pad(marks, 1))
    return None


def _resampled(z: FloatArray) -> Suspicion | None:
    """Heights that were not measured on their own grid; the plainest trace is reported."""
    repeated = _repeated_lines(z)
    if repeated is not None:
        return repeated
    middle = np.zeros(z.shape, np.bool_)
    middle[z.shape[0] // 2, z.shape[1] // 2] = True
    share = staircase_share(z)
    if share is not None:
        text = f"{share:.0%} of neighbouring heights are equal at an even rhythm: resampled by nearest neighbour?"
        return _at("staircase", text, middle)
    period = interpolation_period_px(z)
    if period is not None:
        return _at(
            "interpolated", f"slopes change every {period:.2g} pixels: interpolated from coarser heights?", middle
        )
    return None


def _step(z: FloatArray) -> Suspicion | None:
    """A straight step along a whole row or column: the edge of a file or strip that does not fit its neighbour."""
    for axis, name in ((0, "row"), (1, "column")):
        found = _stepping_line(z if axis == 0 else z.T)
        if found is not None:
            line, height = found
            mark = np.zeros(z.shape, np.bool_)
            (mark if axis == 0 else mark.T)[line] = True
            return _at("step", f"heights step by {height:.2g} m along a whole {name}: a seam of files?", mark)
    return None


def edge_step_m(one: FloatArray, other: FloatArray) -> float | None:
    """Step between two neighbouring files along their common edge; None if there is no step.

    Args:
        one: The last rows of a file (or columns, transposed), float32 metres, NaN for void; at least 32.
        other: As many first rows of the next file.
    """
    found = _stepping_line(np.vstack([one, other]))
    return None if found is None or abs(found[0] - len(one)) > 1 else found[1]


def _stepping_line(lines: FloatArray) -> tuple[int, float] | None:
    """The line in front of which heights step the most, and by how much; None where none stands out."""
    known = np.isfinite(lines).mean(axis=1)
    steps = np.diff(lines, axis=0)
    # A difference explained by the slope on both sides is not a step.
    bend = steps[1:-1] - (steps[:-2] + steps[2:]) / 2.0
    judged = (np.isfinite(bend).mean(axis=1) > 0.5) & (known[1:-2] > 0.5)
    if judged.sum() < _LEAST_PX // 2:
        return None
    middle = np.full(bend.shape[0], np.nan, np.float32)
    middle[judged] = np.nanmedian(bend[judged], axis=1)
    noise = float(np.nanmedian(np.abs(middle)))
    spread = float(np.nanmedian(np.abs(bend[judged])))
    worst = int(np.nanargmax(np.abs(middle)))
    height = float(abs(middle[worst]))
    agree = float(np.nanmean(np.sign(bend[worst]) == np.sign(middle[worst])))
    return (worst + 2, height) if height > max(_STEP_M, _STEP_TIMES * noise, 4.0 * spread) and agree > 0.9 else None


def _constant_border(z: FloatArray, edges: tuple[bool, bool, bool, bool]) -> Suspicion | None:
    """Outermost rows or columns of one value that the terrain next to them does not have."""
    sides = ((z, "top"), (z[::-1], "bottom"), (z.T, "left"), (z.T[::-1], "right"))
    for is_edge, (lines, name) in zip(edges, sides, strict=True):
        first = lines[0]
        if not is_edge or not np.isfinite(first).all() or not (first == first[0]).all():
            continue
        constant = (lines == first[0]).all(axis=1)
        inside = int(np.argmin(constant))
        if constant.all() or inside > len(lines) // 2:
            continue
        step = np.abs(lines[inside] - first[0])
        typical = np.abs(np.diff(lines[inside : inside + _LEAST_PX], axis=0))
        usual = float(np.nanquantile(typical, 0.75)) if np.isfinite(typical).any() else 0.0
        if np.isfinite(step).any() and float(np.nanmedian(step)) > max(_CLIFF_M, _CLIFF_TIMES * usual):
            text = f"{inside} lines at the {name} edge are all {first[0]:g} m, {np.nanmedian(step):.3g} m off the terrain inside"
            mark = np.zeros(z.shape, np.bool_)
            {"top": mark, "bottom": mark[::-1], "left": mark.T, "right": mark.T[::-1]}[name][:inside] = True
            return _at("constant border", text, mark)
    return None


def _at(kind: str, text: str, mark: npt.NDArray[np.bool_]) -> Suspicion:
    """A finding with the place that shows it: around its first mark, 96 pixels at most."""
    row, col = (int(place[0]) for place in np.nonzero(mark))
    rows, cols = mark.shape
    top, left = max(0, min(row - 48, rows - 96)), max(0, min(col - 48, cols - 96))
    return Suspicion(kind, text, top, left, min(96, rows), min(96, cols))
