"""A folder as a store: one visible step per object, typed errors, no empty folders left."""

import threading

import pytest

from orograph.infra.stores.local import LocalStore
from orograph.pipeline.errors import BadIdentifier, ObjectExists, PreconditionFailed, StoreError


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def visible(store):
    return sorted(
        path.relative_to(store.root).as_posix()
        for path in store.root.rglob("*")
        if "/." not in f"/{path.relative_to(store.root)}"
    )


def test_the_etag_is_the_content_and_swaps_compare_it(store):
    first = store.put("a/b", b"1", if_absent=True)
    assert store.put("other", b"1").etag == first.etag
    with pytest.raises(ObjectExists):
        store.put("a/b", b"2", if_absent=True)
    second = store.put("a/b", b"2", if_match=first.etag)
    with pytest.raises(PreconditionFailed, match=first.etag):
        store.put("a/b", b"3", if_match=first.etag)
    assert store.head("a/b") == second
    assert second.size_bytes == 1


def test_deleting_removes_folders_that_become_empty(store):
    store.put("a/b/c/one", b"1")
    store.put("a/two", b"2")
    store.delete("a/b/c/one")
    assert visible(store) == ["a", "a/two"]
    store.delete("a/two")
    store.delete("a/two")
    assert visible(store) == []
    assert list(store.list()) == []


def test_a_put_survives_deletions_of_its_folder(store):
    failures = []

    def work(number):
        try:
            for round_ in range(25):
                store.put(f"deep/er/{number}", str(round_).encode())
                store.delete(f"deep/er/{number}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it fails the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failures == []
    assert visible(store) == []


def test_keys_stay_inside_and_a_file_is_not_a_folder(store):
    with pytest.raises(BadIdentifier):
        store.put("../out", b"")
    store.put("file", b"")
    with pytest.raises(StoreError):
        store.put("file/below", b"")
    assert store.head("file/below") is None
    with pytest.raises(KeyError):
        store.get("file/below")
