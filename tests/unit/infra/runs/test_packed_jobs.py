"""Jobs and items of many files stay small, and content is noticed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from orograph.infra.runs.contents import _blocks_sha256, _content
from orograph.infra.runs.packed_jobs import packed_jobs, unpacked
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import CatalogueError, SourceChanged
from orograph.pipeline.file_lists import INLINE_FILES, list_product, shortened
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Files
from orograph.pipeline.sources.file_identity import local_ref
from orograph.pipeline.sources.refs import FileRef, SourceRef
from tests.support.made import source, write_source

TILE = Tile(4000, 3000)


def job_of(count: int) -> Job:
    hrefs = tuple(f"/data/dgm/dgm_{number}_5600.tif" for number in range(count))
    files = tuple(FileRef(href=href, etag=f"stat:{i}", size_bytes=i) for i, href in enumerate(hrefs))
    made = source("x", data=Files(hrefs=hrefs))
    return Job(TILE, (SourceRef(source=made, files=files),), ProcessingSettings())


def test_a_job_of_many_files_is_small_and_comes_back_whole(tmp_path):
    store, job = LocalStore(tmp_path), job_of(3027)
    (packed,) = packed_jobs(store, [job])
    assert len(pickle.dumps(packed)) < 20_000 < len(pickle.dumps(job))
    assert packed.run_key == job.run_key
    assert packed.sources[0].file_count == 3027
    assert unpacked(store, packed) == job


def test_a_job_of_few_files_travels_as_it_is(tmp_path):
    job = job_of(INLINE_FILES)
    assert packed_jobs(LocalStore(tmp_path), [job]) == (job,)
    assert unpacked(LocalStore(tmp_path), job) == job


def test_a_list_that_is_gone_or_damaged_is_an_error(tmp_path):
    store = LocalStore(tmp_path)
    (packed,) = packed_jobs(store, [job_of(20)])
    (info,) = list(store.list("inputs/lists/"))
    store.put(info.key, b"{}")
    with pytest.raises(CatalogueError, match="damaged"):
        unpacked(store, packed)
    store.delete(info.key)
    with pytest.raises(CatalogueError, match="gone"):
        unpacked(store, packed)


def test_public_lists_have_names_only(tmp_path):
    ref = job_of(20).sources[0]
    product = list_product([ref], tmp_path)
    assert b"/data/" not in product.path.read_bytes()
    assert b"dgm_19_5600.tif" in product.path.read_bytes()
    assert shortened(ref).listing.count == 20
    assert list_product([job_of(3).sources[0]], tmp_path) is None


def test_content_that_changed_under_its_identity_is_noticed(tmp_path: Path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_010_000.0, 3_010_000.0, 4_012_000.0, 3_012_000.0), 10)
    file = local_ref(path)
    ref = SourceRef(source=source(path), files=(file,))
    job = Job(TILE, (ref,), ProcessingSettings())
    known = _content(job, ref, file, path)
    assert known.sha256 == file_sha256(path)
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert local_ref(path) == file
    with pytest.raises(SourceChanged, match="although"):
        _content(job, ref, known, path)


def test_of_large_files_only_the_blocks_of_the_tile_count(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("orograph.infra.runs.contents.WHOLE_BYTES", 0)
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_040_000.0, 3_010_000.0, 4_060_000.0, 3_015_000.0), 10)
    ref = SourceRef(source=source(path), files=(local_ref(path),))
    job = Job(TILE, (ref,), ProcessingSettings())
    first = _content(job, ref, ref.files[0], path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # the last block is at the east, beyond the tile
    path.write_bytes(data)
    assert _content(job, ref, ref.files[0], path).blocks_sha256 == first.blocks_sha256 is not None
    assert _blocks_sha256(path, None) != first.blocks_sha256
