"""A URL or path names a store; an unusable one fails before a run starts."""

import pytest

from orograph.infra.stores.local import LocalStore
from orograph.infra.stores.open import check_writable, open_store
from orograph.infra.stores.s3 import S3Store
from orograph.pipeline.errors import ConfigError, SourceMissing, StoreUnwritable


def test_schemes_have_their_stores(tmp_path):
    assert isinstance(open_store(str(tmp_path)), LocalStore)
    assert open_store(f"file://{tmp_path}").url == str(tmp_path)
    assert isinstance(open_store("s3://bucket/prefix"), S3Store)
    assert open_store("s3://bucket/own Höhen/").url == "s3://bucket/own Höhen"
    for wrong in ("ftp://host/x", "s3:///x", "s3://key:secret@bucket/x", "s3://b/../x", "s3://b/a*", "s3://b/a//x"):
        with pytest.raises(ConfigError):
            open_store(wrong)


def test_reading_wants_a_folder_that_is_there(tmp_path):
    with pytest.raises(SourceMissing, match="no store at"):
        open_store(str(tmp_path / "none"), must_exist=True)


def test_a_writable_store_keeps_nothing_of_the_check(tmp_path):
    store = open_store(str(tmp_path / "store"))
    check_writable(store)
    assert list(store.list()) == []


def test_a_store_that_returns_other_bytes_is_rejected(tmp_path, monkeypatch):
    store = open_store(str(tmp_path))
    monkeypatch.setattr(store, "get", lambda _key: b"other")
    with pytest.raises(StoreUnwritable, match="other bytes"):
        check_writable(store)
