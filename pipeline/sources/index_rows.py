"""Rows of a source index, read from GeoParquet on demand: some columns of all rows, or all columns of some row groups.

Numbers become numpy arrays through DLPack: `to_numpy` and `pyarrow.array` import pandas, 0.3 CPU seconds and 20 MB that
planning saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from orograph.pipeline.errors import CatalogueError

_SEARCHES_IN_PARTS: Final = 8
"""Row groups are decoded for the first look-ups; a longer plan reads the whole table once."""


class IndexRows:
    """Rows of a table, or of the bytes of a Parquet file that stays encoded."""

    def __init__(self, rows: pa.Table | pq.ParquetFile) -> None:
        self._table = rows if isinstance(rows, pa.Table) else None
        self._file = None if isinstance(rows, pa.Table) else rows
        self._searches = 0

    def __len__(self) -> int:
        return int(self.table.num_rows if self._file is None else self._file.metadata.num_rows)

    @property
    def table(self) -> pa.Table:
        """All rows, cached after the first call.

        Raises:
            CatalogueError: a page cannot be decoded.
        """
        if self._table is None:
            self._table = self._read(None).replace_schema_metadata(None)
            self._file = None
        return self._table

    def column(self, name: str) -> pa.Array:
        """One column of all rows, as one array."""
        table = self._read([name]) if self._table is None else self._table
        return _joined(table.column(name))

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pa.Table:
        """Some columns of some rows, in the order of `rows`."""
        self._searches += 1
        if self._table is not None or self._searches > _SEARCHES_IN_PARTS:
            return self.table.select(names).take(_row_numbers(rows))
        order = np.argsort(rows, kind="stable")
        found = self._in_groups(names, rows[order])
        return found if (np.diff(order) == 1).all() else found.take(_row_numbers(np.argsort(order, kind="stable")))

    def _in_groups(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pa.Table:
        """Ascending rows, from the row groups they are in."""
        assert self._file is not None  # noqa: S101 - asked by `take` only while there is one
        metadata = self._file.metadata
        ends = np.cumsum([metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)])
        groups = np.searchsorted(ends, rows, side="right")
        parts = []
        for group in np.unique(groups).tolist():
            first = int(ends[group - 1]) if group else 0
            parts.append(self._read(names, group).take(_row_numbers(rows[groups == group] - first)))
        if not parts:
            return self._file.schema_arrow.empty_table().select(names)
        return pa.concat_tables(parts).replace_schema_metadata(None)

    def _read(self, names: Sequence[str] | None, group: int | None = None) -> pa.Table:
        assert self._file is not None  # noqa: S101 - asked only while there is one
        columns = None if names is None else list(names)
        try:
            # In one thread: the memory pool of each further thread would exceed the table.
            if group is None:
                return self._file.read(columns, use_threads=False)
            return self._file.read_row_group(group, columns, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise CatalogueError(
                f"the source index is damaged: {error}", remedy="run `orograph sources index` with --fresh"
            ) from error


def numbers(column: pa.Array | pa.ChunkedArray, missing: float = -1) -> npt.NDArray[Any]:
    """Values of a column of numbers or truth values, shape (rows,); null becomes `missing`. Read-only."""
    array = _joined(column)
    if pa.types.is_boolean(array.type):
        return numbers(array.cast(pa.uint8()), missing).astype(bool)
    return np.from_dlpack(array.fill_null(missing) if array.null_count else array)


def _joined(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _row_numbers(rows: npt.NDArray[np.int64]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), rows.size, [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))])
