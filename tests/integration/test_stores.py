"""Both stores against the same expectations; the bucket lies on a real server."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orograph.infra.runs.commit import commit_tile, is_done
from orograph.infra.stores.base import Store, sha256_of, sha256_of_object
from orograph.infra.stores.open import open_store
from orograph.infra.stores.retry import Backoff
from orograph.infra.stores.s3 import S3Options, S3Store
from orograph.pipeline.errors import (
    BadIdentifier,
    ObjectExists,
    PreconditionFailed,
    ResultDiffers,
    StoreUnavailable,
    StoreUnwritable,
)
from orograph.stac.publishing.leftovers import leftovers
from tests.support.faulty_store import FaultyStore
from tests.support.rgw import S3Server
from tests.support.worlds import make_job, make_result


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    server: S3Server = request.getfixturevalue("s3_server")
    bucket = request.getfixturevalue("s3_bucket")
    return open_store(f"s3://{bucket}/some prefix/Höhen", endpoint_url=server.endpoint_url)


def test_objects_come_back(store: Store, tmp_path: Path) -> None:
    assert store.head("a/b.bin") is None
    with pytest.raises(KeyError):
        store.get("a/b.bin")
    with pytest.raises(KeyError):
        store.download("a/b.bin", tmp_path / "none")
    put = store.put("a/b.bin", b"0123456789", media_type="text/plain")
    assert store.head("a/b.bin") == put
    assert store.get("a/b.bin") == b"0123456789"
    assert store.get("a/b.bin", start=2, end=5) == b"234"
    assert store.get("a/b.bin", start=8) == b"89"
    assert store.get("a/b.bin", start=20) == b""
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    store.put("a/c.bin", tmp_path / "file")
    assert store.download("a/c.bin", tmp_path / "back").size_bytes == 100_000
    assert sha256_of(tmp_path / "back") == sha256_of_object(store, "a/c.bin")[0] == sha256_of(b"x" * 100_000)
    store.put("ab", b"")
    assert [info.key for info in store.list()] == ["a/b.bin", "a/c.bin", "ab"]
    assert [info.key for info in store.list("a/")] == ["a/b.bin", "a/c.bin"]
    assert [info.key for info in store.list("a/c")] == ["a/c.bin"]
    store.delete("a/b.bin")
    store.delete("a/b.bin")
    assert store.head("a/b.bin") is None


def test_put_if_absent_and_compare_and_swap(store: Store) -> None:
    first = store.put("pointer", b"1", if_absent=True)
    with pytest.raises(ObjectExists):
        store.put("pointer", b"2", if_absent=True)
    second = store.put("pointer", b"2", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        store.put("pointer", b"3", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        store.put("nothing", b"3", if_match=second.etag)
    assert store.get("pointer") == b"2"


def test_of_32_racing_writers_one_wins(store: Store) -> None:
    won, lost = race(32, lambda n: store.put("raced", str(n).encode(), if_absent=True), ObjectExists)
    assert len(won) == 1
    assert len(lost) == 31
    assert store.get("raced") == str(won[0]).encode()
    etag = store.put("raced", b"start").etag
    won, lost = race(32, lambda n: store.put("raced", str(n).encode(), if_match=etag), PreconditionFailed)
    assert len(won) == 1
    assert store.get("raced") == str(won[0]).encode()


def race(count: int, write: Callable[[int], object], refusal: type[Exception]) -> tuple[list[int], list[int]]:
    won: list[int] = []
    lost: list[int] = []
    gate = threading.Barrier(count)

    def enter(number: int) -> None:
        gate.wait()
        try:
            write(number)
            won.append(number)
        except refusal:
            lost.append(number)

    threads = [threading.Thread(target=enter, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won, lost


def test_32_workers_commit_one_tile(store: Store, tmp_path: Path) -> None:
    job = make_job()
    results = [make_result(job, tmp_path / str(n)) for n in range(32)]
    manifests: dict[int, bytes] = {}
    won, lost = race(32, lambda n: manifests.setdefault(n, commit_tile(store, results[n]).to_json()), ObjectExists)
    assert (len(won), len(lost)) == (32, 0)
    assert len(set(manifests.values())) == 1
    done = is_done(store, job)
    assert done is not None
    assert done.to_json() == manifests[0]
    assert is_done(store, make_job(1)) is None
    asset = done.assets[0]
    assert sha256_of_object(store, asset.key) == (asset.sha256, asset.size_bytes)


def test_the_first_of_two_workers_with_other_bytes_makes_the_tile(store: Store, tmp_path: Path) -> None:
    job = make_job()
    first = commit_tile(store, make_result(job, tmp_path / "a"))
    second = commit_tile(store, make_result(job, tmp_path / "b", {"dem.tif": b"other"}))
    assert second == first == is_done(store, job)
    kept = {info.key for info in store.list(f"{job.prefix}/")}
    assert kept == {job.manifest_key, *(asset.key for asset in first.assets)}


def test_32_workers_with_different_bytes_leave_the_set_of_one(store: Store, tmp_path: Path) -> None:
    job = make_job()
    results = [make_result(job, tmp_path / str(n), {"dem.tif": b"%d" % n, "x.png": b"same"}) for n in range(32)]
    manifests: dict[int, bytes] = {}
    won, lost = race(32, lambda n: manifests.setdefault(n, commit_tile(store, results[n]).to_json()), ObjectExists)
    assert (len(won), len(lost)) == (32, 0)
    assert len(set(manifests.values())) == 1
    manifest = is_done(store, job)
    assert manifest is not None
    for asset in manifest.assets:
        assert sha256_of_object(store, asset.key) == (asset.sha256, asset.size_bytes)
    assert [found for found in leftovers(store) if found.finished] == []


def test_a_killed_workers_files_never_mix_with_anothers(store: Store, tmp_path: Path) -> None:
    job = make_job()
    dead = make_result(job, tmp_path / "a", {"dem.tif": b"other", "x.png": b"same"})
    # Each asset is put, looked at and read: the seventh operation would put the manifest.
    failing = FaultyStore(store, at=7, fault="before", lasting=True)
    with pytest.raises(StoreUnavailable):
        commit_tile(failing, dead)
    assert failing.log[-1] == f"put {job.manifest_key}"
    assert len([found for found in leftovers(store) if not found.finished]) == 2
    manifest = commit_tile(store, make_result(job, tmp_path / "b", {"dem.tif": b"mine", "x.png": b"same"}))
    kept = {info.key for info in store.list(f"{job.prefix}/")}
    assert kept == {job.manifest_key, *(asset.key for asset in manifest.assets)}
    assert list(leftovers(store)) == []


def test_a_damaged_object_of_a_set_is_rejected(store: Store, tmp_path: Path) -> None:
    job = make_job()
    result = make_result(job, tmp_path / "a")
    asset = commit_tile(store, result).assets[0]
    store.delete(job.manifest_key)
    store.put(asset.key, b"damaged")
    with pytest.raises(ResultDiffers, match=job.tile.id):
        commit_tile(store, result)


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", ".hidden", "a/", "a\\b", "a\nb", "ä", "a" * 1000])
def test_only_keys_are_keys(store: Store, key: str) -> None:
    for call in (store.head, store.get, store.delete, lambda k: store.put(k, b"")):
        with pytest.raises(BadIdentifier):
            call(key)


def test_stores_pickle(store: Store) -> None:
    store.put("a", b"1")
    again = pickle.loads(pickle.dumps(store))  # noqa: S301
    assert again.get("a") == b"1"


@pytest.mark.s3
def test_large_files_go_up_in_parts(s3_server: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    options = S3Options(endpoint_url=s3_server.endpoint_url, single_put_bytes=2**20, part_bytes=5 * 2**20)
    store = S3Store(f"s3://{s3_bucket}", options)
    (tmp_path / "large").write_bytes(bytes(range(256)) * 50_000)
    put = store.put("large", tmp_path / "large", if_absent=True)
    assert put == store.head("large")
    assert put.etag.endswith("-3")
    assert sha256_of_object(store, "large")[0] == sha256_of(tmp_path / "large")
    with pytest.raises(ObjectExists):
        store.put("large", tmp_path / "large", if_absent=True)


@pytest.mark.s3
def test_bad_credentials_are_not_tried_again(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = S3Store(f"s3://{s3_bucket}", S3Options(endpoint_url=s3_server.endpoint_url))
    for call in (lambda: store.put("a", b""), lambda: store.get("a"), lambda: store.head("a"), lambda: [*store.list()]):
        with pytest.raises(StoreUnwritable):
            call()
    anonymous = S3Store(f"s3://{s3_bucket}", S3Options(endpoint_url=s3_server.endpoint_url, anonymous=True))
    with pytest.raises(StoreUnwritable):
        anonymous.put("a", b"")
    missing = S3Store("s3://no-such-bucket", S3Options(endpoint_url=s3_server.endpoint_url))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    with pytest.raises(StoreUnwritable, match="make the bucket first"):
        missing.put("a", b"")


def test_a_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    store = S3Store("s3://bucket", S3Options(endpoint_url="http://127.0.0.1:9"), Backoff(attempts=2, first_s=0.01))
    with pytest.raises(StoreUnavailable):
        store.head("a")
