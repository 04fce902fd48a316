"""Differences of sources over flat terrain in their overlaps, in one vertical frame, streamed by windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from orograph.pipeline.borders.closure_check import RouteCheck, check_routes
from orograph.pipeline.borders.reading import OpenSource, slope_degrees
from orograph.pipeline.borders.solve import Observation
from orograph.pipeline.borders.statistics import NMAD_FACTOR, DifferenceStatistics
from orograph.pipeline.core.grid import TILE_CRS, windows
from orograph.pipeline.core.progress import tracked
from orograph.pipeline.errors import OutsideAreaOfUse, OutsideCoverage
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.vertical import Operation, VerticalCatalogue, delta_surface

WINDOW_PX: Final = 1024
FLAT_DEG: Final = 5.0
BLOCK_M: Final = 5000.0
KEEP: Final = 2_000_000
"""Maximum number of differences kept for figures and pictures; above it every n-th one is kept."""
SAMPLE: Final = 20
"""Points of the published sample; the same number as in OpenDEM Europe's tables."""
ROUTE_POINTS: Final = 400


@dataclass(frozen=True, slots=True)
class Border:
    """Comparison of two sources in their overlap; differences are A minus B in the target frame, metres.

    Attributes:
        a, b: Source ids.
        statistics: Statistics on all flat terrain.
        sample: Statistics of twenty points drawn at random, as OpenDEM Europe's tables are made.
        before: Statistics of the same differences without any vertical operation.
        routes: The two-route check along the overlap.
        places: float64, shape (n, 2), EPSG:3035 eastings and northings of the differences kept.
        differences_m: float32, shape (n,), at those places.
        observations: Block medians, for the network adjustment.
    """

    a: str
    b: str
    statistics: DifferenceStatistics
    sample: DifferenceStatistics
    before: DifferenceStatistics
    routes: RouteCheck
    places: npt.NDArray[np.float64]
    differences_m: npt.NDArray[np.float32]
    observations: tuple[Observation, ...]

    @property
    def name(self) -> str:
        """`A / B`."""
        return f"{self.a} / {self.b}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All borders of some sources in a target frame, with the operations used."""

    target_frame: str
    borders: tuple[Border, ...]
    operations: dict[str, Operation]


@dataclass(slots=True)
class _Gathered:
    """Accumulated results of the windows."""

    places: list[npt.NDArray[np.float64]] = field(default_factory=list)
    moved: list[npt.NDArray[np.float32]] = field(default_factory=list)
    raw: list[npt.NDArray[np.float32]] = field(default_factory=list)


def compare_sources(
    sources: Sequence[Source],
    target_frame: str,
    grids_dir: Path,
    *,
    pixel_size_m: float | None = None,
    area_m: tuple[float, float, float, float] | None = None,
    flat_deg: float = FLAT_DEG,
) -> Comparison:
    """Compare every pair of sources that overlap.

    Args:
        sources: Sources in local files.
        target_frame: Frame to compare in.
        grids_dir: Folder of the catalogue's grids.
        pixel_size_m: Pixel of the comparison; the coarser of each pair's resolutions when None.
        area_m: Compared area: west, south, east, north in EPSG:3035, metres.
        flat_deg: Steeper terrain is excluded: there a horizontal offset becomes a height difference.

    Raises:
        OutsideCoverage: no two sources overlap on flat terrain.
        VerticalError: a source cannot be transformed to the target frame.
    """
    catalogue = VerticalCatalogue.load()
    operations = {
        source.id: catalogue.operation(
            source.vertical_frame,
            target_frame,
            grids_dir=grids_dir,
            user_grid=source.vertical_grid,
            epoch=source.epoch,
        )
        for source in sources
    }
    borders = []
    for a, b in tracked(list(itertools.combinations(sources, 2)), "comparing borders"):
        with OpenSource(a) as opened_a, OpenSource(b) as opened_b:
            box = _shared_box(opened_a, opened_b, area_m, pixel_size_m or max(a.resolution_m, b.resolution_m))
            if box is None:
                continue
            gathered = _gather(opened_a, opened_b, box, (operations[a.id], operations[b.id]), flat_deg)
        if gathered.moved and sum(part.size for part in gathered.moved) >= SAMPLE:
            borders.append(_border(a, b, gathered, grids_dir))
    if not borders:
        raise OutsideCoverage("no two sources overlap on flat terrain", remedy="check the extents of the sources")
    return Comparison(target_frame, tuple(borders), operations)


def _shared_box(
    a: OpenSource, b: OpenSource, area_m: tuple[float, float, float, float] | None, pixel_m: float
) -> GeoBox | None:
    boxes = [a.bounds_m, b.bounds_m, *([area_m] if area_m else [])]
    west, south = (max(box[i] for box in boxes) for i in (0, 1))
    east, north = (min(box[i] for box in boxes) for i in (2, 3))
    if east - west < 2 * pixel_m or north - south < 2 * pixel_m:
        return None
    columns, rows = math.floor((east - west) / pixel_m), math.floor((north - south) / pixel_m)
    bounds = (west, north - rows * pixel_m, west + columns * pixel_m, north)
    return GeoBox.from_bbox(bounds, TILE_CRS, shape=(rows, columns))


def _gather(
    a: OpenSource, b: OpenSource, box: GeoBox, operations: tuple[Operation, Operation], flat_deg: float
) -> _Gathered:
    gathered = _Gathered()
    size_px = min(WINDOW_PX, a.window_px(box), b.window_px(box))
    stride = max(1, round(box.shape[0] * box.shape[1] / KEEP))
    for window in windows(box.shape.shape, size_px):
        part = window.geobox(box)
        first, second = a.read(part), b.read(part)
        flat = np.isfinite(first) & np.isfinite(second)
        if not flat.any():
            continue
        pixel_m = abs(part.affine.a)
        flat &= (slope_degrees(first, pixel_m) <= flat_deg) & (slope_degrees(second, pixel_m) <= flat_deg)
        try:
            shift = [delta_surface(operation, part).sample(part) for operation in operations]
        except OutsideAreaOfUse:
            continue
        raw = (first - second)[flat][::stride]
        moved = raw + (shift[0] - shift[1])[flat][::stride]
        rows, columns = (index[::stride] for index in np.nonzero(flat))
        east = part.affine.c + part.affine.a * (columns + 0.5)
        north = part.affine.f + part.affine.e * (rows + 0.5)
        known = np.isfinite(moved)
        gathered.places.append(np.stack([east, north], axis=1)[known])
        gathered.moved.append(moved[known])
        gathered.raw.append(raw[known])
    return gathered


def _border(a: Source, b: Source, gathered: _Gathered, grids_dir: Path) -> Border:
    places = np.concatenate(gathered.places)
    differences = np.concatenate(gathered.moved)
    chosen = np.random.default_rng(20).choice(differences.size, SAMPLE, replace=False)
    some = places[:: max(1, len(places) // ROUTE_POINTS)]
    lon, lat = Transformer.from_crs(TILE_CRS, "EPSG:4258", always_xy=True).transform(some[:, 0], some[:, 1])
    return Border(
        a=a.id,
        b=b.id,
        statistics=DifferenceStatistics.of(differences),
        sample=DifferenceStatistics.of(differences[chosen]),
        before=DifferenceStatistics.of(np.concatenate(gathered.raw)),
        routes=check_routes((a.vertical_frame, b.vertical_frame), lon, lat, grids_dir),
        places=places,
        differences_m=differences,
        observations=_blocks(a.id, b.id, places, differences),
    )


def _blocks(
    a: str, b: str, places: npt.NDArray[np.float64], differences: npt.NDArray[np.float32]
) -> tuple[Observation, ...]:
    """Medians of 5 km blocks: pixels are not independent measurements, blocks nearly are."""
    keys = np.floor(places / BLOCK_M).astype(np.int64)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    keys, places, differences = keys[order], places[order], differences[order]
    edges = np.flatnonzero(np.any(np.diff(keys, axis=0), axis=1)) + 1
    observations = []
    for where, values in zip(np.split(places, edges), np.split(differences, edges), strict=True):
        median = float(np.median(values))
        nmad = float(NMAD_FACTOR * np.median(np.abs(values - median)))
        east, north = where.mean(axis=0)
        sigma = nmad / math.sqrt(min(values.size, 100))
        observations.append(Observation(a, b, median, sigma, float(east), float(north)))
    return tuple(observations)
