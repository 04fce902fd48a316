"""Asset sets that no manifest refers to are found; published ones and those of running workers stay."""

from orograph.stac.publishing.leftovers import leftovers, remove_leftovers
from tests.support.catalogue_world import MemoryStore, make_manifest


def test_only_the_other_sets_of_a_finished_run_are_removed():
    store = MemoryStore()
    manifest = make_manifest(store)
    run = manifest.manifest_key.rpartition("/")[0]
    store.put(f"{run}/00ff/dem.tif", b"12")
    store.put(f"{run}/00aa/dem.tif", b"3")
    store.put(f"{run}/00aa/item-dem-eu.json", b"{}")
    found = list(leftovers(store))
    assert [(one.key, one.size_bytes, one.finished) for one in found] == [(f"{run}/00ff/dem.tif", 2, True)]
    assert remove_leftovers(store, manifest) == 1
    assert list(leftovers(store)) == []
    assert all(asset.key in store.objects for asset in manifest.assets)


def test_a_run_without_manifest_may_still_work():
    store = MemoryStore()
    store.put(f"tiles/E4300N2650/{'a' * 32}/00ff/dem.tif", b"1")
    (found,) = leftovers(store)
    assert not found.finished
