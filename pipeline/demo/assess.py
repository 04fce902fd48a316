"""Compares the demo's result with its truth: errors before and after each stage, steps at borders, estimated shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.demo.world import SHIFT_EAST_M, SHIFT_NORTH_M, World
from orograph.pipeline.formats.cog import NODATA
from orograph.pipeline.job import Job
from orograph.pipeline.resampling.node_grid import NodeMapping as Lattice
from orograph.pipeline.resampling.node_grid import Target
from orograph.pipeline.tile.align import coregister
from orograph.pipeline.tile.assembly import TileAssembly
from orograph.pipeline.tile.prepared_source import PreparedSource

FloatArray = npt.NDArray[np.float32]

_PATCH_PX: Final = 400
_OPEN_M: Final = 0.5
_AWAY_M: Final = (15.0, 35.0, 55.0, 75.0, 95.0, 115.0, 135.0, 155.0)
"""Distances of pixel pairs from the border; several, so that interpolation noise averages out."""


@dataclass(frozen=True, slots=True)
class StageError:
    """Root mean square and median error of a stage's heights against truth, metres."""

    what: str
    rmse_m: float
    median_m: float
    rmse_open_m: float


@dataclass(frozen=True, slots=True)
class StageAssessment:
    """The step across a border line: mean error on one side minus mean error on the other."""

    what: str
    before_m: float
    after_m: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """Figures of the demo."""

    shift_true_m: tuple[float, float]
    shift_found_m: Mapping[str, tuple[float, float]]
    errors: tuple[StageError, ...]
    steps: tuple[StageAssessment, ...]


def assess(world: World, jobs: Sequence[Job], elevations: Mapping[str, Path], grids_dir: Path) -> Assessment:
    """Compare tiles with the truth.

    Args:
        world: The world that the sources were made from.
        jobs: The jobs of the run.
        elevations: Elevation COG by tile id.
        grids_dir: Folder of grids.
    """
    gathered: dict[str, list[FloatArray]] = {}
    canopy: list[FloatArray] = []
    found: dict[str, tuple[float, float]] = {}
    steps: list[StageAssessment] = []
    for job in jobs:
        paths = {ref.source.id: [Path(file.href) for file in ref.files] for ref in job.sources}
        with TileAssembly(job, paths, grids_dir) as assembly, rasterio.open(elevations[job.tile.id]) as product:
            records = coregister(assembly)
            for record in records:
                if record.source == "demo-global":
                    found[job.tile.id] = (-record.shift_east_m, -record.shift_north_m)
            for geobox, window in _patches(job):
                _gather(world, assembly, product, geobox=geobox, window=window, gathered=gathered, canopy=canopy)
            steps += _border_steps(world, job, assembly, product)
    high = np.concatenate([part.ravel() for part in canopy]) > _OPEN_M
    errors = tuple(
        _error(name, np.concatenate([part.ravel() for part in parts]), high) for name, parts in gathered.items()
    )
    return Assessment((SHIFT_EAST_M, SHIFT_NORTH_M), found, errors, tuple(steps))


def _patches(job: Job) -> list[tuple[GeoBox, PixelWindow]]:
    """Nine squares distributed over the tile."""
    whole = job.tile.geobox(job.settings.pixel_size_m)
    size = whole.shape.x
    edge = min(_PATCH_PX, size // 4)
    starts = [round(size * part) for part in (0.04, 0.4, 0.96 - edge / size)]
    return [(w.geobox(whole), w) for r in starts for c in starts for w in [PixelWindow(r, c, edge, edge)]]


def _gather(
    world: World,
    assembly: TileAssembly,
    product: Any,
    *,
    geobox: GeoBox,
    window: PixelWindow,
    gathered: dict[str, list[FloatArray]],
    canopy: list[FloatArray],
) -> None:
    east, north = _centres(geobox)
    truth = world.truth(east, north)
    target = Target.of(geobox)
    glo = next(source for source in assembly.sources if source.ref.source.id == "demo-global")
    aligned = glo.mapping
    for name, mapping in (
        ("global model as delivered", _mapped(glo, with_delta=False)),
        ("  after the vertical operation", _mapped(glo, with_delta=True)),
        ("  after coregistration", aligned),
    ):
        glo.mapping = mapping
        layer = glo.layer(target)
        heights = np.full(truth.shape, np.nan, np.float32) if layer is None else layer.heights_m
        gathered.setdefault(name, []).append(heights - truth)
    final = product.read(1, window=window.rasterio)
    final = np.where(final == NODATA, np.nan, final)
    gathered.setdefault("the tiles (all sources, blended, filled)", []).append(final - truth)
    canopy.append(world.canopy(east, north))


def _mapped(source: PreparedSource, *, with_delta: bool) -> Lattice:
    """The source's lattice before coregistration."""
    if source.ref.horizontal is None:
        raise AssertionError
    return Lattice.build(source.mapping.nodes, source.ref.horizontal, source.delta_m if with_delta else 0.0)


def _border_steps(world: World, job: Job, assembly: TileAssembly, product: Any) -> list[StageAssessment]:
    """The step along the national border: raw heights of both DTMs against the finished tile."""
    west, south, east, north = job.tile.bounds_m
    norths = np.arange(south + 9_500.0, north - 8_500.0, 10.0)
    line = world.border(np.zeros_like(norths), norths)
    if line.min() < west + 1_000 or line.max() > east - 1_000:
        return []
    named = {source.ref.source.id: source for source in assembly.sources}
    reach = _AWAY_M[-1] + 100.0
    box = (line.min() - reach, norths[0] - 100, line.max() + reach, norths[-1] + 100)
    geobox = GeoBox.from_bbox(box, "EPSG:3035", resolution=10.0)
    heights = product.read(1)
    errors: dict[str, list[FloatArray]] = {"raw": [], "made": []}
    for source_id, side in (("demo-nl", -1.0), ("demo-de", 1.0)):
        source = named[source_id]
        kept, source.mapping = source.mapping, _mapped(source, with_delta=False)
        layer = source.layer(Target.of(geobox))
        source.mapping = kept
        if layer is None:
            return []
        places = [_snapped(line + side * away, norths) for away in _AWAY_M]
        for what, values, affine in (("raw", layer.heights_m, geobox.affine), ("made", heights, product.transform)):
            seen = [_at(values, affine, *place) - world.truth(*place) for place in places]
            errors[what].append(np.stack(seen))
    before, after = (float(np.nanmean(errors[what][1]) - np.nanmean(errors[what][0])) for what in ("raw", "made"))
    return [StageAssessment(f"national border in {job.tile.id}", before, after)]


def _centres(geobox: GeoBox) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    affine = geobox.affine
    rows, cols = geobox.shape.shape
    return np.meshgrid(affine.c + (np.arange(cols) + 0.5) * affine.a, affine.f + (np.arange(rows) + 0.5) * affine.e)


def _snapped(east_m: npt.NDArray[Any], north_m: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The centre of the 10 m pixel that contains a point."""
    return np.floor(east_m / 10) * 10 + 5, np.floor(north_m / 10) * 10 + 5


def _at(values: FloatArray, affine: Any, east_m: npt.NDArray[Any], north_m: npt.NDArray[Any]) -> FloatArray:
    """Heights of the pixels that contain the points, NaN where void."""
    cols = np.floor((east_m - affine.c) / affine.a).astype(int)
    rows = np.floor((north_m - affine.f) / affine.e).astype(int)
    found = values[rows, cols]
    return np.where(found == NODATA, np.nan, found)


def _error(name: str, difference: FloatArray, high: npt.NDArray[np.bool_]) -> StageError:
    valid = np.isfinite(difference)
    open_ground = valid & ~high
    return StageError(
        name,
        float(np.sqrt(np.mean(difference[valid].astype(np.float64) ** 2))),
        float(np.median(difference[valid])),
        float(np.sqrt(np.mean(difference[open_ground].astype(np.float64) ** 2))),
    )
