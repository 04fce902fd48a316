"""The node's cache of source bytes: bounded, checked, and no error when it cannot be written."""

import os
import time

import pytest

from orograph.infra.objects.cache import NodeCache
from orograph.pipeline.sources.refs import FileRef

FILE = FileRef(href="https://host/a.tif", etag="one", size_bytes=10**9)


@pytest.fixture
def cache(tmp_path):
    return NodeCache(tmp_path / "cache", 1_000_000)


def test_ranges_come_back_by_href_etag_and_range(cache):
    cache.put(FILE, 100, b"heights")
    assert cache.get(FILE, 100, 107) == b"heights"
    assert cache.get(FILE, 100, 106) is None
    assert cache.get(FILE.model_copy(update={"etag": "two"}), 100, 107) is None


def test_damaged_entries_are_dropped(cache):
    cache.put(FILE, 0, b"heights")
    (path,) = [path for path in cache.folder.rglob("0-7") if path.is_file()]
    path.write_bytes(b"hEights" + path.read_bytes()[7:])
    assert cache.get(FILE, 0, 7) is None
    assert not path.exists()


def test_the_bound_holds_and_the_oldest_go_first(cache):
    for number in range(60):
        cache.put(FILE, number * 50_000, bytes(50_000))
        stamp = time.time() - 1000 + number
        for path in cache.folder.rglob(f"{number * 50_000}-*"):
            os.utime(path, (stamp, stamp))
    kept = [path for path in cache.folder.rglob("*-*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) <= 1_000_000 + 2 * 50_004
    assert cache.get(FILE, 59 * 50_000, 60 * 50_000) is not None
    assert cache.get(FILE, 0, 50_000) is None


def test_whole_objects_are_made_once_and_survive_eviction(cache, tmp_path):
    file = FileRef(href="https://host/a.zip", etag="one", size_bytes=7)
    made = []

    def make(place):
        made.append(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"archive")

    assert not cache.whole(file, tmp_path / "one" / "a.zip", make)
    assert cache.whole(file, tmp_path / "two" / "a.zip", make)
    assert len(made) == 1
    cache.max_bytes = 0
    assert cache.sweep() == 0
    assert (tmp_path / "two" / "a.zip").read_bytes() == b"archive"


def test_a_place_that_cannot_be_written_is_gone_without(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = NodeCache(tmp_path / "file" / "cache", 1_000_000)
    cache.put(FILE, 0, b"heights")
    assert cache.get(FILE, 0, 7) is None
    with cache.locked(FILE, 0, 7):
        pass
