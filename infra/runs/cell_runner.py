"""Exports of 1 degree cells: plans the cells that are due, and makes one from published tiles.

A cell's run key contains the run keys of the tiles it touches. So planning needs no record of its own: a cell is due
when its manifest is not in the store, and a tile that is made again makes exactly its own cells due.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orograph.infra.engines.memory import peak_rss_mb
from orograph.infra.engines.protocol import Receipt, Status
from orograph.infra.reporting.telemetry import log_context
from orograph.infra.runs.commit import commit_tile, is_done
from orograph.infra.runs.scratch import ScratchFolder
from orograph.infra.stores.base import Store, sha256_of
from orograph.infra.stores.open import open_store
from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.errors import (
    CatalogueError,
    MemoryBudgetExceeded,
    OrographError,
    OutsideCoverage,
    ResultDiffers,
    SourceMissing,
    VerticalFrameMissing,
)
from orograph.pipeline.exports.cell_job import CellJob, CellSettings, TileRef
from orograph.pipeline.exports.cell_lattice import cells_of_tiles, tiles_of_cell
from orograph.pipeline.job import ProgressCallback
from orograph.pipeline.manifest import Manifest, manifest_key
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.vertical import Operation, VerticalCatalogue
from orograph.stac.documents.collections import TILES, items_of_cell
from orograph.stac.documents.layout import item_key
from orograph.stac.publishing.publish import present_run_key, publish_item

ELEVATION: Final = ("elevation", "dem")
_ITEM_KEY: Final = re.compile(rf"stac/{TILES.id}/[^/]+/(E\d{{4}}N\d{{4}})/\1\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class CellPlan:
    """Plan of an export.

    Attributes:
        due: Cells to make.
        up_to_date: Cells that were made from the current tiles.
        rejected: Cells that cannot be made, with the reason.
    """

    due: tuple[CellJob, ...]
    up_to_date: tuple[CellJob, ...]
    rejected: tuple[tuple[Cell, OrographError], ...] = ()


def published_tiles(store: Store) -> tuple[Tile, ...]:
    """The tiles with an item in the catalogue."""
    keys = (info.key for info in store.list(f"stac/{TILES.id}/"))
    return tuple(Tile.parse(match[1]) for key in keys if (match := _ITEM_KEY.fullmatch(key)))


def plan_cells(store: Store, settings: CellSettings, cells: Iterable[Cell] | None = None) -> CellPlan:
    """Plan an export: find the cells that are due.

    Args:
        store: Store with published tiles.
        settings: Products and options of each cell.
        cells: Cells to plan; None for every cell that a published tile touches.

    Raises:
        CatalogueError: an item refers to a manifest that does not exist.
    """
    refs = {tile: tile_ref(store, tile) for tile in published_tiles(store)}
    wanted = cells_of_tiles(refs) if cells is None else tuple(sorted(set(cells)))
    due, up_to_date, rejected = [], [], []
    for cell in wanted:
        touched = sorted(tiles_of_cell(cell))
        job = CellJob(cell, tuple(refs[tile] for tile in touched if tile in refs), settings)
        absent = [tile.id for tile in touched if tile not in refs]
        if not job.inputs or (absent and settings.missing == "error"):
            rejected.append((cell, _uncovered(cell, absent)))
        elif store.head(job.manifest_key) is not None and _is_published(store, job):
            up_to_date.append(job)
        else:
            due.append(job)
    return CellPlan(tuple(due), tuple(up_to_date), tuple(rejected))


def _uncovered(cell: Cell, absent: Sequence[str]) -> OutsideCoverage:
    return OutsideCoverage(
        f"tiles {', '.join(absent)} are not published",
        tile=cell.id,
        remedy="publish them, or export with --missing void",
    )


def _is_published(store: Store, job: CellJob) -> bool:
    shown = items_of_cell(job.id, job.settings.products, job.settings.frame)
    return all(present_run_key(store, collection, item_id) == job.run_key for collection, item_id in shown)


def tile_ref(store: Store, tile: Tile) -> TileRef:
    """Reference to a published tile: its manifest and files.

    Raises:
        CatalogueError: its item refers to a manifest that is missing, damaged or without elevation.
    """
    run_key = present_run_key(store, TILES.id, tile.id)
    key = manifest_key(tile.id, str(run_key))
    try:
        manifest = Manifest.from_json(store.get(key))
        elevation = next(asset for asset in manifest.assets if asset.name in ELEVATION)
    except (KeyError, StopIteration):
        raise CatalogueError(
            f"{item_key(TILES.id, tile.id)} points at {key}, which contains no elevation",
            tile=tile.id,
            remedy="run the tile again",
        ) from None
    except ValueError as fault:
        raise CatalogueError(f"{key} is damaged: {fault}", tile=tile.id, remedy="run the tile again") from fault
    return TileRef(tile, manifest.run_key, elevation.key, elevation.sha256, key)


@dataclass(frozen=True, slots=True)
class CellRunner:
    """Makes, commits and publishes one cell; picklable, safe to call twice and by two workers at once."""

    settings: RunSettings

    def __call__(self, job: CellJob, progress: ProgressCallback) -> Receipt:
        """Make a cell unless it is made already.

        Raises:
            OrographError: naming cell and stage.
        """
        with log_context(tile=job.id, job=job.run_key):
            try:
                return self._run(job, progress)
            except OrographError as error:
                raise error.at(tile=job.id) from error.__cause__

    def _run(self, job: CellJob, progress: ProgressCallback) -> Receipt:
        started, cpu = time.monotonic(), time.process_time()
        store = open_store(self.settings.store, endpoint_url=self.settings.s3_endpoint_url)
        done = is_done(store, job)
        read = written = 0
        if done is None:
            self._check_budget(job)
            with ScratchFolder(self.settings.scratch, job.id) as folder:
                done, read = self._make(store, job, folder, progress)
            written = sum(asset.size_bytes for asset in done.assets)
        progress("publish", 0.0)
        publish_item(store, done)
        return Receipt(
            tile=job.id,
            run_key=job.run_key,
            status=Status.DONE if written else Status.UP_TO_DATE,
            manifest_key=job.manifest_key,
            seconds={"export": round(time.monotonic() - started, 3)},
            cpu_seconds={"export": round(time.process_time() - cpu, 3)},
            bytes_read=read,
            bytes_written=written,
            peak_rss_mb=peak_rss_mb(),
        )

    def _make(self, store: Store, job: CellJob, folder: Path, progress: ProgressCallback) -> tuple[Manifest, int]:
        from orograph.pipeline.exports.cell import export_cell

        manifests = [Manifest.from_json(store.get(ref.manifest_key)) for ref in job.inputs]
        frames = {manifest.vertical_frame for manifest in manifests}
        if len(frames) != 1:
            raise VerticalFrameMissing(
                f"the tiles are in several vertical frames: {', '.join(sorted(frames))}",
                remedy="run them again with one --target",
            )
        files: dict[Tile, Path] = {}
        for number, ref in enumerate(job.inputs):
            progress("fetch", number / len(job.inputs))
            files[ref.tile] = fetch_elevation(store, ref, folder)
        read = sum(path.stat().st_size for path in files.values())
        operation = self._operation(frames.pop(), job.settings)
        made = folder / "made"
        made.mkdir()
        result = export_cell(job, files, manifests, made, operation=operation, progress=progress)
        progress("commit", 0.0)
        return commit_tile(store, result), read

    def _check_budget(self, job: CellJob) -> None:
        from orograph.pipeline.exports.cell import peak_bytes

        projected, limit = peak_bytes(job.settings) / 2**20, self.settings.memory_limit_mb
        if projected > limit:
            raise MemoryBudgetExceeded(
                f"projected peak of {projected:.0f} MB is above the limit of {limit} MB",
                remedy="raise OROGRAPH_MEMORY_LIMIT_MB, or draw contours from the 3 arc-second lattice",
            )

    def _operation(self, frame_from: str, settings: CellSettings) -> Operation | None:
        if settings.frame is None or settings.frame == frame_from:
            return None
        return VerticalCatalogue.load().operation(
            frame_from, settings.frame, grids_dir=self.settings.grids_dir, via=settings.via
        )


def fetch_elevation(store: Store, ref: TileRef, folder: Path) -> Path:
    """Return the local path of a tile's elevation COG, downloaded if necessary and checked against its manifest.

    Raises:
        SourceMissing: it is not in the store.
        ResultDiffers: its sha256 differs from the manifest's.
    """
    local = _local_file(store, ref.elevation_key)
    path = local or folder / f"{ref.tile.id}.tif"
    if local is None:
        try:
            store.download(ref.elevation_key, path)
        except KeyError:
            raise SourceMissing(f"{ref.elevation_key} is not in the store", source=ref.tile.id) from None
    if sha256_of(path) != ref.elevation_sha256:
        raise ResultDiffers(
            f"{ref.elevation_key} is not what its manifest says",
            source=ref.tile.id,
            remedy=f"delete {ref.manifest_key.rsplit('/', 1)[0]}/ and run tile {ref.tile.id} again",
        )
    return path


def _local_file(store: Store, key: str) -> Path | None:
    if "://" in store.url:
        return None
    path = Path(store.url) / key
    return path if path.is_file() else None
