"""Rows are read from the row groups they are in, in the order asked for, without pandas."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orograph.pipeline.errors import CatalogueError
from orograph.pipeline.sources.index_rows import IndexRows, numbers

TABLE = pa.table({"n": pa.array([*range(10)], pa.int64()), "t": [f"t{i}" for i in range(10)]})


def encoded(**options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(TABLE, buffer, row_group_size=4, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("searches", [1, 12])
@pytest.mark.parametrize("rows", [[0, 3, 4, 9], [9, 0, 5], []])
def test_rows_come_in_the_order_asked_for(rows, searches):
    opened = IndexRows(pq.ParquetFile(pa.BufferReader(encoded())))
    for _ in range(searches):
        taken = opened.take(["t"], np.array(rows, np.int64))
    assert taken.column("t").to_pylist() == [f"t{row}" for row in rows]
    assert len(opened) == 10
    assert opened.column("n").to_pylist() == [*range(10)]


def test_nulls_become_the_missing_value():
    assert numbers(pa.array([1, None], pa.int32()), -1).tolist() == [1, -1]
    assert numbers(pa.array([True, None, False]), 0).tolist() == [True, False, False]
    assert np.isnan(numbers(pa.array([None], pa.float64()), np.nan)).all()


def test_a_damaged_page_is_found_when_it_is_read():
    data = bytearray(encoded(write_page_checksum=True, compression="none", use_dictionary=False))
    place = data.index(b"t5")
    data[place : place + 2] = b"xx"
    opened = IndexRows(pq.ParquetFile(pa.BufferReader(bytes(data)), page_checksum_verification=True))
    assert opened.take(["t"], np.array([0])).column("t").to_pylist() == ["t0"]
    with pytest.raises(CatalogueError, match="damaged"):
        opened.take(["t"], np.array([5]))
