"""Indexes in a store: resumed, refreshed, used by planning."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orograph.infra.runs.source_indexes import StoredIndexes, index_key, load_index, update_index
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import CatalogueError, SourceMissing
from orograph.pipeline.planning import planner as planner_module
from orograph.pipeline.planning.indexes import read_local
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources import index_build, source_index
from orograph.pipeline.sources.catalogue import CellTemplate, Files
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.source_files import LocalFiles
from tests.support.made import source, write_source

TILE = Tile(4000, 3000)


class Access(LocalFiles):
    """Files of this machine, and remote ones that a function identifies."""

    def __init__(self, probe=None):
        self._probe = probe

    def probe(self, href: str, _source: object) -> FileRef:
        return self._probe(href) if self._probe else pytest.fail(f"asked for {href}")


NEVER = Access()


@pytest.fixture
def made(tmp_path: Path):
    for number in range(6):
        west = 4_010_000.0 + number * 1000
        write_source(tmp_path / f"in/{number}.tif", "EPSG:3035", (west, 3_010_000.0, west + 1000, 3_011_000.0), 50)
    return source(tmp_path, data=Files(hrefs=(str(tmp_path / "in/*.tif"),)), resolution_m=50.0)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_the_second_build_reads_what_changed(made, store, tmp_path):
    first = update_index(store, made, NEVER, read_local)
    assert (first.read, first.kept, first.faults) == (6, 0, ())
    os.utime(tmp_path / "in/3.tif", ns=(0, 7))
    second = update_index(store, made, NEVER, read_local)
    assert (second.read, second.kept) == (1, 5)
    assert load_index(store, made.id).table.equals(second.index.table)
    assert update_index(store, made, NEVER, read_local, fresh=True).read == 6


def test_an_interrupted_build_goes_on(made, store, monkeypatch):
    monkeypatch.setattr(index_build, "CHUNK_FILES", 2)

    class Interrupted(Exception):
        pass

    def stop(step):
        if step.done == 4:
            raise Interrupted

    with pytest.raises(Interrupted):
        update_index(store, made, NEVER, read_local, on_step=stop)
    assert load_index(store, made.id) is None
    built = update_index(store, made, NEVER, read_local)
    assert (built.read, built.kept) == (2, 4)
    assert len(built.index) == 6
    assert [info.key for info in store.list("inputs/")] == [index_key(made.id)]


def test_plans_open_no_file_of_an_index(made, store, monkeypatch):
    update_index(store, made, NEVER, read_local)
    plain = Planner([made], ProcessingSettings(), NEVER.probe).job(TILE)
    monkeypatch.setattr(index_build.FactsReader, "read_local", lambda *_, **__: pytest.fail("opened a file"))
    monkeypatch.setattr(planner_module, "companions", lambda _: pytest.fail("looked for side-cars of a file"))
    planner = Planner([made], ProcessingSettings(), NEVER.probe, NEVER, StoredIndexes(store, NEVER, read_local))
    plan = planner.plan([TILE])
    assert plan.jobs[0].run_key == plain.run_key
    assert len(plan.jobs[0].sources[0].files) == 6
    assert planner.covered_tiles() == (TILE,)


def test_an_index_of_another_version_is_made_again(made, store, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(source_index, "VERSION", 0)
        update_index(store, made, NEVER, read_local)
    assert load_index(store, made.id) is None
    assert update_index(store, made, NEVER, read_local).read == 6


def test_new_and_rewritten_files_are_planned_with_an_old_index(made, store, tmp_path):
    update_index(store, made, NEVER, read_local)
    before = Planner([made], ProcessingSettings(), NEVER.probe, NEVER, StoredIndexes(store, NEVER, read_local)).job(
        TILE
    )
    write_source(tmp_path / "in/9.tif", "EPSG:3035", (4_030_000.0, 3_010_000.0, 4_031_000.0, 3_011_000.0), 50)
    indexes = StoredIndexes(store, NEVER, read_local)
    after = Planner([made], ProcessingSettings(), NEVER.probe, NEVER, indexes).job(TILE)
    assert len(after.sources[0].files) == len(before.sources[0].files) + 1
    assert after.run_key != before.run_key
    indexes.keep()
    assert len(load_index(store, made.id)) == 7


def test_a_template_is_asked_once_and_only_where_it_was_indexed(store):
    asked = []

    def probe(href: str) -> FileRef:
        asked.append(href)
        if "N47" in href:
            return FileRef(href=href, etag="x", size_bytes=100)
        raise SourceMissing("not there")

    made = source(
        "x", data=CellTemplate(href="s3://b/{ns}{lat:02d}{ew}{lon:03d}.tif"), horizontal_crs="EPSG:4326", sidecars=False
    )
    built = update_index(store, made, Access(probe), read_local, area_deg=(9.0, 46.0, 12.0, 48.0))
    assert len(built.index) == 3
    assert len(asked) == 6
    asked.clear()
    planner = Planner(
        [made], ProcessingSettings(), Access(probe).probe, NEVER, StoredIndexes(store, Access(probe), read_local)
    )
    assert planner.plan([Tile(4300, 2650)]).jobs
    assert asked == []
    planner.plan([Tile(4000, 3100)])
    assert asked


def test_a_remote_file_that_changed_is_read_again(store):
    etags = {"s3://b/N47E009.tif": "1", "s3://b/N47E010.tif": "1"}

    def probe(href: str) -> FileRef:
        if href not in etags:
            raise SourceMissing("not there")
        return FileRef(href=href, etag=etags[href], size_bytes=100)

    made = source("x", data=CellTemplate(href="s3://b/{ns}{lat:02d}{ew}{lon:03d}.tif"), horizontal_crs="EPSG:4326")
    area = (9.0, 47.0, 11.0, 48.0)
    update_index(store, made, Access(probe), read_local, area_deg=area)
    etags["s3://b/N47E010.tif"] = "2"
    again = update_index(store, made, Access(probe), read_local, area_deg=area)
    assert (again.read, again.kept) == (1, 1)
    assert again.index.table.column("etag").to_pylist() == ["1", "2"]


def test_a_damaged_index_is_an_error_with_a_remedy(made, store):
    store.put(index_key(made.id), b"PAR1 not really")
    with pytest.raises(CatalogueError, match="--fresh"):
        StoredIndexes(store, NEVER, read_local).index(made)
    assert update_index(store, made, NEVER, read_local, fresh=True).read == 6
