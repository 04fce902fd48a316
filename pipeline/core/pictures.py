"""Pictures of heights: shaded relief, differences, scale bars; the same style in every command and report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.pixel_size import ground_pixel_size_m

FloatArray = npt.NDArray[np.float32]

MOST_PX: Final = 1000
"""Pixels along the longer side of a panel; larger rasters are averaged."""
_SUN: Final = (315.0, 45.0)
_VOID: Final = "#e4e2dc"
_TINTS: Final = ((0.0, "#5f8a5c"), (0.25, "#a9b86d"), (0.5, "#d9c48b"), (0.75, "#a98467"), (1.0, "#f4f1ec"))


def scale_bar(axes: Any, width_m: float, units_per_m: float) -> None:
    """Draw a bar of a round length, at most a third of the map's width, into the lower left corner.

    Args:
        axes: Axes of the map; the x axis may have any unit.
        width_m: Width of the mapped area, metres.
        units_per_m: Units of the x axis per metre of terrain.
    """
    length_m = round_length(width_m / 3.0)
    label = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    x, y = left + 0.04 * (right - left), bottom + 0.05 * (top - bottom)
    end = x + length_m * units_per_m
    axes.plot([x, end], [y, y], color="white", linewidth=5, solid_capstyle="butt", zorder=9)
    axes.plot([x, end], [y, y], color="black", linewidth=2.2, solid_capstyle="butt", zorder=10)
    axes.text(
        (x + end) / 2, y + 0.015 * (top - bottom), label, ha="center", va="bottom", fontsize=8, zorder=10,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def round_length(longest_m: float) -> float:
    """The largest length of the form 1, 2 or 5 times a power of ten that does not exceed `longest_m`."""
    power = 10.0 ** math.floor(math.log10(longest_m))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= longest_m * (1 + 1e-9))


def draw_relief(path: Path, heights_m: FloatArray, pixel_m: tuple[float, float], title: str = "") -> None:
    """Write one map of shaded, tinted relief with a scale bar and a colour bar in metres."""
    figure = _figure(1, heights_m.shape, pixel_m)
    axes = figure.subplots()
    low, high = _range(heights_m)
    _relief(figure, axes, heights_m, pixel_m, (low, high), title)
    figure.savefig(path)


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
    figure = _figure(3, before_m.shape, pixel_m)
    first, second, third = figure.subplots(1, 3)
    limits = _range(np.concatenate((before_m.ravel(), after_m.ravel())))
    _relief(figure, first, before_m, pixel_m, limits, titles[0])
    _relief(figure, second, after_m, pixel_m, limits, titles[1])
    change = after_m - before_m
    known = change[np.isfinite(change)]
    limit = max(float(np.percentile(np.abs(known), 99)), 0.001) if known.size else 1.0
    third.set_facecolor(_VOID)
    image = third.imshow(change, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=_extent(change.shape, pixel_m))
    figure.colorbar(image, ax=third, label="m", shrink=0.7)
    middle = f": median {np.median(known):+.2f} m" if known.size else ""
    _finish(third, change.shape, pixel_m, difference + middle)
    figure.savefig(path)


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


def _figure(panels: int, shape: tuple[int, ...], pixel_m: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    ratio = shape[0] * pixel_m[1] / (shape[1] * pixel_m[0])
    width = 7.0 if panels == 1 else 4.6
    return Figure(
        figsize=(width * panels, float(np.clip(width * ratio * 0.8 + 0.5, 2.6, 12.0))), dpi=110, layout="constrained"
    )


def _relief(
    figure: Any, axes: Any, heights_m: FloatArray, pixel_m: tuple[float, float], limits: tuple[float, float], title: str
) -> None:
    """Tinted heights multiplied by a hillshade."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LightSource, LinearSegmentedColormap, Normalize

    tints = LinearSegmentedColormap.from_list("terrain", list(_TINTS))
    scale = Normalize(*limits)
    known = np.isfinite(heights_m)
    filled = np.where(known, heights_m, limits[0])
    shade = LightSource(*_SUN).hillshade(filled, vert_exag=1.5, dx=pixel_m[0], dy=pixel_m[1])
    colours = tints(scale(filled))
    colours[..., :3] *= (0.35 + 0.65 * shade)[..., None]
    colours[..., 3] = known
    axes.set_facecolor(_VOID)
    axes.imshow(colours, extent=_extent(heights_m.shape, pixel_m), interpolation="nearest")
    figure.colorbar(ScalarMappable(scale, tints), ax=axes, label="height, m", shrink=0.7)
    _finish(axes, heights_m.shape, pixel_m, title)


def _finish(axes: Any, shape: tuple[int, ...], pixel_m: tuple[float, float], title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    scale_bar(axes, shape[1] * pixel_m[0], 1.0)


def _extent(shape: tuple[int, ...], pixel_m: tuple[float, float]) -> tuple[float, float, float, float]:
    return 0.0, shape[1] * pixel_m[0], 0.0, shape[0] * pixel_m[1]


def _range(heights_m: npt.NDArray[Any]) -> tuple[float, float]:
    known = heights_m[np.isfinite(heights_m)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, (0.5, 99.5)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)
