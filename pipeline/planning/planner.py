"""From an area and a choice of sources to jobs: which tiles, which files of which source, identified by ETag."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.core.grid import Cell, Tile, tiles_in
from orograph.pipeline.core.weights_uri import pinned
from orograph.pipeline.errors import ConfigError, OrographError, OutsideCoverage, SourceMissing
from orograph.pipeline.job import Job
from orograph.pipeline.planning.areas import MARGIN_M, cells_in, footprint_of, tile_bounds_deg
from orograph.pipeline.planning.check_settings import check_settings
from orograph.pipeline.planning.stac_source import _stac_items
from orograph.pipeline.resampling.horizontal import pin_operation
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import CellTemplate, Files, Source
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.sources.refs import FileRef, SourceRef, ThinningCheck
from orograph.pipeline.superres.thinning_check import check_thinning, relies_on_thinning, sample_points_deg

Probe = Callable[[str, Source], FileRef]
"""Identify an object of a source by href; raises `SourceMissing` only where it is settled that there is none."""


class SourceFiles(Protocol):
    """Lists and opens the files of sources, wherever they are."""

    def listed(self, pattern: str, source: Source) -> list[str]:
        """Hrefs of a pattern in a place that can be listed, or the href itself."""
        ...

    def opened(self, file: FileRef, source: Source) -> RasterFile:
        """The file's header, and its blocks when they are needed."""
        ...


class LocalFiles:
    """Files of this machine."""

    def listed(self, pattern: str, _source: Source) -> list[str]:
        """The href itself: local patterns are resolved by the planner."""
        return [pattern]

    def opened(self, file: FileRef, _source: Source) -> RasterFile:
        """The path."""
        return Path(file.href)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A tile that cannot be planned, and why."""

    tile: Tile
    error: OrographError


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs, in the order of their tiles, and tiles that were asked for but cannot be made."""

    jobs: tuple[Job, ...]
    refusals: tuple[Refusal, ...] = ()

    @property
    def bytes_to_read(self) -> int:
        """Size of all source objects, each counted once."""
        files = {file.href: file.size_bytes for job in self.jobs for ref in job.sources for file in ref.files}
        return sum(files.values())


@dataclass(slots=True)
class Planner:
    """Plans tiles; remembers footprints and identities of files between tiles.

    Args:
        sources: Sources to use; best first is not required.
        settings: Goes into every job.
        probe: Identifies objects.
        files: Lists and opens them.

    Raises:
        ConfigError: a setting names nothing that exists, or gives it options that it does not take.
    """

    sources: Sequence[Source]
    settings: ProcessingSettings
    probe: Probe
    files: SourceFiles = field(default_factory=LocalFiles)

    _lists: dict[str, list[str]] = field(default_factory=dict)
    _footprints: dict[tuple[str, str], BaseGeometry] = field(default_factory=dict)
    _refs: dict[str, FileRef | None] = field(default_factory=dict)
    _checks: dict[str, ThinningCheck | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = {"superres": pinned(self.settings.superres), "bare_earth": pinned(self.settings.bare_earth)}
        self.settings = self.settings.model_copy(update=names)
        check_settings(self.settings)

    def plan(self, tiles: Iterable[Tile], *, asked_for: bool = True) -> Plan:
        """Jobs for tiles; a tile without data is a refusal when it was asked for by id, else left out."""
        jobs: list[Job] = []
        refusals: list[Refusal] = []
        for tile in tiles:
            try:
                jobs.append(self.job(tile))
            except OutsideCoverage as error:
                if asked_for:
                    refusals.append(Refusal(tile, error))
            except OrographError as error:
                refusals.append(Refusal(tile, error.at(tile=tile.id, stage="plan")))
        return Plan(tuple(jobs), tuple(refusals))

    def job(self, tile: Tile) -> Job:
        """The job of one tile.

        Raises:
            OutsideCoverage: no source has a file in the tile.
            SourceMissing, SourceUnavailable, SourceCorrupt, SourceGridError: naming the source.
        """
        refs = []
        inside = False
        area = box(*tile.bounds_m)
        for source in sorted(self.sources, key=lambda s: s.rank):
            files = list(self._files(source, tile))
            if files:
                inside |= any(footprint.intersects(area) for _, footprint in files)
                refs.append(
                    SourceRef(
                        source=source,
                        files=tuple(file for file, _ in files),
                        horizontal=pin_operation(source, tile_bounds_deg(tile)),
                        thinning_check=self._thinning_check(source),
                    )
                )
        if not inside:
            raise OutsideCoverage(
                "no source has data here",
                tile=tile.id,
                remedy=f"asked were {', '.join(source.id for source in self.sources)}; add one that covers the tile",
            )
        return Job(tile, tuple(refs), self.settings)

    def covered_tiles(self) -> tuple[Tile, ...]:
        """All tiles that files of sources listed as files touch.

        Raises:
            ConfigError: a source is not a list of files, so an area is needed.
        """
        found: set[Tile] = set()
        for source in self.sources:
            if not isinstance(source.data, Files):
                raise ConfigError(
                    f"source {source.id} covers more than can be listed",
                    source=source.id,
                    remedy="give --area or --tile",
                )
            for href in self._hrefs(source.data, source):
                if "://" in href and self._ref(href, source) is None:
                    continue
                footprint = self._footprint(href, source)
                found.update(
                    tile for tile in tiles_in(*footprint.bounds) if footprint.intersection(box(*tile.bounds_m)).area > 0
                )
        return tuple(sorted(found, key=lambda tile: (tile.north_km, tile.east_km)))

    def _files(self, source: Source, tile: Tile) -> Iterator[tuple[FileRef, BaseGeometry]]:
        west, south, east, north = tile.bounds_m
        area = box(west - MARGIN_M, south - MARGIN_M, east + MARGIN_M, north + MARGIN_M)
        if not box(*source.area_deg).intersects(box(*tile_bounds_deg(tile))):
            return
        for href, known in self._candidates(source, tile_bounds_deg(tile)):
            # A remote file is asked for before it is opened: what the network says is clearer than what GDAL makes of it.
            if known is None and "://" in href and self._ref(href, source) is None:
                continue
            footprint = self._footprint(href, source) if known is None else known
            if footprint.intersects(area):
                ref = self._ref(href, source)
                if ref is not None:
                    yield ref, footprint

    def _candidates(
        self, source: Source, bounds_deg: tuple[float, float, float, float]
    ) -> Iterator[tuple[str, BaseGeometry | None]]:
        if isinstance(source.data, Files):
            for href in self._hrefs(source.data, source):
                yield href, None
        elif isinstance(source.data, CellTemplate):
            for cell in cells_in(bounds_deg):
                yield cell_href(source.data, cell), footprint_of(cell.bounds_deg, "EPSG:4258")
        else:
            yield from _stac_items(source.data, bounds_deg, source.id)

    def _thinning_check(self, source: Source) -> ThinningCheck | None:
        """The check of a source's declared thinning, made once; the files looked at depend on the source alone."""
        if source.id not in self._checks:
            self._checks[source.id] = (
                check_thinning(source, self._sampled(source), lambda href: self._opened(href, source))
                if relies_on_thinning(source, self.settings)
                else None
            )
        return self._checks[source.id]

    def _sampled(self, source: Source) -> list[str]:
        """Files that stand for the source: of a list all, else the first at each of nine points over its area."""
        if isinstance(source.data, Files):
            return self._hrefs(source.data, source)
        found = []
        for bounds_deg in sample_points_deg(source):
            hrefs = (href for href, _ in self._candidates(source, bounds_deg))
            found += next(([href] for href in hrefs if self._ref(href, source) is not None), [])
        return list(dict.fromkeys(found))

    def _footprint(self, href: str, source: Source) -> BaseGeometry:
        key = (href, source.id)
        if key not in self._footprints:
            header = read_header(self._opened(href, source), source)
            self._footprints[key] = footprint_of(header.bounds, source.horizontal_crs)
        return self._footprints[key]

    def _opened(self, href: str, source: Source) -> RasterFile:
        if "://" not in href:
            return Path(href)
        ref = self._ref(href, source)
        if ref is None:
            raise SourceMissing("there is no such object", source=href)
        try:
            return self.files.opened(ref, source)
        except OrographError as error:
            raise error.at(source=source.id) from None

    def _hrefs(self, files: Files, source: Source) -> list[str]:
        """The list of files with patterns resolved, in order; listed once."""
        if source.id not in self._lists:
            remote = [self.files.listed(href, source) if "://" in href else [href] for href in files.hrefs]
            self._lists[source.id] = _resolved([href for hrefs in remote for href in hrefs], source.id)
        return self._lists[source.id]

    def _ref(self, href: str, source: Source) -> FileRef | None:
        if href not in self._refs:
            try:
                self._refs[href] = self.probe(href, source)
            except SourceMissing as error:
                if not (isinstance(source.data, CellTemplate) and source.data.missing_is_void):
                    raise error.at(source=source.id) from None
                self._refs[href] = None
            except OrographError as error:
                raise error.at(source=source.id) from None
        return self._refs[href]


def cell_href(template: CellTemplate, cell: Cell) -> str:
    """The href of a cell's file."""
    return template.href.format(
        ns="NS"[cell.lat < 0], ew="EW"[cell.lon < 0], lat=abs(cell.lat), lon=abs(cell.lon), id=cell.id
    )


def _resolved(hrefs: Sequence[str], source_id: str) -> list[str]:
    """The list of files with local patterns resolved, in order."""
    found: list[str] = []
    for href in hrefs:
        if "://" in href or not glob.has_magic(href):
            found.append(href)
            continue
        matches = sorted(glob.glob(href, recursive=True))  # noqa: PTH207 - patterns are absolute paths
        if not matches:
            raise SourceMissing(
                f"no file matches {href}", source=source_id, remedy="check the pattern in the source catalogue"
            )
        found.extend(matches)
    return list(dict.fromkeys(found))
