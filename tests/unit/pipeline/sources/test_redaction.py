"""What manifests tell of sources, and what the store keeps for its operators."""

from __future__ import annotations

import pytest

from orograph.infra.runs.source_records import full_sources, inputs_key, keep_inputs
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import CatalogueError
from orograph.pipeline.job import Job, TileResult
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import CellTemplate, Files, UserGrid
from orograph.pipeline.sources.redaction import public_href, public_ref
from orograph.pipeline.sources.refs import FileRef, SourceRef
from orograph.stac.serving.file_routes import _is_served
from tests.support.catalogue_world import MemoryStore, make_manifest, make_source

HREFS = {
    "/home/anna/heights/a.tif": "a.tif",
    "heights/*.tif": "*.tif",
    "file:///home/anna/a.tif": "a.tif",
    "https://anna:secret@data.example:8443/a.tif?X-Amz-Signature=5ec2e7#x": "https://data.example:8443/a.tif",
    "s3://bucket/key/a.tif": "s3://bucket/key/a.tif",
}


@pytest.mark.parametrize("href", HREFS)
def test_paths_and_secrets_stay_at_home(href):
    assert public_href(href) == HREFS[href]
    assert public_href(public_href(href)) == HREFS[href]


def ref_of(href, *, data=None):
    grid = UserGrid(path="/home/anna/geoid.tif", sha256="0" * 64, accuracy_m=0.1)
    source = make_source("survey").model_copy(update={"data": data or Files(hrefs=(href,)), "vertical_grid": grid})
    return SourceRef(source=source, files=(FileRef(href=href, etag="sha256:" + "1" * 64, size_bytes=10),))


def test_nothing_of_a_source_tells_where_it_lies():
    for data in (None, CellTemplate(href="/home/anna/{lat:02d}.tif")):
        shown = public_ref(ref_of("/home/anna/a.tif", data=data))
        assert "anna" not in shown.model_dump_json()
        assert shown.files[0].etag == "sha256:" + "1" * 64
        assert public_ref(shown) == shown


def test_what_is_held_back_is_kept_for_the_operator_and_never_served():
    store = MemoryStore()
    job = Job(Tile.parse("E4300N2650"), (ref_of("/home/anna/a.tif"),), ProcessingSettings())
    draft = {name: getattr(make_manifest(None), name) for name in type(make_manifest(None)).model_fields}
    draft = {**draft, "sources": job.sources, "run_key": job.run_key}
    manifest = TileResult(job, (), {k: v for k, v in draft.items() if k != "assets"}).manifest(())
    assert b"anna" not in manifest.to_json()
    assert full_sources(store, manifest) == manifest.sources
    keep_inputs(store, job)
    keep_inputs(store, job)
    assert full_sources(store, manifest) == job.sources
    key = inputs_key(job.tile.id, job.run_key)
    assert list(store.objects) == [key]
    assert not _is_served(key)
    store.objects[key] = b"{"
    with pytest.raises(CatalogueError, match="damaged"):
        full_sources(store, manifest)


def test_sources_without_secrets_need_no_record():
    store = MemoryStore()
    source = make_source("survey")
    public = SourceRef(source=source, files=(FileRef(href="https://data.example/survey.tif", etag="e", size_bytes=1),))
    keep_inputs(store, Job(Tile.parse("E4300N2650"), (public_ref(public),), ProcessingSettings()))
    assert not store.objects
