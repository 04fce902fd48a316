"""Paths of source files stay with the operators; manifests have names only."""

import pytest

from orograph.infra.runs.commit import commit_tile
from orograph.infra.runs.source_records import full_sources, given_alignment, inputs_key, keep_inputs
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.errors import CatalogueError
from tests.support.worlds import make_job, make_result


def test_a_tile_can_be_made_again_from_the_record(tmp_path):
    store, job = LocalStore(tmp_path / "store"), make_job(href="/private/made.tif")
    manifest = commit_tile(store, make_result(job, tmp_path / "made"))
    assert manifest.sources[0].files[0].href == "made.tif"
    assert full_sources(store, manifest) == manifest.sources
    keep_inputs(store, job)
    keep_inputs(store, job)
    assert full_sources(store, manifest) == job.sources
    assert given_alignment(store, manifest) == ()
    store.put(inputs_key(manifest.tile, manifest.run_key), b"[")
    with pytest.raises(CatalogueError, match="damaged") as caught:
        full_sources(store, manifest)
    assert caught.value.tile == job.id


def test_public_sources_need_no_record(tmp_path):
    store, job = LocalStore(tmp_path), make_job(href="https://host/made.tif")
    keep_inputs(store, job)
    kept = [info.key for info in store.list()]
    assert kept == [] or kept == [inputs_key(job.id, job.run_key)]
