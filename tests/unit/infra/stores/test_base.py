"""Keys and hashes of objects."""

import hashlib

import pytest

from orograph.infra.stores.base import check_key, check_prefix, sha256_of, sha256_of_object
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.errors import BadIdentifier


@pytest.mark.parametrize(
    "key", ["", "/a", "a//b", "a/../b", ".hidden", "a/.b", "a b", "ä", "a" * 201, "/".join("a" * 500)]
)
def test_other_texts_are_no_key(key):
    with pytest.raises(BadIdentifier):
        check_key(key)


def test_keys_and_prefixes():
    assert check_key("tiles/E1/a-b_c=d.tif") == "tiles/E1/a-b_c=d.tif"
    assert [check_prefix(prefix) for prefix in ("", "a/", "a/b")] == ["", "a/", "a/b"]
    with pytest.raises(BadIdentifier):
        check_prefix("../")


def test_an_object_hashes_as_its_bytes(tmp_path):
    store = LocalStore(tmp_path)
    data = bytes(range(256)) * 40_000
    store.put("a", data)
    assert sha256_of_object(store, "a") == (hashlib.sha256(data).hexdigest(), len(data))
    assert sha256_of(tmp_path / "a") == sha256_of(data)
    with pytest.raises(KeyError):
        sha256_of_object(store, "b")
