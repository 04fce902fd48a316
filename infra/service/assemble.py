"""Builds the service's parts: store, engine, planner, runner, publisher."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orograph.infra.engines.make import make_engine
from orograph.infra.engines.protocol import Receipt
from orograph.infra.runs.documents import read_document
from orograph.infra.runs.model_weights import keep_models, named_by_content
from orograph.infra.runs.request import Request
from orograph.infra.runs.source_access import SourceAccess
from orograph.infra.runs.source_indexes import StoredIndexes
from orograph.infra.runs.tile_runner import TileRunner
from orograph.infra.service.dispatcher import Publisher
from orograph.infra.service.published_tiles import Published, PublishedTile
from orograph.infra.service.service import Parts
from orograph.infra.service.settings import ServiceSettings
from orograph.infra.stores.base import Store
from orograph.infra.stores.gdal_options import gdal_s3_options
from orograph.infra.stores.open import open_store
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import CatalogueError, SourceUnknown
from orograph.pipeline.job import Job
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.resampling.horizontal import use_grids
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE, Source, SourceCatalogue
from orograph.pipeline.sources.readiness import obstacle
from orograph.pipeline.sources.refs import SourceRef
from orograph.stac.publishing.publish import publish_item, rebuild


@dataclass(frozen=True, slots=True)
class TilePlanner:
    """Plans one tile, from the sources of its published version or from a catalogue.

    Attributes:
        published: Published tiles; a tile's manifest records its sources and settings.
        sources: Sources of the catalogue in use.
        run: Run settings: store, grids, credentials.
        settings: Settings of tiles that are not published yet; with `is_explicit`, of all tiles.
        is_explicit: The operator gave catalogue or settings; they override those of published tiles.
    """

    published: Published
    sources: Sequence[Source]
    run: RunSettings
    settings: ProcessingSettings
    is_explicit: bool = False

    def settings_for(self, tile: Tile) -> ProcessingSettings:
        """Settings of a tile before the overrides of a request."""
        found = self._published(tile)
        if found is None:
            return self.settings
        return ProcessingSettings.model_validate(self.published.manifest(found).settings)

    def __call__(self, tile: Tile, source_ids: tuple[str, ...], settings: ProcessingSettings) -> Job:
        """The job of a tile, its files identified as they are now.

        Raises:
            SourceUnknown: an id that neither the catalogue nor the published tile knows.
            OutsideCoverage, SourceMissing, SourceUnavailable: as `orograph.pipeline.planning.planner.Planner.job`.
        """
        use_grids(self.run.grids_dir)
        known = {source.id: source for source in self.sources}
        made_of = {ref.source.id: ref.source for ref in self._made_of(tile)}
        known.update(made_of)
        missing = sorted(set(source_ids) - set(known))
        if missing:
            raise SourceUnknown(f"unknown source {missing[0]!r}", source=missing[0])
        chosen = [known[id_] for id_ in source_ids] or [
            s for s in (made_of or known).values() if s.id in made_of or obstacle(s) is None
        ]
        files = SourceAccess(self.run)
        indexes = StoredIndexes(self.published.store, files, self._read)
        job = Planner(chosen, settings, files.probe, files, indexes, grids_dir=self.run.grids_dir).job(tile)
        indexes.keep()
        return self._aligned_as_before(job)

    def _aligned_as_before(self, job: Job) -> Job:
        """Return the job with the shifts given to its tile, which agree with its neighbours, if files are the same."""
        found = self._published(job.tile)
        if found is None or not (given := self.published.alignment(found)):
            return job
        made_with = self.published.manifest(found).settings
        same_method = all(made_with[name] == getattr(job.settings, name) for name in ("coregistration", "max_shift_m"))
        same_files = _contents(self.published.sources(found)) == _contents(job.sources)
        return replace(job, alignment=given) if same_method and same_files else job

    def _made_of(self, tile: Tile) -> tuple[SourceRef, ...]:
        found = self._published(tile)
        return () if found is None else self.published.sources(found)

    def _published(self, tile: Tile) -> PublishedTile | None:
        return None if self.is_explicit else self.published.get(tile)

    def _read(self, href: str) -> bytes:
        return read_document(href, endpoint_url=self.run.s3_endpoint_url)


def _contents(refs: Sequence[SourceRef]) -> list[tuple[str, str]]:
    """Ids and content digests of sources, in their order."""
    return [(ref.source.id, ref.files_digest) for ref in refs]


def parts_from(
    run: RunSettings, sources: Sequence[Source] | None = None, processing: ProcessingSettings | None = None
) -> Parts:
    """Build the parts of a service from run settings.

    Args:
        run: Store, engine, grids.
        sources: Sources that orders may name; None for those of the bundled catalogue and of each published tile.
        processing: Settings of every tile; None for the settings with which each tile was published.

    Raises:
        ConfigError: the store or engine is not available.
    """
    store = open_store(run.store, endpoint_url=run.s3_endpoint_url, anonymous=run.s3_anonymous)
    if processing is not None:
        processing, weights = named_by_content(processing, run)
        keep_models(store, weights)
    # Map tiles are read by GDAL itself, in many threads: only the environment reaches them all.
    os.environ.update(gdal_s3_options(run.s3_endpoint_url, anonymous=run.s3_anonymous))
    planner = TilePlanner(
        published=Published(store),
        sources=SourceCatalogue.load().sources if sources is None else sources,
        run=run,
        settings=processing or ProcessingSettings(),
        is_explicit=sources is not None or processing is not None,
    )
    return Parts(
        store=store,
        planner=planner,
        settings_for=planner.settings_for,
        # A process of its own for every tile: a crash costs the tile, not the service, and a deadline can be kept.
        engine=make_engine(run, workers=1, isolate=True),
        runner=TileRunner(run),
        publish=publisher_of(store),
    )


def parts_for(settings: ServiceSettings, run: RunSettings) -> Parts:
    """Build the parts of a service from its settings.

    Raises:
        ConfigError, SourceUnknown: store, engine or sources are not available.
    """
    return parts_from(run, _sources_of(settings))


def _sources_of(settings: ServiceSettings) -> tuple[Source, ...] | None:
    if not (settings.catalogue or settings.data or settings.accept_unverified):
        return None
    request = Request(
        settings.catalogue or BUNDLED_CATALOGUE, data=settings.data, accept_unverified=settings.accept_unverified
    )
    return request.sources()


def publisher_of(store: Store) -> Publisher:
    """Return a function that publishes a finished run's item and updates the catalogue."""
    one_at_a_time = threading.Lock()

    def publish(receipt: Receipt) -> str:
        try:
            manifest = Manifest.from_json(store.get(receipt.manifest_key))
        except (KeyError, ValueError) as error:
            raise CatalogueError(f"{receipt.manifest_key} cannot be read", tile=receipt.tile) from error
        key = publish_item(store, manifest)
        with one_at_a_time:
            rebuild(store)
        return key

    return publish
