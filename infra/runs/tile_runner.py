"""The runner of every engine: fetches sources, makes a tile, commits and publishes it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orograph.infra.engines.memory import peak_rss_mb
from orograph.infra.engines.protocol import Receipt, Status
from orograph.infra.objects.sparse import SparseCopy
from orograph.infra.reporting.telemetry import log_context
from orograph.infra.runs.commit import commit_tile, is_done
from orograph.infra.runs.contents import with_contents
from orograph.infra.runs.fetch import Fetcher
from orograph.infra.runs.model_weights import stored_weights_reader
from orograph.infra.runs.node_needs import NodeNeeds
from orograph.infra.runs.packed_jobs import unpacked
from orograph.infra.runs.scratch import ScratchFolder
from orograph.infra.runs.source_access import SourceAccess, window_of
from orograph.infra.runs.source_records import keep_inputs
from orograph.infra.stores.base import Store
from orograph.infra.stores.open import open_store
from orograph.pipeline.core.timing import StageClock
from orograph.pipeline.errors import ObjectExists, OrographError
from orograph.pipeline.file_lists import list_product
from orograph.pipeline.job import Job, ProgressCallback, TileResult
from orograph.pipeline.manifest import Manifest, canonical_json
from orograph.pipeline.resampling.horizontal import use_grids
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.tile.memory import check_budget
from orograph.pipeline.tile.run import estimate_alignment, run_tile
from orograph.stac.publishing.publish import publish_item


def estimate_key(job: Job) -> str:
    """Key of a tile's own shift estimates for the second pass."""
    return f"estimates/{job.tile.id}/{job.run_key}.json"


@dataclass(frozen=True, slots=True)
class EstimateRunner:
    """Runner of the first of two passes: estimates a tile's shifts and stores them; picklable."""

    settings: RunSettings

    def __call__(self, job: Job, progress: ProgressCallback) -> Receipt:
        """Estimate, unless it was done before."""
        clock = StageClock()
        tiles = TileRunner(self.settings)
        use_grids(self.settings.grids_dir)
        store = open_store(self.settings.store, endpoint_url=self.settings.s3_endpoint_url)
        key = estimate_key(job)
        if store.head(key) is not None:
            return tiles.receipt(job, clock, Status.UP_TO_DATE)
        job = unpacked(store, job)
        with ScratchFolder(self.settings.scratch, job.tile.id) as folder:
            paths = tiles.fetch(job, folder, progress, clock)
            with clock.of("coregister"):
                records = estimate_alignment(
                    job, paths, grids_dir=self.settings.grids_dir, weights=stored_weights_reader(self.settings)
                )
        document = canonical_json([record.model_dump(mode="json") for record in records])
        with contextlib.suppress(ObjectExists):  # another worker wrote the same estimate
            store.put(key, document, if_absent=True, media_type="application/json")
        progress("coregister", 1.0)
        return tiles.receipt(job, clock, Status.DONE)


@dataclass(frozen=True, slots=True)
class TileRunner:
    """Makes and publishes a tile; picklable, safe to call twice and by two workers at once."""

    settings: RunSettings
    needs: NodeNeeds = field(default_factory=NodeNeeds)

    def check_node(self) -> None:
        """Check that this machine can run the jobs; engines of several machines call it when a worker starts.

        Raises:
            OrographError: as `NodeNeeds.check`.
        """
        self.needs.check(self.settings)

    def __call__(self, job: Job, progress: ProgressCallback) -> Receipt:
        """Make a tile unless it is made already.

        Raises:
            OrographError: naming tile, source and stage.
        """
        with log_context(tile=job.id, job=job.run_key):
            try:
                return self._run(job, progress)
            except OrographError as error:
                raise error.at(tile=job.id) from error.__cause__

    def _run(self, job: Job, progress: ProgressCallback) -> Receipt:
        clock = StageClock()
        use_grids(self.settings.grids_dir)
        store = open_store(self.settings.store, endpoint_url=self.settings.s3_endpoint_url)
        with clock.of("look"):
            done = is_done(store, job)
        if done is not None:
            publish_item(store, done)
            return self.receipt(job, clock, Status.UP_TO_DATE, outside=_outside(done))
        job = unpacked(store, job)
        check_budget(job, self.settings.memory_limit_mb)
        with ScratchFolder(self.settings.scratch, job.tile.id) as folder:
            files = SourceAccess(self.settings, folder / "sources")
            rasters = self.fetch(job, folder, progress, clock, files)
            result = run_tile(
                job,
                rasters,
                folder,
                grids_dir=self.settings.grids_dir,
                weights=stored_weights_reader(self.settings),
                progress=progress,
                clock=clock,
            )
            self._check_unchanged(job)
            result = with_contents(result, rasters)
            files_list = list_product(result.draft["sources"], folder)
            if files_list is not None:
                result = replace(result, products=(*result.products, files_list))
            manifest = self._commit(store, result, progress, clock)
        written = sum(asset.size_bytes for asset in manifest.assets)
        reads = files.counts()
        local = sum(file.size_bytes for ref in job.sources for file in ref.files if "://" not in file.href)
        read = local + sum(counts["bytes_needed"] for counts in reads.values())
        lost = _outside(manifest)
        return self.receipt(job, clock, Status.DONE, read=read, written=written, reads=reads, outside=lost)

    def fetch(
        self, job: Job, folder: Path, progress: ProgressCallback, clock: StageClock, files: SourceAccess | None = None
    ) -> dict[str, Sequence[RasterFile]]:
        """Rasters of every source, by source id: local files, or sparse copies that fetch blocks on reading."""
        files = files or SourceAccess(self.settings, folder / "sources")
        wanted = [(ref, file) for ref in job.sources for file in ref.files]
        rasters: dict[str, list[RasterFile]] = {ref.source.id: [] for ref in job.sources}
        with clock.of("fetch"):
            for number, (ref, file) in enumerate(wanted):
                progress("fetch", number / len(wanted))
                try:
                    raster = files.opened(file, ref.source)
                except OrographError as error:
                    raise error.at(source=ref.source.id, stage="fetch") from error.__cause__
                if isinstance(raster, SparseCopy) and (window := window_of(job.tile, ref, raster)) is not None:
                    raster.expect(window)
                rasters[ref.source.id].append(raster)
        progress("fetch", 1.0)
        return dict(rasters)

    def _check_unchanged(self, job: Job) -> None:
        """A local source may be rewritten while it is read; then the tile starts again."""
        for ref in job.sources:
            for file in ref.files:
                if "://" not in file.href:
                    Fetcher().check_unchanged(file)

    def _commit(self, store: Store, result: TileResult, progress: ProgressCallback, clock: StageClock) -> Manifest:
        with clock.of("commit"):
            progress("commit", 0.0)
            keep_inputs(store, result.job)
            manifest = commit_tile(store, result)
            progress("commit", 0.5)
            publish_item(store, manifest)
            progress("commit", 1.0)
        return manifest

    def receipt(
        self,
        job: Job,
        clock: StageClock,
        status: Status,
        *,
        read: int = 0,
        written: int = 0,
        reads: dict[str, dict[str, int]] | None = None,
        outside: dict[str, int] | None = None,
    ) -> Receipt:
        """Build the receipt for the driver."""
        return Receipt(
            tile=job.tile.id,
            run_key=job.run_key,
            status=status,
            manifest_key=job.manifest_key,
            seconds={name: round(value, 4) for name, value in clock.seconds.items()},
            cpu_seconds={name: round(value, 4) for name, value in clock.cpu_seconds.items()},
            bytes_read=read,
            bytes_written=written,
            reads=reads or {},
            peak_rss_mb=peak_rss_mb(),
            outside=outside or {},
        )


def _outside(manifest: Manifest) -> dict[str, int]:
    """Heights left out by source, as a manifest counts them."""
    return {record.source: record.heights_outside for record in manifest.operations if record.heights_outside}
