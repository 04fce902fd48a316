"""Output files of a coregistration: the aligned raster and the field, strip by strip, and statistics as JSON."""

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
from orograph.pipeline.coregistration.grids import OutputGrid, rows_of
from orograph.pipeline.coregistration.prepare import Prepared
from orograph.pipeline.coregistration.result import Coregistration
from orograph.pipeline.coregistration.row_blocks import sampled_box, sampling_step
from orograph.pipeline.coregistration.warp import warp
from orograph.pipeline.formats import cog

Array = npt.NDArray[Any]

_BANDS: Final = {"aligned": ("height",), "field": ("east", "north", "up")}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Every n-th pixel of the reference's grid, for statistics and pictures; all pixels of a small raster.

    Attributes:
        geobox: The grid of the sample.
        before_m, after_m: Reference minus raster, float32, NaN where one is void.
        displacement_m: (3, rows, columns) east, north and up.
        stable: True on terrain that did not change.
        reference_m: Heights of the reference.
    """

    geobox: GeoBox
    before_m: FloatArray
    after_m: FloatArray
    displacement_m: FloatArray
    stable: BoolArray
    reference_m: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """Aligned heights and displacement (3, rows, columns) at the reference's own pixels, as files have them."""

    aligned_m: FloatArray
    displacement_m: FloatArray


def sample_of(pair: Prepared, result: Coregistration, written: Written | None = None, *, threads: int = 1) -> Sample:
    """Differences before and after at every n-th pixel of the reference; those after from what was written, if given."""
    step = sampling_step(pair.reference.heights_m.shape)
    box = sampled_box(pair.reference.geobox, step)
    reference = np.ascontiguousarray(pair.reference.heights_m[::step, ::step])
    moving, still = pair.to_estimate, DisplacementField(pair.reference.geobox)
    stable = np.ones(reference.shape, np.bool_) if pair.inliers is None else pair.inliers[::step, ::step]
    if written is None:
        aligned = warp(moving, result.field, box, threads=threads)
        written = Written(aligned, np.stack(result.displacement(box, threads=threads)))
    return Sample(
        geobox=box,
        before_m=reference - warp(moving, still, box, threads=threads),
        after_m=reference - written.aligned_m,
        displacement_m=written.displacement_m,
        stable=stable,
        reference_m=reference,
    )


def write_rasters(
    out: Path, pair: Prepared, result: Coregistration, grid: OutputGrid, *, threads: int = 1
) -> Written | None:
    """Write `aligned.tif` and `field.tif` (COGs, float32 metres, -32768 is void) on a grid, strip by strip.

    Returns:
        The rasters if `sample_of` would compute the same: all pixels of a reference that is not large.

    Raises:
        ExportError, DiskFull, StoreUnwritable: a file could not be written.
    """
    reference = pair.reference.geobox
    kept = []
    is_sample = grid.working == reference and grid.averaged == 1 and sampling_step(reference.shape.shape) == 1
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(cog.scratch(_scratch(out, name), grid.geobox, bands=len(bands)))
            for name, bands in _BANDS.items()
        }
        for rows in rows_of(result, pair, grid, threads=threads):
            window = PixelWindow(rows.first, 0, *rows.aligned_m.shape)
            writers["aligned"].write(window, rows.aligned_m)
            writers["field"].write(window, rows.displacement_m)
            if is_sample:
                kept.append(rows)
    for name, bands in _BANDS.items():
        cog.finish(_scratch(out, name), out / f"{name}.tif", band_names=bands, band_units=("metre",) * len(bands))
    if not kept:
        return None
    parts = [row.aligned_m for row in kept], [row.displacement_m for row in kept]
    return Written(np.concatenate(parts[0]), np.concatenate(parts[1], axis=1))


def _scratch(out: Path, name: str) -> Path:
    return out / f".{name}.scratch.tif"


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write JSON that every parser accepts: no NaN, no infinity."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
