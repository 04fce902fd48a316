"""Builds source indexes: list the files, keep the rows of those that did not change, read the others in parallel."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import OrographError, SourceGridError, SourceMissing
from orograph.pipeline.sources import index_columns
from orograph.pipeline.sources.catalogue import Files, Source
from orograph.pipeline.sources.index_rows import numbers
from orograph.pipeline.sources.local_listing import (
    LocalListing,
    matching_files,
    named_files,
    sidecar_text,
    sidecars_of,
)
from orograph.pipeline.sources.raster_facts import FactsReader, GridFacts
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.remote_sidecars import remote_sidecars
from orograph.pipeline.sources.sidecars import APPENDED
from orograph.pipeline.sources.source_files import LocalFiles, Probe, SourceFiles
from orograph.pipeline.sources.source_index import FOOTPRINT_CRS, SCHEMA, SourceIndex, declaration_digest

CHUNK_FILES: Final = 4_000
"""Files read between two steps of progress; also the unit that is kept while a long build goes on."""
_REMOTE_READERS: Final = 16
_CHORD_M: Final = 5_000.0
_MOST_CHORDS: Final = 40
_NOT_LOCAL: Final = -1


@dataclass(frozen=True, eq=False)
class Listing:
    """The current files of a source; where files overlap, the first has priority.

    Attributes:
        hrefs: Local paths and URLs.
        states: Size in bytes, time of change in ns, inode of local files; -1 for remote ones. Shape (files, 3).
        footprints: Footprints in degrees by href, if the listing contains them.
        identities: Identity by href, if the listing contains it.
        sidecars: `sidecar_text` of local files that have side-cars, by href.
    """

    hrefs: list[str]
    states: npt.NDArray[np.int64]
    footprints: Mapping[str, BaseGeometry] = field(default_factory=dict)
    identities: Mapping[str, FileRef] = field(default_factory=dict)
    sidecars: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> npt.NDArray[np.bool_]:
        """Return which files are local."""
        local: npt.NDArray[np.bool_] = self.states[:, 0] != _NOT_LOCAL
        return local


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that could not be read, and why."""

    href: str
    error: OrographError


def list_files(source: Source, access: SourceFiles) -> Listing:
    """List the files of a source by href or pattern; hidden local files match no pattern.

    Raises:
        SourceMissing: a pattern matches nothing, or a named local file does not exist.
    """
    if not isinstance(source.data, Files):
        raise TypeError(f"source {source.id} is not a list of files")
    groups = [_group(href, source, access) for href in source.data.hrefs]
    sidecars = {path: text for group in groups for path, text in group.sidecars.items()}
    if len(groups) == 1:
        return Listing(groups[0].paths, groups[0].states, sidecars=sidecars)
    hrefs = [href for group in groups for href in group.paths]
    states = np.concatenate([group.states for group in groups])
    first = {href: position for position, href in reversed(list(enumerate(hrefs)))}
    positions = sorted(first.values())
    return Listing([hrefs[position] for position in positions], states[positions], sidecars=sidecars)


def _group(href: str, source: Source, access: SourceFiles) -> LocalListing:
    """Files of one href or pattern, sorted; remote ones have states of -1."""
    if "://" in href:
        found = access.listed(href, source)
        return LocalListing(found, np.full((len(found), 3), _NOT_LOCAL, np.int64))
    if not glob.has_magic(href):
        return named_files([href], source.id)
    matching = matching_files(href)
    if not matching.paths:
        raise SourceMissing(
            f"no file matches {href}", source=source.id, remedy="check the pattern in the source catalogue"
        )
    return matching


def listed(entries: Sequence[tuple[str, BaseGeometry | None]], source_id: str) -> Listing:
    """A listing of hrefs with the footprints (degrees) from their catalogue."""
    unique = dict(entries)
    local = named_files([href for href in unique if "://" not in href], source_id)
    states = np.full((len(unique), 3), _NOT_LOCAL, np.int64)
    states[["://" not in href for href in unique]] = local.states
    footprints = {href: shape for href, shape in unique.items() if shape is not None}
    return Listing(list(unique), states, footprints, sidecars=local.sidecars)


def unchanged(listing: Listing, old: SourceIndex | None, source: Source) -> npt.NDArray[np.int64]:
    """Return, per listed file, the row of an old index that is still valid; -1 if the file must be read."""
    if old is None or old.declaration != declaration_digest(source) or not len(old):
        return np.full(len(listing.hrefs), -1, np.int64)
    known = old.hrefs
    if known == listing.hrefs:
        rows = np.arange(len(known), dtype=np.int64)
    else:
        row_of = {href: row for row, href in reversed(list(enumerate(known)))}
        rows = np.array([row_of.get(href, -1) for href in listing.hrefs], np.int64)
    kept = rows.copy()
    for number, name in enumerate(("size_bytes", "modified_ns", "inode")):
        same = listing.states[:, number] == numbers(old.rows.column(name), _NOT_LOCAL)[rows]
        kept[listing.is_local & ~same] = -1
    kept[~_same_sidecars(listing, old, kept)] = -1
    return kept


def _same_sidecars(listing: Listing, old: SourceIndex, kept: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mark local files whose side-cars are those of their rows; a side-car can change the facts of a raster."""
    column = old.rows.column("sidecars")
    same = np.ones(len(kept), bool)
    if not listing.sidecars and column.null_count == len(column):
        return same
    texts = column.to_pylist()
    for position in np.flatnonzero((kept >= 0) & listing.is_local).tolist():
        same[position] = listing.sidecars.get(listing.hrefs[position]) == texts[kept[position]]
    return same


@dataclass(slots=True)
class Builder:
    """Reads the files of one source into rows.

    Args:
        source: The source.
        probe: Identifies remote objects.
        access: Opens them.
        with_sha256: Also hash the content of local files, and identify them by it in plans.
        faults: List to which unreadable files are appended; reading continues with the others.
        missing_is_void: Leave out remote objects that do not exist instead of reporting them.
    """

    source: Source
    probe: Probe
    access: SourceFiles = field(default_factory=LocalFiles)
    with_sha256: bool = False
    missing_is_void: bool = False
    faults: list[Fault] = field(default_factory=list)
    _facts: FactsReader = field(init=False)

    def __post_init__(self) -> None:
        self._facts = FactsReader(self.source, self.access)

    def read(self, listing: Listing, positions: Sequence[int]) -> Iterator[tuple[list[int], pa.Table]]:
        """Rows of the files at some positions of a listing, chunk by chunk, with the position of each row."""
        workers = min(32, 4 * (os.cpu_count() or 1)) if listing.is_local.all() else _REMOTE_READERS
        with ThreadPoolExecutor(workers, thread_name_prefix="orograph-index") as pool:
            for start in range(0, len(positions), CHUNK_FILES):
                chunk = positions[start : start + CHUNK_FILES]
                rows = list(pool.map(lambda position: self._row(listing, position), chunk, chunksize=64))
                good = [(position, row) for position, row in zip(chunk, rows, strict=True) if row is not None]
                yield [position for position, _ in good], self._table([row for _, row in good])

    def _row(self, listing: Listing, position: int) -> _Row | None:
        href = listing.hrefs[position]
        try:
            if listing.is_local[position]:
                return self._local_row(href, listing, position)
            known = listing.identities.get(href) or self.probe(href, self.source)
            footprint = listing.footprints.get(href)
            sidecars = remote_sidecars(href, self.source, self.probe)
            described = known.model_copy(update={"sidecars": sidecars})
            facts = self._facts.read(described) if footprint is None else None
            return _Row(href, facts, footprint, known.size_bytes, etag=known.etag, sidecars=sidecar_text(sidecars))
        except SourceMissing as error:
            if not self.missing_is_void:
                self.faults.append(Fault(href, error.at(source=self.source.id)))
        except OrographError as error:
            self.faults.append(Fault(href, error.at(source=self.source.id)))
        return None

    def _local_row(self, href: str, listing: Listing, position: int) -> _Row:
        size, modified_ns, inode = listing.states[position].tolist()
        text = listing.sidecars.get(href)
        has_sidecars = any(one.href.endswith(APPENDED) for one in sidecars_of(text))
        facts = self._facts.read_local(href, has_sidecars=has_sidecars)
        sha256 = file_sha256(href) if self.with_sha256 else None
        return _Row(href, facts, None, size, modified_ns=modified_ns, inode=inode, sha256=sha256, sidecars=text)

    def _table(self, rows: list[_Row]) -> pa.Table:
        columns: dict[str, pa.Array] = {}
        for name in _ROW_COLUMNS:
            columns[name] = _column(name, [getattr(row, name) for row in rows])
        for name in _FACT_COLUMNS:
            columns[name] = _column(name, [None if row.facts is None else getattr(row.facts, name) for row in rows])
        columns["crs"] = index_columns.texts([self.source.horizontal_crs] * len(rows))
        columns["pinned"] = index_columns.flags([self.with_sha256 and row.sha256 is not None for row in rows])
        shapes = self._footprints(rows)
        columns["geometry"] = index_columns.binaries(shapely.to_wkb(shapes).tolist())
        bounds = shapely.bounds(shapes).reshape(-1, 4)
        sides = [index_columns.numbers(column, pa.float64()) for column in bounds.T]
        columns["bbox"] = pa.StructArray.from_arrays(sides, fields=list(SCHEMA.field("bbox").type))
        return pa.table(columns, schema=SCHEMA)

    def _footprints(self, rows: list[_Row]) -> npt.NDArray[np.object_]:
        shapes = np.array([row.footprint for row in rows] or [], dtype=object)
        read = [number for number, row in enumerate(rows) if row.facts is not None]
        if read:
            bounds = np.array([_bounds(row.facts) for row in rows if row.facts is not None])
            shapes[read] = footprints_deg(bounds, self.source.horizontal_crs, self.source.id)
        return shapes


def _column(name: str, values: list[Any]) -> pa.Array:
    kind = SCHEMA.field(name).type
    return index_columns.texts(values) if kind == pa.string() else index_columns.numbers(values, kind)


@dataclass(frozen=True, slots=True)
class _Row:
    href: str
    facts: GridFacts | None
    footprint: BaseGeometry | None
    size_bytes: int
    modified_ns: int | None = None
    inode: int | None = None
    etag: str | None = None
    sha256: str | None = None
    sidecars: str | None = None


_HALF_TURN_DEG: Final = 180.0
_ROW_COLUMNS: Final = ("href", "size_bytes", "modified_ns", "inode", "etag", "sha256", "sidecars")
_FACT_COLUMNS: Final = (
    "west",
    "north",
    "pixel_width",
    "pixel_height",
    "width_px",
    "height_px",
    "block_width_px",
    "block_height_px",
)


def still_there(
    listing: Listing, kept: npt.NDArray[np.int64], old: SourceIndex, probe: Probe, source: Source
) -> npt.NDArray[np.int64]:
    """Probe remote files and their side-cars; rows of files that changed or do not respond become -1."""
    remote = np.flatnonzero((kept >= 0) & ~listing.is_local)
    if not len(remote):
        return kept
    known = old.rows.take(["etag", "sidecars"], kept[remote]).to_pylist()

    def same(pair: tuple[int, Mapping[str, str]]) -> bool:
        href, row = listing.hrefs[pair[0]], pair[1]
        try:
            return probe(href, source).etag == row["etag"] and (
                sidecar_text(remote_sidecars(href, source, probe)) == row["sidecars"]
            )
        except OrographError:
            return False  # reading it again reports why

    with ThreadPoolExecutor(_REMOTE_READERS, thread_name_prefix="orograph-index") as pool:
        answers = np.array(list(pool.map(same, zip(remote.tolist(), known, strict=True))), bool)
    checked = kept.copy()
    checked[remote[~answers]] = -1
    return checked


def merged(
    kept: npt.NDArray[np.int64], old: SourceIndex | None, parts: Sequence[tuple[list[int], pa.Table]]
) -> pa.Table:
    """Return the rows still valid and the rows read, in the order of the listing; omit files without a row."""
    order = np.concatenate([np.flatnonzero(kept >= 0), *(np.array(positions, np.int64) for positions, _ in parts)])
    tables = [table for _, table in parts]
    if old is not None and (kept >= 0).any():
        tables.insert(0, old.table.take(index_columns.numbers(kept[kept >= 0], pa.int64())))
    if not tables:
        return SCHEMA.empty_table()
    together = pa.concat_tables(tables)
    if np.all(order[1:] > order[:-1]):
        return together.combine_chunks()
    return together.take(index_columns.numbers(np.argsort(order, kind="stable"), pa.int64())).combine_chunks()


def build_index(
    source: Source,
    listing: Listing,
    probe: Probe,
    access: SourceFiles | None = None,
    *,
    old: SourceIndex | None = None,
    area_deg: tuple[float, float, float, float] | None = None,
) -> SourceIndex:
    """Index of a listing, in memory; rows of an old index are kept where the files did not change.

    Raises:
        SourceMissing, SourceCorrupt, SourceGridError, SourceUnavailable: the first file that cannot be read.
    """
    kept = unchanged(listing, old, source)
    if old is not None and (kept >= 0).all() and len(kept) == len(old) and (np.diff(kept) == 1).all():
        return old
    builder = Builder(source, probe, access or LocalFiles())
    due = np.flatnonzero(kept < 0).tolist()
    parts = []
    for part in builder.read(listing, due):
        if builder.faults:
            raise builder.faults[0].error
        parts.append(part)
    return SourceIndex.of(source, merged(kept, old, parts), area_deg)


def footprints_deg(bounds: npt.NDArray[np.float64], crs: str, source_id: str) -> npt.NDArray[np.object_]:
    """Boxes of a CRS, shape (n, 4): west, south, east, north, as polygons in longitude and latitude.

    Edges of projected boxes are densified every 5 km, which leaves an error of one or two metres.

    Raises:
        SourceGridError: a box is outside the projection's domain.
    """
    widest = max(float(np.max(bounds[:, 2] - bounds[:, 0])), float(np.max(bounds[:, 3] - bounds[:, 1])))
    reference = CRS.from_user_input(crs)
    chords = 1
    if reference.is_projected:
        unit_m = reference.axis_info[0].unit_conversion_factor or 1.0
        chords = int(np.clip(np.ceil(widest * unit_m / _CHORD_M), 1, _MOST_CHORDS))
    forth = np.linspace(0.0, 1.0, chords, endpoint=False)
    across = np.concatenate([forth, np.ones(chords), 1.0 - forth, np.zeros(chords), [0.0]])
    down = np.concatenate([np.zeros(chords), forth, np.ones(chords), 1.0 - forth, [0.0]])
    west, south, east, north = (bounds[:, i, None] for i in range(4))
    x, y = west + across * (east - west), south + down * (north - south)
    try:
        lon, lat = Transformer.from_crs(crs, FOOTPRINT_CRS, always_xy=True).transform(x, y)
    except ProjError as error:
        raise SourceGridError(f"a footprint cannot be brought to degrees: {error}", source=source_id) from error
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise SourceGridError(
            f"a file is outside the domain of {crs}",
            source=source_id,
            remedy="check horizontal_crs in the source catalogue",
        )
    shapes: npt.NDArray[np.object_] = shapely.polygons(np.stack([lon, lat], axis=-1))
    if reference.is_geographic and (turned := bounds[:, 2] > _HALF_TURN_DEG).any():
        shapes[turned] = _both_hemispheres(bounds[turned])
    return shapes if shapely.is_valid(shapes).all() else shapely.make_valid(shapes)


def _bounds(facts: GridFacts) -> tuple[float, float, float, float]:
    south = facts.north - facts.height_px * facts.pixel_height
    return facts.west, south, facts.west + facts.width_px * facts.pixel_width, facts.north


def _both_hemispheres(bounds: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    """Boxes with longitudes of 0 to 360 degrees, in -180 to 180 degrees."""
    west, south, east, north = bounds.T
    kept = shapely.box(np.minimum(west, _HALF_TURN_DEG), south, np.minimum(east, _HALF_TURN_DEG), north)
    west, east = west - 2 * _HALF_TURN_DEG, east - 2 * _HALF_TURN_DEG
    turned = shapely.box(np.maximum(west, -_HALF_TURN_DEG), south, east, north)
    found: npt.NDArray[np.object_] = shapely.union(shapely.buffer(kept, 0), turned)
    return found
