"""Pictures of a coregistration: difference maps, shift maps with block values, arrows, histogram."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.pictures import scale_bar
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.coregistration.blocks import BlockTable
from orograph.pipeline.coregistration.estimate import nmad
from orograph.pipeline.coregistration.notices import HeightBias
from orograph.pipeline.coregistration.status import CoregistrationStatus

Array = npt.NDArray[Any]

_MOST_PIXELS: Final = 800
"""Pixels along the longer side of a map, about those of the picture."""
_MOST_LABELS: Final = 400
_GREY: Final = "#d9d9d9"
_DPI: Final = 110
_WIDTH_IN: Final = 8.0
_MARGINS_IN: Final = (0.75, 1.25, 0.55, 0.5)
"""Left, right, bottom and top of a map, inches. Fixed: searching for a layout takes longer than drawing."""
_BAR_IN: Final = (0.15, 0.16)
"""Gap between map and colour bar, and width of the bar, inches."""
_LEAST_HEIGHT_IN: Final = 2.0
_MOST_HEIGHT_IN: Final = 11.0


def difference_map(path: Path, dh: FloatArray, inliers: BoolArray, geobox: GeoBox, limit_m: float, title: str) -> None:
    """Reference minus raster (metres), paler on unstable terrain."""
    figure, axes = _axes(geobox)
    step = max(1, max(dh.shape) // _MOST_PIXELS)
    values, stable = dh[::step, ::step], inliers[::step, ::step]
    axes.set_facecolor(_GREY)
    shown = {
        "cmap": "RdYlBu",
        "vmin": -limit_m,
        "vmax": limit_m,
        "extent": _extent_km(geobox),
        "interpolation": "nearest",
    }
    axes.imshow(values, alpha=0.35, **shown)
    image = axes.imshow(np.where(stable, values, np.nan), **shown)
    axes.set_title(title)
    _bar(figure, image, axes, "reference - raster, m")
    _scale(axes, geobox)
    _save(figure, path)


def shift_map(path: Path, field: FloatArray, table: BlockTable | None, geobox: GeoBox, title: str, part: int) -> None:
    """One component of the displacement (metres), with the blocks' values where they fit.

    Blocks whose own shift is not observable have a grey value.
    """
    figure, axes = _axes(geobox)
    step = max(1, max(field.shape) // _MOST_PIXELS)
    low, high = (float(v) for v in np.percentile(field[::step, ::step], (0.5, 99.5)))
    if high - low < 0.1:
        low, high = low - 0.05, high + 0.05
    colours = ("Reds", "Greens", "Blues")[part]
    image = axes.imshow(field[::step, ::step], cmap=colours, vmin=low, vmax=high, extent=_extent_km(geobox))
    if table is not None:
        _label_blocks(axes, table, part)
    axes.set_title(title)
    _bar(figure, image, axes, "m")
    _scale(axes, geobox)
    _save(figure, path)


def _label_blocks(axes: Any, table: BlockTable, part: int) -> None:
    """Write block values; every n-th when there are very many."""
    rows, cols = table.shape
    every = max(1, int(np.ceil(np.sqrt(rows * cols / _MOST_LABELS))))
    size = float(np.clip(150.0 / max(rows, cols) * every, 4.0, 9.0))
    for i, status in enumerate(table.status):
        if (i // cols) % every != every // 2 or (i % cols) % every != every // 2:
            continue
        east, north = table.centre_m[i] / 1000.0
        colour = "black" if status is CoregistrationStatus.CONVERGED else "#777777"
        text = f"{table.displacement_m[i, part]:.1f}"
        axes.text(east, north, text, ha="center", va="center", fontsize=size, color=colour)


def arrows(path: Path, table: BlockTable | None, field: FloatArray, geobox: GeoBox) -> None:
    """Horizontal displacement minus its mean as arrows, exaggerated, over the vertical one."""
    figure, axes = _axes(geobox)
    step = max(1, max(field[2].shape) // _MOST_PIXELS)
    image = axes.imshow(field[2][::step, ::step], cmap="PuOr_r", extent=_extent_km(geobox), alpha=0.8)
    _bar(figure, image, axes, "up, m")
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
    arrow = axes.quiver(places[:, 0], places[:, 1], rest[:, 0], rest[:, 1], scale=typical * 22, width=0.0022)
    axes.quiverkey(arrow, 0.88, 1.03, typical, f"{typical:.1f} m", labelpos="E")
    axes.set_title(f"displacement less its mean ({mean[0]:.2f} m east, {mean[1]:.2f} m north)", fontsize=10)
    _save(figure, path)


def histogram(path: Path, before: Array, after: Array) -> None:
    """Histogram of differences on stable terrain before and after."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), dpi=_DPI)
    axes = figure.add_axes((0.12, 0.13, 0.84, 0.83))
    limit = 5.0 * max(nmad(before), nmad(after), 0.05) + abs(float(np.median(before)))
    bins = np.linspace(-limit, limit, 161).tolist()
    for values, name, colour in ((before, "before", "#b2182b"), (after, "after", "#2166ac")):
        label = f"{name}: {spread_text(values)}"
        axes.hist(values, bins=bins, histtype="stepfilled", alpha=0.45, color=colour, label=label)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel("reference - raster on stable terrain, m")
    axes.set_ylabel("pixels")
    axes.margins(y=0.2)
    axes.legend(frameon=False, loc="upper left", ncols=2, fontsize=8)
    _save(figure, path)


def by_height(path: Path, bias: HeightBias) -> None:
    """Median difference after alignment by class of height, with its straight line and that line's standard error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), dpi=_DPI)
    axes = figure.add_axes((0.12, 0.13, 0.84, 0.77))
    height, value = bias.heights_m, bias.residuals_m
    per_m, middle = bias.per_km_m / 1000.0, float(np.median(height))
    line = float(np.median(value - per_m * (height - middle))) + per_m * (height - middle)
    spread = bias.error_per_km_m / 1000.0 * np.abs(height - middle)
    axes.fill_between(height, line - spread, line + spread, color="#2166ac", alpha=0.2, linewidth=0)
    axes.plot(height, line, color="#2166ac")
    axes.plot(height, value, "o", color="black", markersize=4)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel("height above the surroundings, m")
    axes.set_ylabel("median of reference - raster after alignment, m")
    axes.set_title(
        f"{bias.per_km_m:+.2f} +- {bias.error_per_km_m:.2f} m per 1000 m of height, not removed", fontsize=10
    )
    _save(figure, path)


def spread_text(values: Array) -> str:
    """Median and NMAD in words; no negative zero."""
    return f"median {round(float(np.median(values)), 2) + 0.0:.2f} m, NMAD {nmad(values):.2f} m"


def _scale(axes: Any, geobox: GeoBox) -> None:
    """A scale bar; the axes are in kilometres of the grid."""
    width_km = abs(geobox.affine.a) * geobox.shape.x / 1000.0
    if width_km > 0:
        scale_bar(axes, width_km * 1000.0, 0.001)


def _axes(geobox: GeoBox) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    rows, cols = geobox.shape.shape
    left, right, bottom, top = _MARGINS_IN
    across = _WIDTH_IN - left - right
    along = float(np.clip(across * rows / cols, _LEAST_HEIGHT_IN, _MOST_HEIGHT_IN))
    height = along + bottom + top
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI)
    axes = figure.add_axes((left / _WIDTH_IN, bottom / height, across / _WIDTH_IN, along / height))
    axes.set_xlabel("easting, km")
    axes.set_ylabel("northing, km")
    axes.tick_params(labelsize=8)
    return figure, axes


def _bar(figure: Any, image: Any, axes: Any, label: str) -> None:
    # The map keeps its proportions: where its height is limited it is narrower than its place.
    axes.apply_aspect()
    place = axes.get_position()
    gap, width = (part / _WIDTH_IN for part in _BAR_IN)
    bar = figure.add_axes((place.x1 + gap, place.y0 + 0.075 * place.height, width, 0.85 * place.height))
    figure.colorbar(image, cax=bar, label=label).ax.tick_params(labelsize=8)


def _extent_km(geobox: GeoBox) -> tuple[float, float, float, float]:
    affine, (rows, cols) = geobox.affine, geobox.shape.shape
    west, north = affine.c / 1000.0, affine.f / 1000.0
    return west, west + affine.a * cols / 1000.0, north + affine.e * rows / 1000.0, north


def _save(figure: Any, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    # `Figure.savefig` draws twice.
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(path, pil_kwargs={"compress_level": 3})
