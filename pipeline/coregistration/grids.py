"""Selects the output grid of an aligned raster, and reads it there from the file's own pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.transform import array_bounds

from orograph.pipeline.core.block_mean import block_mean
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.coregistration.cpu_kernels import cpu_kernels
from orograph.pipeline.coregistration.despike import despike
from orograph.pipeline.coregistration.field import DisplacementField, crs_of
from orograph.pipeline.coregistration.prepare import Prepared
from orograph.pipeline.coregistration.result import Coregistration
from orograph.pipeline.coregistration.threads import in_bands
from orograph.pipeline.coregistration.warp import warp
from orograph.pipeline.coregistration.waves import NODES_A_WAVE
from orograph.pipeline.errors import ConfigError

Array = npt.NDArray[Any]
Choice = Literal["auto", "reference", "source"]

STRIP_ROWS: Final = 512
_NODE_PX: Final = 16
_FINER: Final = 0.8
_LARGER: Final = 0.05
_COARSER: Final = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class OutputGrid:
    """The grid of `aligned.tif` and `field.tif`.

    Attributes:
        name: `reference` or `source`.
        geobox: The output grid, in the file's own CRS.
        working: The same pixels in the CRS of the estimate; None if the two CRS have no common pixels.
        averaged: Each pixel is a mean over a square of this many samples per side; 1 for single samples.
        note: The choice in a sentence.
    """

    name: str
    geobox: GeoBox
    working: GeoBox | None
    averaged: int
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some whole rows of an output grid: aligned heights (float32, NaN is void) and displacement (3, rows, columns)."""

    first: int
    aligned_m: FloatArray
    displacement_m: FloatArray


def choose_grid(pair: Prepared, choice: str = "auto") -> OutputGrid:
    """Select the output grid: as requested, else the raster's own if it is finer or larger, else the reference's.

    Raises:
        ConfigError: unknown choice.
    """
    if choice not in {"auto", "reference", "source"}:
        raise ConfigError(f"unknown grid {choice!r}", remedy="use auto, reference or source")
    reference_m, source_m = pair.reference.geobox.affine.a, pair.moving.geobox.affine.a
    outside = _share_outside(pair.moving.geobox, pair.reference.geobox)
    finer, larger = source_m < _FINER * reference_m, outside > _LARGER
    name = choice if choice != "auto" else "source" if finer or larger else "reference"
    file, ready = (pair.moving_file, pair.moving) if name == "source" else (pair.reference_file, pair.reference)
    working = ready.geobox if ready.geobox.shape == file.geobox.shape and ready.heights_m is file.heights_m else None
    if name == "source":
        why = " and ".join(word for word, is_so in (("finer", finer), ("larger", larger)) if is_so)
        note = f"aligned.tif is on the raster's own grid{f', which is {why} than the reference' if why else ''}"
        return OutputGrid(name, file.geobox, working, 1, note)
    ratio = reference_m / source_m
    averaged = max(2, round(ratio)) if ratio >= _COARSER else 1
    note = "aligned.tif is on the reference's grid"
    if averaged > 1:
        note += f", each pixel a mean over {averaged} x {averaged} samples of the finer raster"
    if larger:
        note += f"; {outside:.0%} of the raster is outside it and is not written (--grid source writes all)"
    return OutputGrid(name, file.geobox, working, averaged, note)


def _share_outside(inner: GeoBox, outer: GeoBox) -> float:
    """Fraction of one grid's area that is outside another's."""
    a, b = (array_bounds(*box.shape.shape, box.affine) for box in (inner, outer))
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    return 1.0 - width * height / ((a[2] - a[0]) * (a[3] - a[1]))


def rows_of(result: Coregistration, pair: Prepared, grid: OutputGrid, *, threads: int = 1) -> Iterator[Rows]:
    """The aligned raster and the displacement on an output grid, strip by strip."""
    step = max(16, STRIP_ROWS // grid.averaged**2)
    despiked = None if grid.working is not None else despike(pair.moving_file.heights_m, spikes=False, threads=threads)
    for first in range(0, grid.geobox.shape.y, step):
        part = slice(first, min(first + step, grid.geobox.shape.y))
        if grid.working is not None:
            box = grid.working[part, :]
            aligned = warp(pair.moving, result.field, _finer(box, grid.averaged), threads=threads)
            displacement = np.stack(result.displacement(box, threads=threads))
        else:
            box = grid.geobox[part, :]
            aligned, _ = _through_nodes(result.field, pair, _finer(box, grid.averaged), despiked, threads)
            displacement = _at_nodes(result.field, box)[1]
        yield Rows(first, block_mean(aligned, grid.averaged) if grid.averaged > 1 else aligned, displacement)


def _finer(geobox: GeoBox, factor: int) -> GeoBox:
    """The same extent with `factor` times as many pixels along each side."""
    if factor == 1:
        return geobox
    shape = (geobox.shape.y * factor, geobox.shape.x * factor)
    return GeoBox(shape, geobox.affine @ Affine.scale(1.0 / factor), geobox.crs)


def _node_px(field: DisplacementField) -> int:
    """Pixel interval of exactly computed points; denser under short waves."""
    if not field.waves:
        return _NODE_PX
    shortest = min(wave.wavelength_m for wave in field.waves) / field.geobox.affine.a
    return int(np.clip(shortest / NODES_A_WAVE, 1, _NODE_PX))


def _places(field: DisplacementField, target: GeoBox) -> tuple[Array, Array, Array, int]:
    """Points (working CRS) and displacement (3, ...) at nodes over a target grid, and the nodes' distance in pixels."""
    step = _node_px(field)
    rows, cols = (np.arange(0, size + 2 * step - 1, step) + 0.5 for size in target.shape.shape)
    affine = target.affine
    x, y = np.meshgrid(affine.c + affine.a * cols, affine.f + affine.e * rows)
    there, here = CRS(crs_of(target).to_wkt()), CRS(crs_of(field.geobox).to_wkt())
    if there != here:
        x, y = Transformer.from_crs(there, here, always_xy=True).transform(x, y)
    return x, y, field.at(x, y), step


def _at_nodes(field: DisplacementField, target: GeoBox) -> tuple[Array, FloatArray]:
    """Displacement at the nodes, and bilinear between them at all pixels, float32."""
    _, _, moves, step = _places(field, target)
    weights = [_between(size, moves.shape[1 + axis], step) for axis, size in enumerate(target.shape.shape)]
    return moves, (weights[0] @ moves @ weights[1].T).astype(np.float32)


def _between(size: int, nodes: int, step: int) -> Array:
    """Weights (pixels, nodes) of the two nodes around each pixel."""
    place = np.arange(size) / step
    left = np.minimum(place.astype(int), nodes - 2)
    out = np.zeros((size, nodes))
    out[np.arange(size), left] = 1.0 - (place - left)
    out[np.arange(size), left + 1] = place - left
    return out


def _through_nodes(
    field: DisplacementField, pair: Prepared, target: GeoBox, despiked: FloatArray | None, threads: int
) -> tuple[FloatArray, Array]:
    """Read the file's own pixels on a grid of any CRS, displaced by the field: interpolated once, by Keys' kernel."""
    source = pair.moving_file
    x, y, moves, step = _places(field, target)
    x, y = x - moves[0], y - moves[1]
    here, there = CRS(crs_of(field.geobox).to_wkt()), CRS(crs_of(source.geobox).to_wkt())
    if here != there:
        x, y = Transformer.from_crs(here, there, always_xy=True).transform(x, y)
    affine = source.geobox.affine
    nodes = np.stack([(y - affine.f) / affine.e - 0.5, (x - affine.c) / affine.a - 0.5])
    out = np.full(target.shape.shape, np.nan, np.float32)
    heights = source.heights_m
    smooth = heights if despiked is None else despiked
    resample = cpu_kernels().resample
    in_bands(lambda a, b: resample(heights, smooth, nodes, step, a, b, out), out.shape[0], threads)
    weights = [_between(size, moves.shape[1 + axis], step) for axis, size in enumerate(target.shape.shape)]
    out += (weights[0] @ moves[2] @ weights[1].T).astype(np.float32)
    return out, moves


def true_north_deg(geobox: GeoBox) -> float:
    """Azimuth of geographic north at a grid's centre, degrees clockwise from grid north."""
    west, south, east, north = array_bounds(*geobox.shape.shape, geobox.affine)
    x, y = 0.5 * (west + east), 0.5 * (south + north)
    crs = CRS(crs_of(geobox).to_wkt())
    geographic = crs.geodetic_crs
    if geographic is None:
        return 0.0
    lon, lat = Transformer.from_crs(crs, geographic, always_xy=True).transform(x, y)
    # A short distance: over 100 m the projection is straight to a millionth of a degree.
    up_x, up_y = Transformer.from_crs(geographic, crs, always_xy=True).transform(lon, lat + 0.001)
    return float(np.degrees(np.arctan2(up_x - x, up_y - y)))
