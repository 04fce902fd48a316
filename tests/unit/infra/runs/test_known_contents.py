"""Hashes of files that a tile was made from come into the index, and a later plan knows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orograph.infra.runs.commit import commit_tile
from orograph.infra.runs.contents import with_contents
from orograph.infra.runs.known_contents import keep_contents
from orograph.infra.runs.source_indexes import StoredIndexes, index_key, load_index, update_index
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.planning.indexes import read_local
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Files
from orograph.pipeline.sources.source_files import LocalFiles
from tests.support.made import source, write_source
from tests.support.worlds import make_result


class Access(LocalFiles):
    def probe(self, href: str, _source: object) -> None:
        pytest.fail(f"asked for {href}")


def test_the_index_learns_from_finished_tiles(tmp_path, caplog):
    for number, west in enumerate((4_010_000.0, 4_090_000.0)):  # one in the tile, one beyond it
        write_source(tmp_path / f"in/{number}.tif", "EPSG:3035", (west, 3_010_000.0, west + 1000, 3_011_000.0), 50)
    made = source(tmp_path, data=Files(hrefs=(str(tmp_path / "in/*.tif"),)), resolution_m=50.0)
    store = LocalStore(tmp_path / "store")
    update_index(store, made, Access(), read_local)

    def planned():
        indexes = StoredIndexes(store, Access(), read_local)
        return Planner([made], ProcessingSettings(), Access().probe, Access(), indexes).job(Tile(4000, 3000))

    job = planned()
    result = with_contents(make_result(job, tmp_path / "out"), {made.id: [Path(job.sources[0].files[0].href)]})
    commit_tile(store, result)
    assert keep_contents(store, [job]) == 1
    assert load_index(store, made.id).rows.column("sha256").to_pylist() == [file_sha256(tmp_path / "in/0.tif"), None]
    again = planned()
    assert again.run_key == job.run_key
    assert again.sources[0].files[0].sha256 == file_sha256(tmp_path / "in/0.tif")
    assert keep_contents(store, [job]) == 0
    store.put(index_key(made.id), b"damaged")
    assert keep_contents(store, [job]) == 0
    assert "damaged" in caplog.text
