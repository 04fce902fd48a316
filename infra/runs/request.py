"""A request for tiles: sources, their files and an area, resolved into a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE, Files, Source, SourceCatalogue
from orograph.pipeline.sources.readiness import obstacle

if TYPE_CHECKING:  # geometry and rasters are heavy, and `orograph --help` needs neither
    from orograph.infra.stores.base import Store
    from orograph.pipeline.planning.planner import Plan


@dataclass(frozen=True, slots=True)
class Request:
    """Tiles to make: which sources, where their files are, and the area.

    Attributes:
        catalogue, source_ids, data: Sources to use and where their files are.
        tiles, area, aoi: Area of the tiles; without any, the whole area that listed files cover.
        strict: Stop at suspicious samples instead of warning.
        accept_unverified: Sources whose unverified facts the user accepts.
    """

    catalogue: Path = BUNDLED_CATALOGUE
    source_ids: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    area: str = ""
    aoi: Path | None = None
    strict: bool = False
    accept_unverified: tuple[str, ...] = ()

    def sources(self) -> tuple[Source, ...]:
        """The chosen sources with files from `--data`; by default all sources that need no preparation.

        Raises:
            SourceUnknown, ConfigError: naming the id or option.
        """
        catalogue = SourceCatalogue.load(self.catalogue)
        places: dict[str, list[str]] = {}
        for option in self.data:
            source_id, separator, href = option.partition("=")
            if not separator or not href:
                raise ConfigError(f"--data {option!r} is not ID=PATH")
            places.setdefault(source_id, []).append(href if "://" in href else str(Path(href).absolute()))
        for source_id in self.accept_unverified:
            catalogue.get(source_id)
        accepted = [
            source.model_copy(update={"accept_unverified": True}) if source.id in self.accept_unverified else source
            for source in catalogue.sources
        ]
        catalogue = SourceCatalogue.model_construct(sources=tuple(accepted))
        ids = self.source_ids or tuple(places) or tuple(s.id for s in accepted if obstacle(s) is None)
        chosen = [catalogue.get(source_id) for source_id in dict.fromkeys((*ids, *places))]
        return tuple(
            source.model_copy(update={"data": Files(hrefs=tuple(places[source.id]))}) if source.id in places else source
            for source in chosen
        )

    def plan(self, settings: ProcessingSettings, run: RunSettings, *, keep: bool = False) -> Plan:
        """Plan the tiles and identify their files; with `keep`, newly made indexes are written to the store."""
        from orograph.infra.reporting.console import err
        from orograph.infra.runs.source_access import SourceAccess
        from orograph.infra.runs.source_indexes import StoredIndexes
        from orograph.pipeline.core.grid import Tile
        from orograph.pipeline.planning.areas import tiles_of_bbox, tiles_of_geojson
        from orograph.pipeline.planning.planner import Planner
        from orograph.pipeline.resampling.horizontal import use_grids

        use_grids(run.grids_dir)
        files = SourceAccess(run)
        indexes = StoredIndexes(store_of(run), files, document_reader(run))
        planner = Planner(
            self.sources(), settings, files.probe, files, indexes, strict=self.strict, grids_dir=run.grids_dir
        )
        if self.tiles:
            planned = planner.plan([Tile.parse(text) for text in self.tiles])
        elif self.area:
            planned = planner.plan(tiles_of_bbox(*area_of(self.area)), asked_for=False)
        elif self.aoi is not None:
            planned = planner.plan(tiles_of_geojson(self.aoi), asked_for=False)
        else:
            planned = planner.plan(planner.covered_tiles(), asked_for=False)
        if (note := files.note()) is not None:
            err.print(f"note: {note}", markup=False)
        if keep and planned.jobs:
            indexes.keep()
        return planned


def store_of(run: RunSettings) -> Store:
    """The store of a run's settings."""
    from orograph.infra.stores.open import open_store

    return open_store(run.store, endpoint_url=run.s3_endpoint_url)


def document_reader(run: RunSettings) -> Callable[[str], bytes]:
    """Reads listings of sources with a run's settings."""
    from orograph.infra.runs.documents import read_document

    return lambda href: read_document(href, endpoint_url=run.s3_endpoint_url)


def area_of(text: str) -> tuple[float, float, float, float]:
    """Parse `--area`: west, south, east, north in degrees.

    Raises:
        ConfigError: the text is not four numbers.
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--area {text!r} is not west,south,east,north") from error
    return west, south, east, north
