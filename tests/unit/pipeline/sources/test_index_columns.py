"""Columns equal those of `pyarrow.array`, nulls and empty ones included."""

import numpy as np
import pyarrow as pa
import pytest

from orograph.pipeline.sources.index_columns import binaries, flags, numbers, texts


@pytest.mark.parametrize("values", [[], ["a", None, "", "höhe"], [None] * 9, ["x"] * 17])
def test_texts(values):
    column = texts(values)
    column.validate(full=True)
    assert column.equals(pa.array(values, pa.string()))
    assert column.null_count == values.count(None)


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.float64()])
@pytest.mark.parametrize("values", [[], [1, None, 3], list(range(20)), np.arange(5)[::2]])
def test_numbers(kind, values):
    column = numbers(values, kind)
    column.validate(full=True)
    assert column.to_pylist() == list(values)
    assert column.type == kind


def test_flags_and_bytes():
    values = [True, False, True] * 5
    assert flags(values).equals(pa.array(values, pa.bool_()))
    assert binaries([b"\x00a", b""]).equals(pa.array([b"\x00a", b""], pa.binary()))
