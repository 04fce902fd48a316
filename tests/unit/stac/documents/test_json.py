"""Documents change by compare-and-swap, and read back or say why not."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from orograph.infra.stores.local import LocalStore
from orograph.pipeline.errors import CatalogueError, PreconditionFailed
from orograph.stac.documents.json import encode, pruned, put_absent, read, swap, timestamp


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path)


def test_a_document_reads_back_and_bad_ones_are_named(store):
    store.put("a.json", encode({"b": 1, "a": [2]}))
    assert read(store, "a.json") == {"b": 1, "a": [2]}
    assert store.get("a.json").index(b'"b"') < store.get("a.json").index(b'"a"')
    store.put("list.json", b"[]")
    store.put("cut.json", b"{")
    for key, says in (("none.json", "not in the store"), ("list.json", "expected an object"), ("cut.json", "not JSON")):
        with pytest.raises(CatalogueError, match=says):
            read(store, key)


def test_a_swap_retries_when_another_writer_was_faster(store):
    store.put("a", b"1")
    seen = []

    def change(present):
        seen.append(present)
        if len(seen) == 1:
            store.put("a", b"2")
        return present + b"+"

    assert swap(store, "a", change)
    assert (seen, store.get("a")) == ([b"1", b"2"], b"2+")
    assert not swap(store, "a", lambda present: present)
    assert not swap(store, "none", lambda _: None)
    assert swap(store, "none", lambda _: b"made")


def test_a_swap_that_always_loses_ends(store, monkeypatch):
    store.put("a", b"1")

    def lost(*_args, **_more):
        raise PreconditionFailed("a")

    monkeypatch.setattr(store, "put", lost)
    with pytest.raises(CatalogueError, match="20 times in a row"):
        swap(store, "a", lambda _: b"2")


def test_the_first_bytes_of_an_immutable_key_win(store):
    assert put_absent(store, "a", b"1") == b"1"
    assert put_absent(store, "a", b"2") == b"1"


def test_empty_members_and_numbers_that_json_has_not_are_left_out():
    assert pruned({"a": None, "b": math.nan, "c": {"d": []}, "e": [1.0, math.inf], "f": 0, "g": ""}) == {
        "e": [1.0],
        "f": 0,
        "g": "",
    }


def test_timestamps_are_utc():
    east = timezone(timedelta(hours=2))
    assert timestamp(datetime(2026, 1, 1, 1, 0, 0, tzinfo=east)) == "2025-12-31T23:00:00Z"
    assert timestamp(datetime(2026, 1, 1)) == timestamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"  # noqa: DTZ001
