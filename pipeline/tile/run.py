"""Makes one tile from local files: passes every window through the stages and writes the products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from orograph.pipeline.core.grid import PixelWindow, windows
from orograph.pipeline.core.timing import StageClock
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.errors import AllVoid, OrographError, OutsideCoverage
from orograph.pipeline.formats.hillshade import hillshade
from orograph.pipeline.job import Job, ProgressCallback, TileResult
from orograph.pipeline.manifest import CoregistrationRecord
from orograph.pipeline.resampling.node_grid import Target
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.tile.align import coregister
from orograph.pipeline.tile.assembly import TileAssembly
from orograph.pipeline.tile.check import KEY, against_control
from orograph.pipeline.tile.memory import tile_halo_px, window_px
from orograph.pipeline.tile.products import ProductFiles, draft_manifest
from orograph.pipeline.tile.quality import QualityTally
from orograph.pipeline.tile.stages import Context, Stage, TileWindow, chain

_NARROW_PX = 1


def run_tile(
    job: Job,
    paths: Mapping[str, Sequence[RasterFile]],
    folder: Path,
    *,
    grids_dir: Path,
    weights: Read | None = None,
    progress: ProgressCallback = lambda _stage, _fraction: None,
    clock: StageClock | None = None,
) -> TileResult:
    """Make a tile's products in a local folder.

    Args:
        job: The tile's job.
        paths: Local files or sparse copies of each source, by source id, in the order of the job's references.
        folder: Existing folder for the products. A failure leaves no file that looks finished.
        grids_dir: Folder of geoid and datum grids.
        weights: Reads models that are neither bundled nor local files.
        progress: Receives stage and fraction.
        clock: Sums seconds by stage.

    Returns:
        Products and the manifest without its assets.

    Raises:
        OutsideCoverage, AllVoid: no heights for the tile.
        InputError, ModelError, ExportError, DiskFull: the tile cannot be made; the error names tile, source and stage.
    """
    clock = clock or StageClock()
    if not job.sources:
        raise OutsideCoverage(
            "no source has data here", tile=job.tile.id, remedy="add a source that covers the tile (orograph plan)"
        )
    try:
        with ExitStack() as stack:
            with clock.of("open"):
                assembly = stack.enter_context(TileAssembly(job, paths, grids_dir, weights))
            if not assembly.sources:
                raise assembly.rejected[0]
            progress("coregister", 0.0)
            with clock.of("coregister"):
                alignment = coregister(assembly)
            progress("coregister", 1.0)
            return _process_windows(
                job, assembly, alignment, folder=folder, progress=progress, clock=clock, grids_dir=grids_dir
            )
    except OrographError as error:
        raise error.at(tile=job.tile.id) from None


def estimate_alignment(
    job: Job, paths: Mapping[str, Sequence[RasterFile]], *, grids_dir: Path, weights: Read | None = None
) -> tuple[CoregistrationRecord, ...]:
    """Run only the coregistration of a tile, for the first of two passes.

    Raises:
        OutsideCoverage, InputError: see `run_tile`.
    """
    try:
        with TileAssembly(job, paths, grids_dir, weights) as assembly:
            if not assembly.sources:
                raise assembly.rejected[0]
            return coregister(assembly)
    except OrographError as error:
        raise error.at(tile=job.tile.id, stage="coregister") from error.__cause__


def _process_windows(
    job: Job,
    assembly: TileAssembly,
    alignment: tuple[CoregistrationRecord, ...],
    *,
    folder: Path,
    progress: ProgressCallback,
    clock: StageClock,
    grids_dir: Path,
) -> TileResult:
    stages = chain(job.settings.stages)
    context = Context(job, assembly)
    tally = QualityTally(tuple(ref.source.id for ref in job.sources))
    geobox = job.tile.geobox(job.settings.pixel_size_m)
    progress("windows", 0.0)
    blocks = list(windows(geobox.shape.shape, window_px(job)))
    with ProductFiles.open(job, folder, lowers=any(source.ground for source in assembly.sources)) as files:
        for number, core in enumerate(blocks):
            window = _run_stages(stages, core, context, clock)
            _count_outside(assembly, core, window, tally)
            with clock.of("write"):
                if window is None:
                    tally.add_void(core)
                else:
                    _write_window(files, window, job, tally)
            progress("windows", (number + 1) / len(blocks))
        if tally.void == tally.pixels:
            raise AllVoid(
                "every pixel is void",
                source=", ".join(ref.source.id for ref in job.sources),
                remedy="the sources' files touch the tile but have no height in it; remove it from the area",
            )
        products = files.finish(clock, progress)
    tally.joined = context.details.get("joined", {})
    draft = draft_manifest(job, assembly, alignment, tally, products)
    if job.settings.control:
        with clock.of("validate"):
            elevation = next(product.path for product, _ in products if product.info.name == "elevation")
            figures = against_control(job, elevation, grids_dir)
        quality = draft["quality"]
        draft["quality"] = quality.model_copy(update={"details": {**quality.details, KEY: figures}})
    return TileResult(job, tuple(product for product, _ in products), draft)


def _run_stages(stages: Sequence[Stage], core: PixelWindow, context: Context, clock: StageClock) -> TileWindow | None:
    """Pass one window through the stages; None if no source has heights in it or within reach of it.

    Stages use their halo only where sources meet or voids are filled. So a window is first made with the narrow halo of
    the hillshade; if its best source covers all of it and no better one is within reach, that result is final.
    """
    wide = tile_halo_px(context.job)
    whole = context.job.tile.geobox(context.job.settings.pixel_size_m)
    with clock.of("regrid"):
        narrow = TileWindow(core, _NARROW_PX, core.geobox(whole, _NARROW_PX))
        best = stages[0](narrow, context)
        around = core.geobox(whole, wide)
        final = bool(best.layers and best.layers[0].valid.all()) and not context.reader.has_better(
            best.layers[0].index, around
        )
        if wide > _NARROW_PX and not final:
            best = stages[0](TileWindow(core, wide, around), context)
    if not best.layers:
        return None
    for stage in stages[1:]:
        with clock.of(stage.name):
            best = stage(best, context)
    return best


def _count_outside(assembly: TileAssembly, core: PixelWindow, window: TileWindow | None, tally: QualityTally) -> None:
    """Count heights of a window's core that vertical operations leave out."""
    target = Target.of(core.geobox(assembly.job.tile.geobox(assembly.job.settings.pixel_size_m)))
    shown = None if window is None or window.source_index is None else window.inner(window.source_index)
    for source in assembly.sources:
        lost = source.outside(target)
        if lost is not None:
            tally.add_outside(source.index, lost, shown)


def _write_window(files: ProductFiles, window: TileWindow, job: Job, tally: QualityTally) -> None:
    tally.add(window)
    if window.heights_m is None or window.source_index is None or window.sigma_m is None:
        raise ValueError("the chain ended without heights")
    shade = hillshade(window.inner(window.heights_m, 1).copy(), job.settings.pixel_size_m)
    files.write(
        window.core,
        window.inner(window.heights_m),
        window.inner(window.source_index),
        window.inner(window.sigma_m),
        shade,
        None if window.lowered is None else window.inner(window.lowered),
    )
