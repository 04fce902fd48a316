"""Bands cover all rows once, whatever the number of threads."""

from contextvars import ContextVar

import pytest

from orograph.pipeline.core.processor import usable_cores
from orograph.pipeline.coregistration.threads import in_bands, usable_threads

WORD: ContextVar[str] = ContextVar("word", default="none")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bands_do_not_depend_on_the_threads(threads):
    assert in_bands(lambda a, b: (a, b), 150, threads) == [(0, 64), (64, 128), (128, 150)]


def test_no_rows_are_no_bands_and_one_row_is_one():
    assert in_bands(lambda a, b: (a, b), 0, 2) == []
    assert in_bands(lambda a, b: (a, b), 1, 2) == [(0, 1)]


def test_zero_threads_are_all_usable_cores():
    assert usable_threads(0) == usable_cores()
    assert usable_threads(3) == 3


def test_bands_see_the_context_of_the_caller():
    token = WORD.set("here")
    try:
        assert in_bands(lambda _a, _b: WORD.get(), 200, 2) == ["here"] * 4
    finally:
        WORD.reset(token)


def test_an_error_in_a_band_reaches_the_caller():
    def fail(first: int, _last: int) -> None:
        if first:
            raise ValueError("band 64")

    with pytest.raises(ValueError, match="band 64"):
        in_bands(fail, 100, 2)
