"""Coregister: estimate the shift of each source relative to the tile's best one, and store it in the source's mapping.

The estimate uses at most a million samples where both have heights, in the target frame, at the coarser of their
resolutions; heights are shifted later, by the single interpolation.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import TILE_CRS
from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.core.torch_device import device_memory
from orograph.pipeline.coregistration import fit
from orograph.pipeline.coregistration.tile_smoothing import corner_displacement, smoothed_error_m
from orograph.pipeline.errors import CoregistrationError, OutOfMemory
from orograph.pipeline.manifest import CoregistrationRecord
from orograph.pipeline.resampling.node_grid import Target
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.tile.assembly import TileAssembly
from orograph.pipeline.tile.prepared_source import PreparedSource

MOST_SAMPLES: Final = 1_000_000
SAMPLE_SIZES_M: Final = (1, 2, 5, 10, 20, 25, 50, 100, 250, 500)
FEWEST_SAMPLES: Final = 2_500
SURVEY_ACCURACY_M: Final = 1.0
_ALIGNED: Final = frozenset({"converged", "undulated", "one_direction"})
_FOLDED_IN: Final = _ALIGNED | {"unobservable"}
"""Statuses whose displacement is applied; of unobservable terrain that is the height alone."""


def coregister(assembly: TileAssembly) -> tuple[CoregistrationRecord, ...]:
    """Estimate the shift of every source except the best, and apply it to DSMs and coarse sources.

    A source is compared with the best-ranked one before it that overlaps it enough. Surveys are measured but
    not moved against one another: their frames are more accurate than an estimate from a strip of overlap, and noise of
        a neighbour must not change heights of a national DTM. Coarse sources and DSMs are moved.

    Returns:
        One record per source; `applied` in its details records whether the shift was applied.
    """
    if assembly.job.alignment:
        return _as_given(assembly)
    records: list[CoregistrationRecord] = []
    for number, source in enumerate(assembly.sources):
        records.append(_against_better(assembly, assembly.sources[:number], source))
    return tuple(records)


def _as_given(assembly: TileAssembly) -> tuple[CoregistrationRecord, ...]:
    """Apply the job's given shifts, made continuous over neighbouring tiles by a second pass."""
    given = {record.source: record for record in assembly.job.alignment}
    records = []
    for source in assembly.sources:
        record = given.get(source.ref.source.id)
        if record is None:
            name = source.ref.source.id
            record = CoregistrationRecord(source=name, reference=name, method="none", status="none")
        elif record.details.get("corners_m") is not None and is_moved(source.ref.source):
            displacement = corner_displacement(record, assembly.job.tile, source.mapping.nodes.geobox)
            source.shift(displacement, smoothed_error_m(record))
            record = record.model_copy(update={"details": {**record.details, "applied": True}})
        records.append(record)
    return tuple(records)


def is_moved(source: Source) -> bool:
    """Return whether to align a source to better ones: DSMs and sources less accurate than a metre."""
    return source.surface is Surface.DSM or source.accuracy_m > SURVEY_ACCURACY_M


def _against_better(
    assembly: TileAssembly, better: list[PreparedSource], source: PreparedSource
) -> CoregistrationRecord:
    """Return the record against the best source with enough overlap, otherwise the most informative failure."""
    method = assembly.job.settings.coregistration
    name = source.ref.source.id
    if not better:
        return CoregistrationRecord(source=name, reference=name, method=method, status="reference")
    if method == "none":
        return CoregistrationRecord(source=name, reference=better[0].ref.source.id, method=method, status="none")
    first: CoregistrationRecord | None = None
    for reference in better:
        record = _align(assembly, reference, source)
        if record.status in _ALIGNED:
            return record
        if first is None or (first.status == "too_few" and record.status != "too_few"):
            first = record
    if first is None:
        raise AssertionError
    return first


def _align(assembly: TileAssembly, best: PreparedSource, source: PreparedSource) -> CoregistrationRecord:
    settings = assembly.job.settings
    ids = {"source": source.ref.source.id, "reference": best.ref.source.id, "method": settings.coregistration}
    geobox = _overlap_grid(assembly, best, source)
    if geobox is None:
        return CoregistrationRecord(status="too_few", **ids)
    reference, other = _raster(best, geobox, assembly), _raster(source, geobox, assembly)
    if reference is None or other is None:
        return CoregistrationRecord(status="too_few", **ids)
    count = int(np.count_nonzero(reference.valid & other.valid))
    if count < FEWEST_SAMPLES:
        return CoregistrationRecord(status="too_few", sample_count=count, **ids)
    # Without a device the compiled kernels run, which are faster on a processor than torch.
    device = None if settings.device == "cpu" else settings.device
    try:
        with device_memory(settings.device, "coregistration"):
            result = fit(
                reference, other, method=settings.coregistration, max_shift_m=settings.max_shift_m, device=device
            )
    except (CoregistrationError, OutOfMemory) as error:
        raise error.at(tile=assembly.job.tile.id, source=source.ref.source.id, stage="coregister") from error
    record = result.record(ids["source"], ids["reference"])
    applied = is_moved(source.ref.source) and record.status in _FOLDED_IN
    if applied:
        east, north, up = (float(result.covariance[k, k]) for k in range(3))
        source.shift(result.displacement(source.mapping.nodes.geobox), _rounded_m(up), _rounded_m((east + north) / 2.0))
    return record.model_copy(
        update={"details": {**record.details, "applied": applied, "sample_m": geobox.resolution.x}}
    )


def _rounded_m(variance: float) -> float:
    """Standard error to a micrometre, like the shift itself: the same on every instruction set."""
    error_m = math.sqrt(max(variance, 0.0))
    return round(error_m, 6) if math.isfinite(error_m) else 0.0


def _overlap_grid(assembly: TileAssembly, best: PreparedSource, source: PreparedSource) -> GeoBox | None:
    """The grid to sample: over the overlap, as fine as the coarser source and a million samples allow."""
    boxes = [best.bounds_m(), source.bounds_m(), assembly.job.tile.bounds_m]
    if boxes[0] is None or boxes[1] is None:
        return None
    wests, souths, easts, norths = zip(*(box for box in boxes if box is not None), strict=True)
    west, south, east, north = max(wests), max(souths), min(easts), min(norths)
    if west >= east or south >= north:
        return None
    coarsest = max(best.ref.source.resolution_m, source.ref.source.resolution_m)
    affordable = math.sqrt((east - west) * (north - south) / MOST_SAMPLES)
    size = next((float(s) for s in SAMPLE_SIZES_M if s >= max(0.8 * coarsest, affordable)), None)
    if size is None:  # pixels of kilometres: a tile has too few of them to fit a shift
        return None
    # On the global grid of that pixel size, as everything is.
    west, south, east, north = (
        size * edge
        for edge in (math.floor(west / size), math.floor(south / size), math.ceil(east / size), math.ceil(north / size))
    )
    return GeoBox.from_bbox((west, south, east, north), TILE_CRS, resolution=size)


def _raster(source: PreparedSource, geobox: GeoBox, assembly: TileAssembly) -> Raster | None:
    heights = source.sampled(Target.of(geobox))
    if heights is None:
        return None
    return Raster(heights, geobox, assembly.job.settings.target_frame, source.ref.source.surface)
