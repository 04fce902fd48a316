"""Pictures of heights: shaded relief, differences, scale bars; the same style in every command and report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.canvas import Axes, Box, Canvas, colour_bar
from orograph.pipeline.core.painting import RED_BLUE, TINTS, Stops, ramp, relief, span
from orograph.pipeline.core.pixel_size import ground_pixel_size_m

FloatArray = npt.NDArray[np.float32]

MOST_PX: Final = 1000
"""Pixels along the longer side of a panel; larger rasters are averaged."""
_ALONE_PX, _ABREAST_PX = 640, 440
"""Widths of a map on its own, and of one of three."""
_LEFT, _BAR, _TOP, _BOTTOM = 16, 98, 42, 16
_LOWEST, _HIGHEST = 190, 1300
"""Heights of a map, pixels."""


def round_length(longest_m: float) -> float:
    """The largest length of the form 1, 2 or 5 times a power of ten that does not exceed `longest_m`."""
    power = 10.0 ** math.floor(math.log10(longest_m))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= longest_m * (1 + 1e-9))


def draw_relief(path: Path, heights_m: FloatArray, pixel_m: tuple[float, float], title: str = "") -> None:
    """Write one map of shaded, tinted relief with a scale bar and a colour bar in metres."""
    (axes,) = _panels(1, heights_m.shape, pixel_m)
    limits = span(heights_m)
    _panel(axes, relief(heights_m, pixel_m, *limits), title, (TINTS, *limits), "height, m")
    axes.canvas.save(path)


def draw_map(
    path: Path,
    values: FloatArray,
    pixel_m: tuple[float, float],
    title: str,
    scale: tuple[Stops, float, float],
    label: str,
) -> None:
    """Write one map of values in colours between the ends of a scale."""
    (axes,) = _panels(1, values.shape, pixel_m)
    stops, low, high = scale
    _panel(axes, ramp(values, stops, low, high), title, scale, label)
    axes.canvas.save(path)


def draw_comparison(
    path: Path,
    before_m: FloatArray,
    after_m: FloatArray,
    pixel_m: tuple[float, float],
    *,
    titles: tuple[str, str] = ("before", "after"),
    difference: str = "after - before",
) -> None:
    """Write a picture of two rasters of one area: both reliefs at one scale of heights, and their difference.

    Args:
        path: PNG to write.
        before_m: Heights, NaN void.
        after_m: Heights of the same area and shape.
        pixel_m: Width and height of a pixel in metres.
        titles: Titles of the two maps.
        difference: Title of the third map.
    """
    first, second, third = _panels(3, before_m.shape, pixel_m)
    limits = span(np.concatenate((before_m.ravel(), after_m.ravel())))
    for axes, heights_m, title in ((first, before_m, titles[0]), (second, after_m, titles[1])):
        _panel(axes, relief(heights_m, pixel_m, *limits), title, (TINTS, *limits), "height, m")
    change = after_m - before_m
    known = change[np.isfinite(change)]
    limit = max(float(np.percentile(np.abs(known), 99)), 0.001) if known.size else 1.0
    middle = f": median {np.median(known):+.2f} m" if known.size else ""
    _panel(third, ramp(change, RED_BLUE, -limit, limit), difference + middle, (RED_BLUE, -limit, limit), "m")
    third.canvas.save(path)


def draw_file_comparison(path: Path, before: Path, after: Path, titles: tuple[str, str] = ("before", "after")) -> None:
    """Compare two raster files of one area, the first band of each; both are averaged to at most `MOST_PX` pixels."""
    import rasterio
    from rasterio.enums import Resampling

    with rasterio.open(before) as dataset:
        factor = max(1.0, max(dataset.shape) / MOST_PX)
        shape = (max(2, round(dataset.height / factor)), max(2, round(dataset.width / factor)))
        size = ground_pixel_size_m(dataset.transform, dataset.height, str(dataset.crs))
        pixel_m = (size[0] * dataset.width / shape[1], size[1] * dataset.height / shape[0])
    planes = []
    for file in (before, after):
        # Overviews of odd sizes are shifted by up to half a pixel, which would show in differences on slopes.
        with rasterio.open(file, OVERVIEW_LEVEL="NONE") as dataset:
            how = Resampling.average if dataset.height > shape[0] else Resampling.nearest
            plane = dataset.read(1, out_shape=shape, masked=True, resampling=how)
        planes.append(np.ma.filled(plane.astype(np.float32), np.nan))
    draw_comparison(path, planes[0], planes[1], pixel_m, titles=titles)


def _panels(count: int, shape: tuple[int, ...], pixel_m: tuple[float, float]) -> list[Axes]:
    """Frames of maps of one area side by side, in metres, with room for their colour bars."""
    width = _ALONE_PX if count == 1 else _ABREAST_PX
    width_m, height_m = shape[1] * pixel_m[0], shape[0] * pixel_m[1]
    along = width * height_m / width_m
    across = width if along <= _HIGHEST else max(1, round(width * _HIGHEST / along))
    along = max(1, round(min(along, _HIGHEST)))
    whole = max(along, _LOWEST)
    top = _TOP + (whole - along) // 2
    canvas = Canvas(count * (_LEFT + across + _BAR), _TOP + whole + _BOTTOM)
    lefts = [k * (_LEFT + across + _BAR) + _LEFT for k in range(count)]
    return [Axes(canvas, Box(left, top, left + across, top + along), (0.0, width_m), (0.0, height_m)) for left in lefts]


def _panel(axes: Axes, colours: Any, title: str, scale: tuple[Stops, float, float], label: str) -> None:
    """Paint a map with its title, scale bar and colour bar."""
    box, canvas = axes.box, axes.canvas
    canvas.paint(box, colours)
    canvas.rectangle(box)
    canvas.title(box, title, box.width + _BAR)
    axes.scale_bar(round_length(axes.x[1] / 3.0))
    middle, half = (box.top + box.bottom) // 2, max(round(0.38 * box.height), _LOWEST // 2 - 12)
    stops, low, high = scale
    colour_bar(canvas, Box(box.right + 10, middle - half, box.right + 24, middle + half), stops, (low, high), label)
