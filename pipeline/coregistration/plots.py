"""Pictures of a coregistration: difference maps, shift maps with block values, arrows, histogram."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.canvas import BLACK, GREY, LABEL_PX, TICK_PX, Axes, Box, Canvas, colour_bar
from orograph.pipeline.core.painting import Stops, ramp
from orograph.pipeline.core.pictures import round_length
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.coregistration.blocks import BlockTable
from orograph.pipeline.coregistration.estimate import Spread
from orograph.pipeline.coregistration.notices import HeightBias
from orograph.pipeline.coregistration.status import CoregistrationStatus

Array = npt.NDArray[Any]

_MOST_LABELS: Final = 400
_VOID: Final = (217, 217, 217)
_RED, _BLUE = (178, 24, 43), (33, 102, 172)
_WIDTH, _LEFT, _RIGHT, _BOTTOM, _TOP = 880, 82, 138, 62, 52
_LOWEST, _HIGHEST = 220, 1210
"""Heights of a map, pixels."""
_DIFFERENCES: Final[Stops] = (
    (165, 0, 38), (215, 48, 39), (244, 109, 67), (253, 174, 97), (254, 224, 144), (255, 255, 191),
    (224, 243, 248), (171, 217, 233), (116, 173, 209), (69, 117, 180), (49, 54, 149),
)  # fmt: skip
_UP: Final[Stops] = (
    (45, 0, 75), (84, 39, 136), (128, 115, 172), (178, 171, 210), (216, 218, 235), (247, 247, 247),
    (254, 224, 182), (253, 184, 99), (224, 130, 20), (179, 88, 6), (127, 59, 8),
)  # fmt: skip
_SHIFTS: Final[tuple[Stops, ...]] = (
    ((255, 245, 240), (252, 187, 161), (251, 106, 74), (203, 24, 29), (103, 0, 13)),
    ((247, 252, 245), (199, 233, 192), (116, 196, 118), (35, 139, 69), (0, 68, 27)),
    ((247, 251, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107)),
)
"""Colour ramps of ColorBrewer (Brewer and Harrower, colorbrewer2.org)."""


def difference_map(path: Path, dh: FloatArray, inliers: BoolArray, geobox: GeoBox, limit_m: float, title: str) -> None:
    """Reference minus raster (metres), paler on unstable terrain."""
    axes = _map_axes(geobox)
    values, stable = _shown(dh, axes.box), _shown(inliers, axes.box)
    colours = ramp(values, _DIFFERENCES, -limit_m, limit_m, _VOID)
    pale = 0.65 * np.array(_VOID, np.float32) + 0.35 * colours
    axes.canvas.paint(axes.box, np.where(stable[..., None], colours, pale))
    _finish(path, axes, geobox, title, (_DIFFERENCES, -limit_m, limit_m, "reference - raster, m"))


def shift_map(path: Path, field: FloatArray, table: BlockTable | None, geobox: GeoBox, title: str, part: int) -> None:
    """One component of the displacement (metres), with the blocks' values where they fit.

    Blocks whose own shift is not observable have a grey value.
    """
    axes = _map_axes(geobox)
    values = _shown(field, axes.box)
    low, high = (float(v) for v in np.percentile(values, (0.5, 99.5)))
    if high - low < 0.1:
        low, high = low - 0.05, high + 0.05
    axes.canvas.paint(axes.box, ramp(values, _SHIFTS[part], low, high))
    if table is not None:
        _label_blocks(axes, table, part)
    _finish(path, axes, geobox, title, (_SHIFTS[part], low, high, "m"))


def _label_blocks(axes: Axes, table: BlockTable, part: int) -> None:
    """Write block values; every n-th when there are very many."""
    rows, cols = table.shape
    every = max(1, int(np.ceil(np.sqrt(rows * cols / _MOST_LABELS))))
    size = round(1.5 * float(np.clip(150.0 / max(rows, cols) * every, 5.0, 9.0)))
    for i, status in enumerate(table.status):
        if (i // cols) % every != every // 2 or (i % cols) % every != every // 2:
            continue
        east, north = table.centre_m[i] / 1000.0
        colour = BLACK if status is CoregistrationStatus.CONVERGED else GREY
        x, y = axes.at(east, north)
        axes.canvas.text((float(x), float(y)), f"{table.displacement_m[i, part]:.1f}", size, colour=colour)


def arrows(path: Path, table: BlockTable | None, field: FloatArray, geobox: GeoBox) -> None:
    """Horizontal displacement minus its mean as arrows, exaggerated, over the vertical one."""
    axes = _map_axes(geobox)
    up = _shown(field[2], axes.box)
    low, high = float(up.min()), float(up.max())
    if high - low < 0.1:
        low, high = low - 0.05, high + 0.05
    axes.canvas.paint(axes.box, 51.0 + 0.8 * ramp(up, _UP, low, high))
    if table is not None:
        places, moved = table.centre_m / 1000.0, table.displacement_m
    else:
        rows, cols = (np.linspace(0, n - 1, 12).astype(int) for n in field[0].shape)
        moved = np.stack([part[np.ix_(rows, cols)].ravel() for part in field], axis=1)
        affine = geobox.affine
        east, north = np.meshgrid(affine.c + affine.a * (cols + 0.5), affine.f + affine.e * (rows + 0.5))
        places = np.stack([east.ravel(), north.ravel()], axis=1) / 1000.0
    mean = moved[:, :2].mean(axis=0)
    rest = moved[:, :2] - mean
    typical = max(float(np.percentile(np.hypot(rest[:, 0], rest[:, 1]), 90)), 0.05)
    px_per_m = axes.box.width / (22.0 * typical)
    axes.canvas.arrows(axes.box, axes.at(places[:, 0], places[:, 1]), rest * (px_per_m, -px_per_m))
    title = f"displacement less its mean ({mean[0]:.2f} m east, {mean[1]:.2f} m north)"
    key = Box(_WIDTH - _RIGHT + 8, 22, _WIDTH - _RIGHT + 44, 42)
    axes.canvas.arrows(key, np.array([[key.left, 32.0]]), np.array([[typical * px_per_m, 0.0]]))
    axes.canvas.text((key.right + 6, 32), f"{typical:.1f} m", LABEL_PX, "lm")
    _finish(path, axes, geobox, title, (_UP, low, high, "up, m"))


def histogram(path: Path, before: Spread, after: Spread) -> None:
    """Histogram of differences on stable terrain before and after."""
    limit = 5.0 * max(before.nmad_m, after.nmad_m, 0.05) + abs(before.median_m)
    edges = np.linspace(-limit, limit, 161)
    counts = [np.histogram(spread.values_m, bins=edges)[0] for spread in (before, after)]
    axes = Axes(Canvas(704, 462), Box(92, 20, 684, 400), (-limit, limit), (0.0, 1.2 * max(1, *map(np.max, counts))))
    for count, spread, name, colour, left in (
        (counts[0], before, "before", _RED, 104),
        (counts[1], after, "after", _BLUE, 394),
    ):
        outline = axes.at(np.repeat(edges, 2), np.concatenate([[0], np.repeat(count, 2), [0]]))
        axes.canvas.glaze([(float(x), float(y)) for x, y in outline], colour, 0.45)
        axes.canvas.glaze([(left, 32), (left + 22, 32), (left + 22, 42), (left, 42)], colour, 0.45)
        axes.canvas.text((left + 30, 37), f"{name}: {spread}", TICK_PX, "lm")
    axes.curve([0.0, 0.0], axes.y)
    axes.frame("", "reference - raster on stable terrain, m", "pixels")
    axes.canvas.save(path)


def by_height(path: Path, bias: HeightBias) -> None:
    """Median difference after alignment by class of height, with its straight line and that line's standard error."""
    height, value = np.sort(bias.heights_m), bias.residuals_m[np.argsort(bias.heights_m)]
    per_m, middle = bias.per_km_m / 1000.0, float(np.median(height))
    line = float(np.median(value - per_m * (height - middle))) + per_m * (height - middle)
    spread = bias.error_per_km_m / 1000.0 * np.abs(height - middle)
    shown = np.concatenate([line - spread, line + spread, value, [0.0]])
    room = 0.05 * max(float(np.ptp(shown)), 0.01), 0.05 * max(float(np.ptp(height)), 1.0)
    axes = Axes(
        Canvas(704, 462),
        Box(92, 48, 684, 400),
        (float(height[0]) - room[1], float(height[-1]) + room[1]),
        (float(shown.min()) - room[0], float(shown.max()) + room[0]),
    )
    band = axes.at(np.concatenate([height, height[::-1]]), np.concatenate([line - spread, (line + spread)[::-1]]))
    axes.canvas.glaze([(float(x), float(y)) for x, y in band], _BLUE, 0.2)
    axes.curve(np.array(axes.x), np.zeros(2))
    axes.curve(height, line, _BLUE, 2)
    for x, y in axes.at(height, value):
        axes.canvas.dot((float(x), float(y)), 3)
    title = f"{bias.per_km_m:+.2f} +- {bias.error_per_km_m:.2f} m per 1000 m of height, not removed"
    axes.frame(title, "height above the surroundings, m", "median of reference - raster, m")
    axes.canvas.save(path)


def _map_axes(geobox: GeoBox) -> Axes:
    """A map's frame, in kilometres of the grid; the map keeps its proportions."""
    affine, (rows, cols) = geobox.affine, geobox.shape.shape
    across = _WIDTH - _LEFT - _RIGHT
    along = across * rows * abs(affine.e) / (cols * affine.a)
    if along > _HIGHEST:
        across, along = max(1, round(across * _HIGHEST / along)), _HIGHEST
    height = max(_LOWEST, round(along))
    top = _TOP + (height - round(along)) // 2
    box = Box(_LEFT, top, _LEFT + across, top + max(1, round(along)))
    west, north = affine.c / 1000.0, affine.f / 1000.0
    east, south = west + affine.a * cols / 1000.0, north + affine.e * rows / 1000.0
    return Axes(Canvas(_WIDTH, height + _TOP + _BOTTOM), box, (west, east), (south, north))


def _shown(values: Array, box: Box) -> Array:
    """The value at each pixel of a map, the nearest one."""
    rows, cols = (
        ((np.arange(shown) + 0.5) * size / shown).astype(np.intp)
        for shown, size in zip((box.height, box.width), values.shape, strict=True)
    )
    return values[rows[:, None], cols[None, :]]


def _finish(path: Path, axes: Axes, geobox: GeoBox, title: str, colours: tuple[Stops, float, float, str]) -> None:
    """Frame, colour bar and scale bar."""
    stops, low, high, label = colours
    box = axes.box
    axes.frame(title, "easting, km", "northing, km")
    inset = round(0.075 * box.height)
    bar = Box(box.right + 16, box.top + inset, box.right + 34, box.bottom - inset)
    if bar.height < _LOWEST // 2:
        bar = Box(bar.left, _TOP, bar.right, _TOP + _LOWEST)
    colour_bar(axes.canvas, bar, stops, (low, high), label)
    axes.scale_bar(round_length(abs(geobox.affine.a) * geobox.shape.x / 3.0), 0.001)
    axes.canvas.save(path)
