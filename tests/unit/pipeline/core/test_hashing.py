"""Digests of files: remembered while a file stays, taken again however it was replaced."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from orograph.pipeline.core import hashing as digest
from orograph.pipeline.core.hashing import file_sha256


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as written long ago."""
    monkeypatch.setattr(digest, "_RECENT_S", -3600.0)
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    return path


def test_a_file_that_stays_is_not_read_again(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = file_sha256(settled)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))
    assert file_sha256(settled) == first


def test_another_content_of_equal_size_and_time_is_noticed(settled: Path) -> None:
    times = settled.stat().st_atime_ns, settled.stat().st_mtime_ns
    first = file_sha256(settled)
    time.sleep(0.02)
    settled.write_bytes(b"behind")
    os.utime(settled, ns=times)
    second = file_sha256(settled)
    assert second != first
    other = settled.with_name("b.bin")
    other.write_bytes(b"beyond")
    shutil.copystat(settled, other)
    other.replace(settled)
    assert file_sha256(settled) not in {first, second}


def test_a_file_just_written_is_not_trusted_by_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    file_sha256(path)
    assert not any(state.path == str(path) for state in digest._known)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "none")
