"""Sources by path and by HTTP, from a server that misbehaves on request."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orograph.infra.runs.fetch import Fetcher
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import (
    InputError,
    SourceChanged,
    SourceCorrupt,
    SourceInaccessible,
    SourceMissing,
    SourceUnavailable,
)
from orograph.pipeline.sources.file_identity import file_state
from orograph.pipeline.sources.refs import FileRef
from tests.support.faulty_http import FaultyServer
from tests.support.tiffs import write_heights


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return write_heights(tmp_path / "made.tif", np.arange(40_000.0).reshape(200, 200))


FETCHER = Fetcher(backoff=Backoff(attempts=4, first_s=0.01, longest_s=0.05), read_timeout_s=1.0)


def test_local_files_are_used_where_they_lie(raster: Path, tmp_path: Path) -> None:
    file = FETCHER.probe(str(raster))
    assert file.etag == file_state(raster).etag
    assert FETCHER.fetch(file, tmp_path / "scratch") == raster
    assert not (tmp_path / "scratch").exists()


def test_a_rewritten_local_file_is_noticed(raster: Path, tmp_path: Path) -> None:
    before = FETCHER.probe(str(raster))
    data = bytearray(raster.read_bytes())
    data[-1] ^= 1
    raster.write_bytes(data)
    os.utime(raster, ns=(0, 1))  # a clock of the file system may stand still between two writes
    with pytest.raises(SourceChanged):
        FETCHER.fetch(before, tmp_path)
    with pytest.raises(SourceChanged):
        FETCHER.check_unchanged(before)


def test_a_copy_is_the_same_file_only_by_content(raster: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tif"
    by_state = FETCHER.probe(str(raster))
    copy.write_bytes(raster.read_bytes())
    elsewhere = by_state.model_copy(update={"href": str(copy)})
    with pytest.raises(SourceChanged, match="--sha256"):
        FETCHER.check_unchanged(elsewhere)
    FETCHER.check_unchanged(elsewhere.model_copy(update={"etag": f"sha256:{file_sha256(raster)}"}))


@pytest.mark.parametrize("href", ["/vsicurl/https://a/b.tif", "gopher://x", "a b://c", "/vsimem/x"])
def test_other_places_are_refused(href: str) -> None:
    with pytest.raises(InputError):
        FETCHER.probe(href)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        FETCHER.probe(str(tmp_path / "none.tif"))


def test_http_objects_are_copied_whole(server: FaultyServer, raster: Path, tmp_path: Path) -> None:
    href = server.serve("N47E010.tif", raster.read_bytes())
    file = FETCHER.probe(href)
    path = FETCHER.fetch(file, tmp_path / "scratch")
    assert path.read_bytes() == raster.read_bytes()
    assert path.name == "N47E010.tif"
    asked = len(server.requests)
    assert FETCHER.fetch(file, tmp_path / "scratch") == path
    assert len(server.requests) == asked


@pytest.mark.parametrize("fault", ["500", "503", "429", "drop", "truncate", "hang"])
def test_one_fault_heals(fault: str, server: FaultyServer, raster: Path, tmp_path: Path) -> None:
    href = server.serve("a.tif", raster.read_bytes())
    file = FETCHER.probe(href)
    server.faults = [fault]
    assert FETCHER.fetch(file, tmp_path / "scratch").read_bytes() == raster.read_bytes()
    assert server.faults == []


@pytest.mark.parametrize("fault", ["500", "503", "429", "drop", "truncate", "hang"])
def test_a_lasting_fault_is_unavailable_and_leaves_nothing(
    fault: str, server: FaultyServer, raster: Path, tmp_path: Path
) -> None:
    file = FETCHER.probe(server.serve("a.tif", raster.read_bytes()))
    server.faults = [fault] * 50
    with pytest.raises(SourceUnavailable) as caught:
        FETCHER.fetch(file, tmp_path / "scratch")
    assert caught.value.source == file.href
    assert len(server.faults) == 46
    assert not [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("404", SourceMissing),
        ("401", SourceInaccessible),
        ("403", SourceInaccessible),
        ("302", SourceInaccessible),
        ("410", SourceInaccessible),
        ("451", SourceInaccessible),
        ("html", SourceCorrupt),
    ],
)
def test_lasting_answers_are_not_asked_for_again(
    fault: str, error: type[Exception], server: FaultyServer, raster: Path, tmp_path: Path
) -> None:
    file = FETCHER.probe(server.serve("a.tif", raster.read_bytes()))
    server.faults = [fault] * 5
    with pytest.raises(error):
        FETCHER.fetch(file, tmp_path / "scratch")
    assert len(server.faults) == 4


def test_a_changed_object_is_noticed(server: FaultyServer, raster: Path, tmp_path: Path) -> None:
    file = FETCHER.probe(server.serve("a.tif", raster.read_bytes()))
    server.serve("a.tif", raster.read_bytes() + b"!")
    with pytest.raises(SourceChanged):
        FETCHER.fetch(file, tmp_path / "scratch")


def test_a_change_during_the_transfer_is_noticed(server: FaultyServer, raster: Path, tmp_path: Path) -> None:
    file = FETCHER.probe(server.serve("a.tif", raster.read_bytes()))
    server.faults = ["swap"]
    with pytest.raises(SourceChanged):
        FETCHER.fetch(file, tmp_path / "scratch")


def test_a_page_with_status_200_and_a_tiff_type_is_corrupt(server: FaultyServer, tmp_path: Path) -> None:
    file = FETCHER.probe(server.serve("a.tif", b"<html>quota exceeded</html>"))
    with pytest.raises(SourceCorrupt, match="HTML"):
        FETCHER.fetch(file, tmp_path / "scratch")
    assert FileRef(href=file.href, etag=file.etag, size_bytes=file.size_bytes) == file


def test_a_server_without_identity_is_refused(server: FaultyServer) -> None:
    href = server.serve("a.tif", b"x", etag=None)
    with pytest.raises(SourceCorrupt, match="neither ETag"):
        FETCHER.probe(href)
