"""Warnings of planning: suspicious samples, steps between neighbouring files, and sources that disagree.

Only local files are checked: at most nine windows of a source, 16 edges of its files, and one common window of two
sources. Two sources may differ by as much as any two datums do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path
from typing import Final

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.core.grid import TILE_CRS
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import OrographError, SuspiciousSamples
from orograph.pipeline.planning.areas import footprint_of
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.facts import Facts
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.raster_facts import GridFacts, grid_of
from orograph.pipeline.sources.single_raster import HeightRaster
from orograph.pipeline.sources.suspicion import PLACES, edge_step_m, examine

_EDGE_FILES: Final = 64
_MOST_EDGES: Final = 16
_STRIP_PX: Final = 34
_LATTICE_PX: Final = 0.01
_LEAST_EDGE_PX: Final = 64
_MOST_EDGE_PX: Final = 1024
_COMPARED_PX: Final = 128
_COMPARED_FILES: Final = 16
_LEAST_PX: Final = 500
_LEAST_RELIEF_M: Final = 5.0
_ALIKE: Final = 0.9
_FEET: Final = ((1 / 0.3048, "feet"), (0.3048, "metres where the other is in feet"))
_DATUMS_M: Final = 6.0
"""National datums of Europe are within 2.4 m of each other; a DSM adds canopy, in one direction."""
_CANOPY_M: Final = 35.0
Grids = Callable[[Source, Sequence[str]], Sequence[GridFacts | None]]
"""Grids of local files of a source as its index has them; None where they are unknown."""
_ELLIPSOIDAL: Final = frozenset({"EPSG:4937", "EPSG:4979"})


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning of planning.

    Attributes:
        source: Id of the source.
        file: Name of the file.
        kind: Kind of the finding.
        text: A sentence.
    """

    source: str
    file: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.source}, {self.file}: {self.text}"


def _unknown(source: Source, paths: Sequence[str]) -> Sequence[GridFacts | None]:
    del source
    return [None] * len(paths)


def check_samples(files: Sequence[tuple[Source, Sequence[str]]], grids: Grids = _unknown) -> tuple[Warned, ...]:
    """Check the local files of a plan.

    Args:
        files: Sources, each with hrefs.
        grids: Grids of local files, so that only neighbours are opened; None for a file that must be opened.
    """
    local = [(source, [href for href in some if "://" not in href]) for source, some in files]
    found = [warned for source, paths in local for warned in _suspicious(source, paths)]
    found += [warned for source, paths in local for warned in _steps_at_edges(source, paths, grids)]
    placed = [(source, _placed(source, paths)) for source, paths in local] if len(local) > 1 else []
    for (one, ours), (other, theirs) in combinations(placed, 2):
        found.extend(_disagreeing(one, ours, other, theirs))
    return tuple(found)


def require_none(warnings: Sequence[Warned]) -> None:
    """Raise an error if there is a warning.

    Raises:
        SuspiciousSamples: the first warning.
    """
    if warnings:
        raise SuspiciousSamples(
            f"{len(warnings)} suspicious: {warnings[0]}",
            source=warnings[0].source,
            remedy="look at the files with `orograph inspect`, or leave --strict out",
        )


def _suspicious(source: Source, paths: Sequence[str]) -> Iterator[Warned]:
    chosen = sorted({len(paths) * place // PLACES for place in range(PLACES)}) if paths else []
    seen = set()
    for number in chosen:
        path = paths[number]
        try:
            with HeightRaster(read_header(path, source), source.id) as raster:
                findings = examine(raster, PLACES if len(chosen) == 1 else 1)
        except OrographError:
            continue  # planning itself reports what cannot be read
        for one in findings:
            if one.kind not in seen:
                seen.add(one.kind)
                yield Warned(source.id, Path(path).name, one.kind, one.text)


def _steps_at_edges(source: Source, paths: Sequence[str], grids: Grids) -> Iterator[Warned]:
    """The first edge where two files of a source abut and do not fit."""
    first = paths[:_EDGE_FILES]
    headers: dict[str, Facts] = {}
    placed: dict[str, GridFacts] = {}
    for path, grid in zip(first, grids(source, first), strict=True):
        with contextlib.suppress(OrographError):
            placed[path] = grid or grid_of(_header(path, source, headers))
    looked = 0
    for (one, ours), (other, theirs) in permutations(placed.items(), 2):
        edge = _common_edge(ours, theirs)
        if edge is None:
            continue
        looked += 1
        if looked > _MOST_EDGES:
            return
        with contextlib.suppress(OrographError):
            sides = zip((one, other), edge, strict=True)
            step_m = edge_step_m(*(_lines(_header(path, source, headers), source, place) for path, place in sides))
            if step_m is not None:
                text = f"heights step by {step_m:.2g} m along the whole edge to {Path(other).name}"
                yield Warned(source.id, Path(one).name, "edge step", text)
                return


def _header(path: str, source: Source, known: dict[str, Facts]) -> Facts:
    if path not in known:
        known[path] = read_header(path, source)
    return known[path]


Window = tuple[int, int, int, int, bool]
"""Row, column, height and width of a strip along an edge, and whether its lines are columns."""


def _common_edge(one: GridFacts, other: GridFacts) -> tuple[Window, Window] | None:
    """Strips on both sides of the edge at which two files on one lattice abut; None where they do not."""
    col, row = (other.west - one.west) / one.pixel_width, (one.north - other.north) / one.pixel_height
    rows, cols = one.height_px, one.width_px
    abuts = abs(col - cols) < _LATTICE_PX or abs(row - rows) < _LATTICE_PX
    if not abuts or abs(col - round(col)) > _LATTICE_PX or abs(row - round(row)) > _LATTICE_PX:
        return None
    if abs(one.pixel_width / other.pixel_width - 1) > 1e-7 or abs(one.pixel_height / other.pixel_height - 1) > 1e-7:
        return None
    col, row = round(col), round(row)
    if min(rows, cols, other.height_px, other.width_px) < _STRIP_PX:
        return None
    left, right = max(0, col), min(cols, col + other.width_px)
    top, bottom = max(0, row), min(rows, row + other.height_px)
    if row == rows and right - left >= _LEAST_EDGE_PX:
        width = min(right - left, _MOST_EDGE_PX)
        return (rows - _STRIP_PX, left, _STRIP_PX, width, False), (0, left - col, _STRIP_PX, width, False)
    if col == cols and bottom - top >= _LEAST_EDGE_PX:
        height = min(bottom - top, _MOST_EDGE_PX)
        return (top, cols - _STRIP_PX, height, _STRIP_PX, True), (top - row, 0, height, _STRIP_PX, True)
    return None


def _lines(facts: Facts, source: Source, place: Window) -> FloatArray:
    row, col, height, width, is_column = place
    with HeightRaster(facts, source.id) as raster:
        heights = raster.read_unchecked(row, col, height, width)
    return heights.T if is_column else heights


def _placed(source: Source, paths: Sequence[str]) -> list[tuple[str, BaseGeometry]]:
    """Footprints (EPSG:3035) of files spread over a source."""
    found = []
    for path in paths[:: max(1, len(paths) // _COMPARED_FILES)]:
        with contextlib.suppress(OrographError):
            found.append((path, footprint_of(read_header(path, source).bounds, source.horizontal_crs)))
    return found


def _disagreeing(
    a: Source, files_a: Sequence[tuple[str, BaseGeometry]], b: Source, files_b: Sequence[tuple[str, BaseGeometry]]
) -> Iterator[Warned]:
    """The pair compared at the first place that files of both cover."""
    if (a.vertical_frame in _ELLIPSOIDAL) != (b.vertical_frame in _ELLIPSOIDAL):
        return
    for path_a, place_a in files_a:
        for path_b, place_b in files_b:
            common = place_a.intersection(place_b)
            if common.is_empty or common.area == 0.0:
                continue
            step_m = max(a.resolution_m, b.resolution_m)
            middle, half = common.representative_point(), _COMPARED_PX / 2 * step_m
            box = (middle.x - half, middle.y - half, middle.x + half, middle.y + half)
            grid = GeoBox.from_bbox(box, TILE_CRS, resolution=step_m)
            try:
                text = _difference(_on(a, path_a, grid), _on(b, path_b, grid), a, b)
            except OrographError:
                return
            if text is not None:
                yield Warned(a.id, Path(path_a).name, "disagreement", f"{text} (against {b.id}, {Path(path_b).name})")
            return


def _on(source: Source, path: str, grid: GeoBox) -> FloatArray:
    with HeightRaster(read_header(path, source), source.id) as raster:
        finer = abs(grid.affine.a) > 1.5 * source.resolution_m
        return raster.on(grid, Resampling.average if finer else Resampling.bilinear)


def _difference(one_m: FloatArray, other_m: FloatArray, a: Source, b: Source) -> str | None:
    """Return the difference of two sources if neither datum nor canopy explains it."""
    both = np.isfinite(one_m) & np.isfinite(other_m)
    if both.sum() < _LEAST_PX:
        return None
    x, y = one_m[both].astype(np.float64), other_m[both].astype(np.float64)
    if min(x.std(), y.std()) > _LEAST_RELIEF_M:
        alike = float(np.corrcoef(x, y)[0, 1])
        if alike < -_ALIKE:
            return "heights rise where the other source falls: is the sign wrong?"
        slope = float(x.std() / y.std())
        for factor, unit in _FEET:
            if alike > _ALIKE and abs(slope / factor - 1.0) < 0.1:
                return f"heights are {slope:.2f} times the other source's: are they in {unit}?"
    off = x - y
    middle = float(np.median(off))
    spread = 1.4826 * float(np.median(np.abs(off - middle)))
    low, high = -_DATUMS_M, _DATUMS_M
    if (a.surface is Surface.DSM) != (b.surface is Surface.DSM):
        low, high = (low, _CANOPY_M) if a.surface is Surface.DSM else (-_CANOPY_M, high)
    if not low <= middle <= high and spread < 0.5 * abs(middle):
        return f"heights are {middle:+.1f} m off the other source's: another datum, or another place?"
    return None
