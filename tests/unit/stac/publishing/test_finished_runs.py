"""Finished runs without an item are found; an ambiguous choice is an error."""

import pytest

from orograph.pipeline.errors import BadIdentifier, CatalogueError
from orograph.stac.publishing.finished_runs import committed, manifest_of
from orograph.stac.publishing.publish import publish_item
from tests.support.catalogue_world import MemoryStore, make_manifest


def test_a_run_is_found_until_it_is_published():
    store = MemoryStore()
    manifest = make_manifest(store)
    assert manifest_of(store, f"{manifest.tile}/{manifest.run_key}") == manifest
    assert [found.run_key for found in committed(store)] == [manifest.run_key]
    publish_item(store, manifest)
    assert committed(store) == []


def test_two_runs_of_a_tile_must_be_named():
    store = MemoryStore()
    first = make_manifest(store)
    other = first.model_copy(update={"run_key": "f" * 32})
    store.put(other.manifest_key, other.to_json())
    with pytest.raises(CatalogueError, match="several runs") as caught:
        committed(store)
    assert caught.value.tile == first.tile


def test_names_and_damage_are_errors():
    store = MemoryStore()
    with pytest.raises(BadIdentifier):
        manifest_of(store, "E4300N2650")
    with pytest.raises(CatalogueError, match="no finished run"):
        manifest_of(store, f"E4300N2650/{'0' * 32}")
    store.put(f"tiles/E4300N2650/{'0' * 32}/manifest.json", b"{")
    with pytest.raises(CatalogueError, match="cannot be read"):
        manifest_of(store, f"E4300N2650/{'0' * 32}")
