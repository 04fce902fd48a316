"""Source index: footprint, grid and identity of every file of a source, searched through an R-tree.

A table with one row per file, in order of priority where files overlap. It is kept as GeoParquet 1.1:
footprints are polygons in longitude and latitude (EPSG:4258) with a bounding-box covering, so GIS software opens it.

| column | meaning |
|---|---|
| `href` | local path or URL |
| `geometry`, `bbox` | footprint as WKB and its bounds, degrees |
| `crs` | CRS of the pixels |
| `width_px`, `height_px` | size of the raster |
| `west`, `north`, `pixel_width`, `pixel_height` | corner and pixel in units of `crs`; sizes are positive |
| `block_width_px`, `block_height_px` | blocks the file is stored in; null if it must be read as a whole |
| `size_bytes`, `modified_ns`, `inode` | state of a local file |
| `etag` | identity of a remote object |
| `sha256` | digest of the content; null until requested or until a tile was made from the file |
| `pinned` | whether plans name the file by its sha256 instead of its state |
| `sidecars` | JSON list of href, ETag and size of files that describe it (`.aux.xml`, `.msk`, `.tfw`); null for none |
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.sources import index_columns
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.file_identity import FileState, stat_etag
from orograph.pipeline.sources.index_rows import IndexRows, numbers
from orograph.pipeline.sources.local_listing import sidecars_of
from orograph.pipeline.sources.raster_facts import GridFacts
from orograph.pipeline.sources.refs import FileRef

FOOTPRINT_CRS: Final = "EPSG:4258"
VERSION: Final = 2
ROW_GROUP_FILES: Final = 8_192
"""Rows decoded together; a tile touches a few of these groups where names follow places."""
_SEARCHES_WITHOUT_TREE: Final = 8

_SIDES: Final = ("xmin", "ymin", "xmax", "ymax")
_METADATA: Final = "orograph:source-index"
_PARQUET: Final = {"compression": "zstd", "write_page_checksum": True, "row_group_size": ROW_GROUP_FILES}
_REF_COLUMNS: Final = ("href", "size_bytes", "modified_ns", "inode", "etag", "sha256", "pinned", "sidecars")
_GRID_COLUMNS: Final = tuple(one.name for one in dataclasses.fields(GridFacts))
_BBOX: Final = pa.struct([(side, pa.float64()) for side in _SIDES])
SCHEMA: Final = pa.schema(
    [
        ("href", pa.string()),
        ("geometry", pa.binary()),
        ("bbox", _BBOX),
        ("crs", pa.string()),
        ("width_px", pa.int32()),
        ("height_px", pa.int32()),
        ("west", pa.float64()),
        ("north", pa.float64()),
        ("pixel_width", pa.float64()),
        ("pixel_height", pa.float64()),
        ("block_width_px", pa.int32()),
        ("block_height_px", pa.int32()),
        ("size_bytes", pa.int64()),
        ("modified_ns", pa.int64()),
        ("inode", pa.int64()),
        ("etag", pa.string()),
        ("sha256", pa.string()),
        ("pinned", pa.bool_()),
        ("sidecars", pa.string()),
    ]
)


class DamagedIndex(ValueError):
    """The bytes are not a source index."""


class OtherVersion(DamagedIndex):
    """A source index of another version of Orograph; it is made again."""


def declaration_digest(source: Source) -> str:
    """Declaration that the rows of an index were checked against; if it changes, the files are read again."""
    checked = source.model_dump(
        mode="json", include={"horizontal_crs", "vertical_frame", "pixel", "anonymous", "sidecars"}
    )
    return hashlib.sha256(json.dumps([VERSION, checked], sort_keys=True).encode()).hexdigest()[:16]


def location_digest(source: Source) -> str:
    """Digest of the place that lists a source's files."""
    return hashlib.sha256(source.data.model_dump_json().encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class SourceIndex:
    """Files of one source.

    Attributes:
        source_id: Id of the source.
        rows: Rows of `SCHEMA`, in order of priority.
        declaration: `declaration_digest` of the source the files were checked against.
        location: `location_digest` of the place they were listed at.
        area_deg: West, south, east, north within which the listing is complete; None means everywhere.
    """

    source_id: str
    rows: IndexRows
    declaration: str
    location: str
    area_deg: tuple[float, float, float, float] | None = None
    _found: dict[int, FileRef] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(
        cls, source: Source, table: pa.Table, area_deg: tuple[float, float, float, float] | None = None
    ) -> SourceIndex:
        """Make the index of a source with its current declaration."""
        return cls(source.id, IndexRows(table), declaration_digest(source), location_digest(source), area_deg)

    @property
    def table(self) -> pa.Table:
        """All rows as a table of `SCHEMA`."""
        return self.rows.table

    @cached_property
    def bounds_deg(self) -> npt.NDArray[np.float64]:
        """West, south, east, north of every footprint, shape (files, 4)."""
        bbox = self.rows.column("bbox")
        return np.column_stack([numbers(bbox.field(side)) for side in _SIDES])

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(shapely.box(*self.bounds_deg.T))

    @cached_property
    def _searches(self) -> itertools.count[int]:
        return itertools.count(1)

    def _near(self, area_deg: BaseGeometry) -> npt.NDArray[np.int64]:
        """Rows whose bounds meet those of an area: the first searches compare all, later ones build an R-tree."""
        if next(self._searches) > _SEARCHES_WITHOUT_TREE:
            return np.sort(self._tree.query(area_deg))
        west, south, east, north = area_deg.bounds
        b = self.bounds_deg
        return np.flatnonzero((b[:, 0] <= east) & (b[:, 2] >= west) & (b[:, 1] <= north) & (b[:, 3] >= south))

    def touching(self, area_deg: BaseGeometry) -> npt.NDArray[np.int64]:
        """Rows whose footprint intersects an area in longitude and latitude, in the order of the table."""
        return self.found(area_deg)[0]

    def found(self, area_deg: BaseGeometry) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_]]:
        """Rows of `touching` and their footprints."""
        rows = self._near(area_deg)
        shapely.prepare(area_deg)
        shapes = self.footprints(rows)
        is_in = shapely.intersects(shapes, area_deg)
        return rows[is_in], shapes[is_in]

    def covers(self, area_deg: BaseGeometry) -> bool:
        """Return whether the index covers every file in an area; an index limited to an area covers only that area."""
        return self.area_deg is None or bool(shapely.covers(shapely.box(*self.area_deg), area_deg))

    def footprints(self, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.object_]:
        """Footprints in longitude and latitude of some rows, or of all."""
        if rows is None:
            return self._all_footprints
        if "_all_footprints" in self.__dict__:
            known: npt.NDArray[np.object_] = self._all_footprints[rows]
            return known
        return _shapes(self.rows.take(["geometry"], rows).column(0))

    @cached_property
    def _all_footprints(self) -> npt.NDArray[np.object_]:
        return _shapes(self.rows.column("geometry"))

    @property
    def hrefs(self) -> list[str]:
        """All hrefs, in order."""
        found: list[str] = self.rows.column("href").to_pylist()
        return found

    @property
    def sizes_bytes(self) -> npt.NDArray[np.int64]:
        """Size of every file."""
        sizes: npt.NDArray[np.int64] = numbers(self.rows.column("size_bytes"))
        return sizes

    def refs(self, rows: npt.NDArray[np.int64]) -> list[FileRef]:
        """Make the references of some rows for jobs."""
        missing = [row for row in rows.tolist() if row not in self._found]
        if missing:
            taken = self.rows.take(_REF_COLUMNS, np.array(missing, np.int64))
            self._found.update(zip(missing, _file_refs(taken), strict=True))
        return [self._found[row] for row in rows.tolist()]

    def grids(self, hrefs: Sequence[str]) -> list[GridFacts | None]:
        """Grids of files that `refs` returned before; None for others, and where the index has only a footprint."""
        wanted = set(hrefs)
        row_of = {ref.href: row for row, ref in self._found.items() if ref.href in wanted}
        taken = self.rows.take(_GRID_COLUMNS, np.array(list(row_of.values()), np.int64)).to_pylist()
        known = dict(zip(row_of, taken, strict=True))
        return [
            GridFacts(**known[href]) if href in known and known[href]["west"] is not None else None for href in hrefs
        ]

    def bytes_in(self, rows: npt.NDArray[np.int64], bounds: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Estimate of the bytes of each file that a window needs: its share of the blocks, or the whole file.

        Args:
            rows: Rows of the table.
            bounds: West, south, east, north of the window in the CRS of the files.
        """
        names = ["size_bytes", "width_px", "height_px", "west", "north", "pixel_width", "pixel_height"]
        taken = self.rows.take([*names, "block_width_px", "block_height_px"], rows)
        size, width, height, west, north, dx, dy, block_w, block_h = (
            numbers(column.cast(pa.float64()), np.nan) for column in taken.columns
        )
        with np.errstate(invalid="ignore"):
            across = _share(bounds[0] - west, bounds[2] - west, dx, width, block_w)
            down = _share(north - bounds[3], north - bounds[1], dy, height, block_h)
            share = np.where(np.isnan(across * down), 1.0, across * down)
        return np.ceil(size * share).astype(np.int64)

    def with_contents(self, sha256_by_etag: Mapping[str, str]) -> tuple[SourceIndex, int]:
        """Add hashes of local files by their ETag; returns the index and the number of files whose hash is new."""
        names = ("size_bytes", "modified_ns", "inode", "sha256", "pinned")
        column: list[str | None] = []
        count = 0
        for size, modified_ns, inode, sha256, is_pinned in zip(
            *(self.rows.column(name).to_pylist() for name in names), strict=True
        ):
            is_open = sha256 is None and modified_ns is not None and not is_pinned
            known = sha256_by_etag.get(FileState(size, modified_ns, inode).etag) if is_open else None
            column.append(known or sha256)
            count += known is not None
        if not count:
            return self, 0
        place = SCHEMA.get_field_index("sha256")
        table = self.table.set_column(place, SCHEMA.field(place), index_columns.texts(column))
        return replace(self, rows=IndexRows(table), _found={}), count

    def to_bytes(self) -> bytes:
        """GeoParquet 1.1."""
        return encode(self.table, self._document())

    def _document(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "source": self.source_id,
            "declaration": self.declaration,
            "location": self.location,
            "area_deg": self.area_deg,
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> SourceIndex:
        """Open an index; its pages are decoded, and checked, when they are needed.

        Raises:
            DamagedIndex: damaged bytes, or another version.
        """
        try:
            file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
            document = json.loads((file.schema_arrow.metadata or {})[_METADATA.encode()])
            if document["version"] != VERSION or not file.schema_arrow.remove_metadata().equals(SCHEMA):
                raise OtherVersion("it has another version")
            area = document["area_deg"]
            return cls(
                source_id=document["source"],
                rows=IndexRows(file),
                declaration=document["declaration"],
                location=document["location"],
                area_deg=None if area is None else tuple(area),
            )
        except (pa.ArrowException, KeyError, TypeError, OSError) as error:
            raise DamagedIndex(f"it cannot be read: {error}") from error


def encode(table: pa.Table, document: Mapping[str, Any]) -> bytes:
    """Rows of `SCHEMA` as GeoParquet 1.1 with a JSON document in the metadata; equal rows give equal bytes."""
    bounds = table.column("bbox").combine_chunks()
    total = [0.0, 0.0, 0.0, 0.0]
    if table.num_rows:
        sides = [numbers(bounds.field(side)) for side in _SIDES]
        total = [float(f(side)) for f, side in zip((np.min, np.min, np.max, np.max), sides, strict=True)]
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon", "MultiPolygon"],
                "crs": CRS.from_user_input(FOOTPRINT_CRS).to_json_dict(),
                "bbox": total,
                "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
            }
        },
    }
    buffer = io.BytesIO()
    metadata = {"geo": json.dumps(geo), _METADATA: json.dumps(document, sort_keys=True)}
    pq.write_table(table.replace_schema_metadata(metadata), buffer, **_PARQUET)
    return buffer.getvalue()


def _shapes(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.object_]:
    found: npt.NDArray[np.object_] = shapely.from_wkb(np.array(column.to_pylist(), dtype=object))
    return found


def _file_refs(table: pa.Table) -> Iterator[FileRef]:
    """References of rows with `_REF_COLUMNS`, column by column: a plan of Europe makes hundreds of thousands."""
    # Validated when the row was written; pydantic's checks would be most of the time of a plan of many files.
    of = FileRef.checked
    for href, size, modified_ns, inode, etag, sha256, is_pinned, sidecars in zip(
        *(_values(table.column(name)) for name in _REF_COLUMNS), strict=True
    ):
        others = sidecars_of(sidecars) if sidecars else ()
        if is_pinned:
            yield of(href, f"sha256:{sha256}", size, None, others)
        else:
            yield of(href, etag or stat_etag(size, modified_ns, inode), size, sha256, others)


def _values(column: pa.ChunkedArray) -> Iterable[Any]:
    if column.null_count == len(column):
        return itertools.repeat(None, len(column))
    if column.null_count == 0 and not pa.types.is_string(column.type):
        return cast("list[Any]", numbers(column).tolist())
    return cast("list[Any]", column.to_pylist())


def _share(
    start: npt.NDArray[np.float64],
    end: npt.NDArray[np.float64],
    pixel: npt.NDArray[np.float64],
    count: npt.NDArray[np.float64],
    block: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Share of the blocks along one axis that a window from `start` to `end` touches; NaN where blocks are unknown."""
    first = np.clip(np.floor(start / pixel / block), 0, None)
    last = np.clip(np.ceil(end / pixel / block), None, np.ceil(count / block))
    share: npt.NDArray[np.float64] = np.clip(last - first, 0, None) / np.ceil(count / block)
    return share
