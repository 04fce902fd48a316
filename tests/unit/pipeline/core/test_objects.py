"""The stores of the infrastructure satisfy the protocol of the pipeline."""

import pytest

from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import ObjectExists


@pytest.fixture
def store(tmp_path) -> ObjectStore:
    return LocalStore(tmp_path)


def test_objects_are_kept_listed_and_deleted(store):
    info = store.put("b/two", b"0123456789")
    store.put("b/one", b"x")
    store.put("c", b"y")
    assert (info.key, info.size_bytes) == ("b/two", 10)
    assert store.head("b/two").etag == info.etag
    assert [one.key for one in store.list("b/")] == ["b/one", "b/two"]
    assert store.get("b/two", start=2, end=5) == b"234"
    store.delete("b/two")
    store.delete("b/two")
    assert store.head("b/two") is None


def test_what_is_not_there_is_a_key_error(store, tmp_path):
    with pytest.raises(KeyError):
        store.get("none")
    with pytest.raises(KeyError):
        store.download("none", tmp_path / "copy")


def test_put_if_absent_keeps_the_first(store):
    store.put("a", b"first", if_absent=True)
    with pytest.raises(ObjectExists):
        store.put("a", b"second", if_absent=True)
    assert store.get("a") == b"first"
