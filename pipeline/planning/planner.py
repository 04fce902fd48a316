"""Turns an area and a selection of sources into jobs: tiles with the files of each source, identified by ETag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.weights_uri import pinned
from orograph.pipeline.errors import (
    ConfigError,
    OrographError,
    OutsideCoverage,
    SourceMissing,
)
from orograph.pipeline.job import Job
from orograph.pipeline.planning.areas import (
    MARGIN_M,
    bounds_in,
    tile_area_deg,
    tile_bounds_deg,
    tiles_of_footprints,
)
from orograph.pipeline.planning.check_settings import check_settings
from orograph.pipeline.planning.frame_check import FrameCheck, PlannedOperation
from orograph.pipeline.planning.indexes import Indexes, MemoryIndexes
from orograph.pipeline.planning.sample_checks import Warned, check_samples, require_none
from orograph.pipeline.resampling.horizontal import pin_operation
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import CellTemplate, Files, Source
from orograph.pipeline.sources.file_identity import local_ref
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.sources.raster_facts import GridFacts
from orograph.pipeline.sources.readiness import check_ready
from orograph.pipeline.sources.refs import FileRef, SourceRef, ThinningCheck
from orograph.pipeline.sources.remote_sidecars import remote_sidecars
from orograph.pipeline.sources.sidecars import companions
from orograph.pipeline.sources.source_files import LocalFiles, Probe, SourceFiles
from orograph.pipeline.sources.source_index import SourceIndex
from orograph.pipeline.sources.terrain_models import by_rank, check_terrain
from orograph.pipeline.superres.thinning_check import check_thinning, relies_on_thinning, sample_points_deg

_PROBES_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class RejectedTile:
    """A tile that cannot be planned, and why."""

    tile: Tile
    error: OrographError


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs, in the order of their tiles, and requested tiles that cannot be made.

    Attributes:
        read_bytes: Estimate of the bytes each tile reads, by tile id; the sizes of its files if an estimate is missing.
        distinct_bytes: Estimate of the bytes that all tiles read together, shared blocks once.
        warnings: Suspicious samples of planned files.
        vertical: Vertical operation of every source, by tile id; empty for plans without a folder of grids.
    """

    jobs: tuple[Job, ...]
    rejected: tuple[RejectedTile, ...] = ()
    read_bytes: Mapping[str, int] = field(default_factory=dict)
    distinct_bytes: int | None = None
    warnings: tuple[Warned, ...] = ()
    vertical: Mapping[str, tuple[PlannedOperation, ...]] = field(default_factory=dict)

    @property
    def bytes_to_read(self) -> int:
        """Bytes to read for all tiles, each block or object counted once."""
        if self.distinct_bytes is not None:
            return self.distinct_bytes
        files = {file.href: file.size_bytes for job in self.jobs for ref in job.sources for file in ref.files}
        return sum(files.values())

    def bytes_of(self, job: Job) -> int:
        """Bytes to read for one tile."""
        return self.read_bytes.get(job.tile.id, sum(ref.size_bytes for ref in job.sources))


@dataclass(slots=True)
class _FilesOfTile:
    """Files of a source that touch a tile, with side-cars; whether any is inside it; and the bytes needed of each."""

    refs: tuple[FileRef, ...]
    is_inside: bool
    read_bytes: tuple[int, ...]
    footprints_deg: Sequence[BaseGeometry] = ()


@dataclass(slots=True)
class Planner:
    """Plans tiles; finds files in the sources' indexes and opens each index once.

    Args:
        sources: Sources to use, in any order.
        settings: Copied into every job.
        probe: Identifies objects.
        files: Lists and opens objects.
        indexes: Finds the index of a source; by default it is built in memory for every source that can be listed.
        strict: Suspicious samples stop planning.
        grids_dir: Folder of geoid grids; vertical operations are resolved while planning if it is given.

    Raises:
        ConfigError: a setting has an unknown name, or options that its target does not accept.
    """

    sources: Sequence[Source]
    settings: ProcessingSettings
    probe: Probe
    files: SourceFiles = field(default_factory=LocalFiles)
    indexes: Indexes | None = None
    strict: bool = False
    grids_dir: Path | None = None

    _frames: FrameCheck | None = None
    _vertical: dict[str, tuple[PlannedOperation, ...]] = field(default_factory=dict)
    _indexes: dict[str, SourceIndex | None] = field(default_factory=dict)
    _refs: dict[str, FileRef | None] = field(default_factory=dict)
    _checks: dict[str, ThinningCheck | None] = field(default_factory=dict)
    _sidecars: dict[str, tuple[FileRef, ...]] = field(default_factory=dict)
    _read: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = {"superres": pinned(self.settings.superres), "bare_earth": pinned(self.settings.bare_earth)}
        self.settings = self.settings.model_copy(update=names)
        check_settings(self.settings)
        check_terrain(self.sources, self.settings)
        for source in self.sources:
            check_ready(source)
        if self.grids_dir is not None:
            self._frames = FrameCheck(self.settings, self.grids_dir)
        if self.indexes is None:
            self.indexes = MemoryIndexes(self.probe, self.files)

    def plan(self, tiles: Iterable[Tile], *, asked_for: bool = True) -> Plan:
        """Return jobs for tiles; a tile without data is reported if requested by id, otherwise omitted.

        Raises:
            SuspiciousSamples: in a strict plan.
        """
        jobs: list[Job] = []
        rejected: list[RejectedTile] = []
        for tile in tiles:
            try:
                jobs.append(self.job(tile))
            except OutsideCoverage as error:
                if asked_for:
                    rejected.append(RejectedTile(tile, error))
            except OrographError as error:
                rejected.append(RejectedTile(tile, error.at(tile=tile.id, stage="plan")))
        read_bytes, distinct = self._bytes_to_read([job.tile.id for job in jobs])
        warnings = self._warnings(jobs)
        if self.strict:
            require_none(warnings)
        return Plan(tuple(jobs), tuple(rejected), read_bytes, distinct, warnings, dict(self._vertical))

    def _warnings(self, jobs: Sequence[Job]) -> tuple[Warned, ...]:
        """Suspicious samples of the planned local files, looked at once per source."""
        paths: dict[str, dict[str, None]] = {}
        for job in jobs:
            for ref in job.sources:
                paths.setdefault(ref.source.id, {}).update(dict.fromkeys(file.href for file in ref.files))
        looked = [(source, list(paths[source.id])) for source in self.sources if source.id in paths]
        return check_samples(looked, self._grids)

    def _grids(self, source: Source, hrefs: Sequence[str]) -> Sequence[GridFacts | None]:
        """Grids of planned files as the index has them."""
        index = self._index(source)
        return [None] * len(hrefs) if index is None else index.grids(hrefs)

    def job(self, tile: Tile) -> Job:
        """The job of one tile.

        Raises:
            OutsideCoverage: no source has a file in the tile.
            SourceMissing, SourceUnavailable, SourceCorrupt, SourceGridError: files of a source cannot be used; the
                error names the source.
            VerticalError: a source has no operation to the target frame, a grid is missing, or all sources are outside
                the area of use.
        """
        refs = []
        shapes: list[tuple[Source, Sequence[BaseGeometry]]] = []
        inside = False
        read = self._read[tile.id] = {}
        for source in by_rank(self.sources, self.settings):
            found = self._files(source, tile)
            if found is not None:
                inside |= found.is_inside
                shapes.append((source, found.footprints_deg))
                for file, size in zip(found.refs, found.read_bytes, strict=True):
                    read[file.href] = (size, file.size_bytes)
                refs.append(
                    SourceRef(
                        source=source,
                        files=found.refs,
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
        self._check_frames(tile, shapes)
        return Job(tile, tuple(refs), self.settings)

    def _check_frames(self, tile: Tile, shapes: Sequence[tuple[Source, Sequence[BaseGeometry]]]) -> None:
        """Resolve the vertical operation of each source of a tile."""
        if self._frames is None:
            return
        planned = tuple(self._frames.planned(source, tile, shape) for source, shape in shapes)
        if all(operation.share == 0 for operation in planned):
            raise self._frames.outside(shapes[0][0], tile, shapes[0][1])
        self._vertical[tile.id] = planned

    def covered_tiles(self) -> tuple[Tile, ...]:
        """All tiles that files of listed sources touch.

        Raises:
            ConfigError: a source cannot be listed, so an area is needed.
        """
        found: set[Tile] = set()
        for source in self.sources:
            index = self._index(source)
            if index is None or index.area_deg is not None:
                raise ConfigError(
                    f"source {source.id} covers more than can be listed",
                    source=source.id,
                    remedy="give --area or --tile",
                )
            found |= tiles_of_footprints(index.footprints())
        return tuple(sorted(found, key=lambda tile: (tile.north_km, tile.east_km)))

    def _files(self, source: Source, tile: Tile) -> _FilesOfTile | None:
        """Files of a source around a tile; None where it has none."""
        if not box(*source.area_deg).intersects(box(*tile_bounds_deg(tile))):
            return None
        area = tile_area_deg(tile, MARGIN_M)
        index = self._index(source)
        if index is None or not index.covers(area):
            return self._probed(source, tile, area)
        rows, footprints = index.found(area)
        if not len(rows):
            return None
        inside = bool(shapely.intersects(footprints, tile_area_deg(tile, 0.0)).any())
        window = np.array(bounds_in(tile, source.horizontal_crs))
        return _FilesOfTile(
            tuple(index.refs(rows)),
            inside,
            tuple(index.bytes_in(rows, window).tolist()),
            tuple(index.footprints(rows)),
        )

    def _probed(self, source: Source, tile: Tile, area: BaseGeometry) -> _FilesOfTile | None:
        """Return the files of a source without an index: probe every place where a file may be."""
        assert self.indexes is not None  # noqa: S101 - set when the planner was made
        candidates = [pair for pair in self.indexes.candidates(source, area.bounds) if pair[1].intersects(area)]
        with ThreadPoolExecutor(_PROBES_AT_ONCE, thread_name_prefix="orograph-probe") as pool:
            refs = list(pool.map(lambda pair: self._ref(pair[0], source), candidates))
        found = [(ref, shape) for ref, (_, shape) in zip(refs, candidates, strict=True) if ref is not None]
        if not found:
            return None
        within = tile_area_deg(tile, 0.0)
        files = self._complete([ref for ref, _ in found], source)
        shapes = [shape for _, shape in found]
        sizes = tuple(file.size_bytes for file in files)
        return _FilesOfTile(files, any(s.intersects(within) for s in shapes), sizes, tuple(shapes))

    def _index(self, source: Source) -> SourceIndex | None:
        if source.id not in self._indexes:
            assert self.indexes is not None  # noqa: S101 - set when the planner was made
            self._indexes[source.id] = self.indexes.index(source)
        return self._indexes[source.id]

    def _thinning_check(self, source: Source) -> ThinningCheck | None:
        """Check a source's declared thinning, once; the inspected files depend on the source alone."""
        if source.id not in self._checks:
            self._checks[source.id] = (
                check_thinning(source, self._sampled(source), lambda href: self._opened(href, source))
                if relies_on_thinning(source, self.settings)
                else None
            )
        return self._checks[source.id]

    def _sampled(self, source: Source) -> list[str]:
        """Files that stand for the source: of a list all, else the first at each of nine points over its area."""
        index = self._index(source)
        if isinstance(source.data, Files) and index is not None:
            return index.hrefs
        found: list[str] = []
        for bounds_deg in sample_points_deg(source):
            place = box(*bounds_deg)
            if index is not None and index.covers(place):
                found += [ref.href for ref in index.refs(index.touching(place)[:1])]
                continue
            assert self.indexes is not None  # noqa: S101 - set when the planner was made
            hrefs = (href for href, _ in self.indexes.candidates(source, bounds_deg))
            found += next(([href] for href in hrefs if self._ref(href, source) is not None), [])
        return list(dict.fromkeys(found))

    def _opened(self, href: str, source: Source) -> RasterFile:
        if "://" not in href:
            return Path(href)
        ref = self._ref(href, source)
        if ref is None:
            raise SourceMissing("the object does not exist", source=href)
        try:
            return self.files.opened(self._with_sidecars(ref, source), source)
        except OrographError as error:
            raise error.at(source=source.id) from None

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

    def _complete(self, files: Sequence[FileRef], source: Source) -> tuple[FileRef, ...]:
        """Return files with their side-cars; several are requested from a server at once."""
        if all("://" not in file.href for file in files):
            return tuple(self._with_sidecars(file, source) for file in files)
        with ThreadPoolExecutor(_PROBES_AT_ONCE, thread_name_prefix="orograph-probe") as pool:
            return tuple(pool.map(lambda file: self._with_sidecars(file, source), files))

    def _with_sidecars(self, file: FileRef, source: Source) -> FileRef:
        """Return a file with its side-cars; remote ones are requested by name, once, if the source may have any."""
        if file.sidecars:
            return file
        if file.href not in self._sidecars:
            self._sidecars[file.href] = self._found_sidecars(file.href, source)
        found = self._sidecars[file.href]
        return file.model_copy(update={"sidecars": found}) if found else file

    def _found_sidecars(self, href: str, source: Source) -> tuple[FileRef, ...]:
        if "://" not in href:
            return tuple(map(local_ref, companions(href)))
        return remote_sidecars(href, source, self.probe)

    def _bytes_to_read(self, tiles: Sequence[str]) -> tuple[dict[str, int], int]:
        """Bytes by tile, and of all tiles together: never more of a file than there is of it."""
        by_tile = {tile: sum(needed for needed, _ in self._read[tile].values()) for tile in tiles}
        together: dict[str, tuple[int, int]] = {}
        for tile in tiles:
            for href, (needed, size) in self._read[tile].items():
                together[href] = (together.get(href, (0, 0))[0] + needed, size)
        return by_tile, sum(min(needed, size) for needed, size in together.values())
