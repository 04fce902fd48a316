"""What a coregistration writes: the aligned raster and the field, strip by strip, and numbers as JSON."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.prepare import Prepared
from orograph.pipeline.coregistration.result import Coregistration
from orograph.pipeline.coregistration.row_blocks import sampled, sampled_box, sampling_step, strips
from orograph.pipeline.coregistration.warp import warp
from orograph.pipeline.formats import cog

Array = npt.NDArray[Any]

_BANDS: Final = {"aligned": ("height",), "field": ("east", "north", "up")}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Every n-th pixel of what was written, for figures and pictures; all of a small raster.

    Attributes:
        geobox: The grid of the sample.
        before_m, after_m: Reference minus raster, float32, NaN where one is void.
        displacement_m: (3, rows, columns) east, north and up.
        stable: True on ground that did not change.
    """

    geobox: GeoBox
    before_m: FloatArray
    after_m: FloatArray
    displacement_m: FloatArray
    stable: BoolArray


def write_rasters(out: Path, pair: Prepared, result: Coregistration, *, threads: int = 1) -> Sample:
    """Write `aligned.tif` and `field.tif` (COGs, float32 metres, -32768 is void) on the reference's grid.

    Nothing of the rasters' size is held but the pair itself.

    Raises:
        ExportError, DiskFull, StoreUnwritable: a file could not be written.
    """
    geobox, heights = pair.reference.geobox, pair.reference.heights_m
    step, still = sampling_step(heights.shape), DisplacementField(geobox)
    before, after, moves, stable = [], [], [], []
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(cog.scratch(_scratch(out, name), geobox, bands=len(bands)))
            for name, bands in _BANDS.items()
        }
        for strip in strips(result, pair.moving, geobox, threads=threads):
            window = PixelWindow(strip.rows.start, 0, *strip.aligned_m.shape)
            displacement = np.stack(result.displacement(strip.geobox, threads=threads))
            writers["aligned"].write(window, strip.aligned_m)
            writers["field"].write(window, displacement)
            unmoved = warp(pair.moving, still, strip.geobox, threads=threads)
            before.append(sampled(heights[strip.rows] - unmoved, strip, step))
            after.append(sampled(heights[strip.rows] - strip.aligned_m, strip, step))
            moves.append(sampled(displacement, strip, step))
            inliers = np.True_ if pair.inliers is None else pair.inliers[strip.rows]
            stable.append(sampled(np.broadcast_to(inliers, strip.aligned_m.shape), strip, step))
    for name, bands in _BANDS.items():
        cog.finish(_scratch(out, name), out / f"{name}.tif", band_names=bands, band_units=("metre",) * len(bands))
    return Sample(
        geobox=sampled_box(geobox, step),
        before_m=np.concatenate(before),
        after_m=np.concatenate(after),
        displacement_m=np.concatenate(moves, axis=1),
        stable=np.concatenate(stable),
    )


def _scratch(out: Path, name: str) -> Path:
    return out / f".{name}.scratch.tif"


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write JSON that every parser reads: no NaN, no infinity."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
