import hashlib

import orjson
import pytest

from orograph.pipeline.errors import CatalogueError, UsageError
from orograph.stac.documents.index import decode_items
from orograph.stac.documents.layout import item_key, resolve
from orograph.stac.publishing.epoch import begin_epoch
from orograph.stac.publishing.publish import publish_item, rebuild
from tests.support.catalogue_world import MemoryStore, make_manifest


@pytest.fixture
def store():
    return MemoryStore()


def item_at(store, key):
    return orjson.loads(store.get(key))


def test_publishing_twice_changes_nothing(store):
    manifest = make_manifest(store)
    key = publish_item(store, manifest, now="2026-01-01T00:00:00Z")
    before = dict(store.objects)
    assert publish_item(store, manifest, now="2026-01-02T00:00:00Z") == key == item_key("dem-eu", "E4300N2650")
    assert store.objects == before


def test_item_is_published_only_after_its_manifest(store):
    manifest = make_manifest(None)
    with pytest.raises(CatalogueError, match="not in the store"):
        publish_item(store, manifest)
    assert not store.objects


def test_a_new_run_names_its_predecessor_and_rollback_makes_no_ring(store):
    first, second = make_manifest(store, seed=0), make_manifest(store, seed=1)
    key = publish_item(store, first, now="2026-01-01T00:00:00Z")
    publish_item(store, second, now="2026-01-02T00:00:00Z")
    item = item_at(store, key)
    links = {link["rel"]: link["href"] for link in item["links"]}
    old = resolve(key, links["predecessor-version"])
    assert old == f"{first.asset_prefix}/item-dem-eu.json"
    assert item_at(store, old)["properties"]["dem:run_key"] == first.run_key
    assert item["properties"]["created"] == "2026-01-02T00:00:00Z"

    publish_item(store, first, now="2026-01-03T00:00:00Z")
    item = item_at(store, key)
    assert item["properties"]["dem:run_key"] == first.run_key
    assert item["properties"]["created"] == "2026-01-01T00:00:00Z"
    assert item["properties"]["updated"] == "2026-01-03T00:00:00Z"
    assert "predecessor-version" not in {link["rel"] for link in item["links"]}


def test_losing_the_swap_reads_again_and_wins(store):
    first, second, third = (make_manifest(store, seed=seed) for seed in (0, 1, 2))
    key = publish_item(store, first)
    publish_item(store, third)

    def somebody_else(at):
        assert at.startswith("stac/pending/")
        publish_item(store, second)

    publish_item(store, first)
    store.before_put = somebody_else
    publish_item(store, third)
    assert item_at(store, key)["properties"]["dem:run_key"] == third.run_key


def test_every_reference_of_the_item_resolves(store):
    key = publish_item(store, make_manifest(store))
    rebuild(store)
    item = item_at(store, key)
    for member in (*item["links"], *item["assets"].values()):
        target = resolve(key, member["href"])
        assert target is None or target in store.objects, member


def test_rebuild_writes_index_collection_root_and_takes_the_notes(store):
    for tile in ("E4300N2650", "E4350N2650", "E3900N3100"):
        publish_item(store, make_manifest(store, tile))
    report = rebuild(store)
    assert (report.blocks, report.items_read, report.notes_left) == (2, 3, 0)
    assert not [key for key in store.objects if key.startswith("stac/pending/")]
    collection = item_at(store, "stac/dem-eu/collection.json")
    assert [link["title"] for link in collection["links"] if link["rel"] == "child"] == [
        "E3500N3000, 1 item",
        "E4000N2500, 2 items",
    ]
    assert collection["license"] == "other"
    assert {provider["name"] for provider in collection["providers"]} == {"Survey", "Orograph"}
    rows = decode_items(store.get("stac/dem-eu/E4000N2500/items.parquet"))
    assert [row["id"] for row in rows] == ["E4300N2650", "E4350N2650"]
    assert rebuild(store).documents_written == 0


def test_a_removed_item_leaves_the_catalogue(store):
    keys = [publish_item(store, make_manifest(store, tile)) for tile in ("E4300N2650", "E3900N3100")]
    rebuild(store)
    store.delete(keys[0])
    rebuild(store, full=True)
    collection = item_at(store, "stac/dem-eu/collection.json")
    assert list(collection["dem:blocks"]) == ["E3500N3000"]
    assert "stac/dem-eu/E4000N2500/items.parquet" not in store.objects
    store.delete(keys[1])
    rebuild(store, full=True)
    assert "stac/dem-eu/collection.json" not in store.objects


def test_a_note_whose_item_is_still_to_come_stays(store):
    manifest = make_manifest(store)
    key = publish_item(store, manifest)
    item = store.objects.pop(key)
    assert rebuild(store).notes_left == 1
    store.objects[key] = item
    assert rebuild(store).notes_left == 0


def test_a_note_of_a_dead_worker_goes_after_an_hour(store):
    key = publish_item(store, make_manifest(store))
    (name,) = [k for k in store.objects if k.startswith("stac/pending/")]
    store.delete(key)
    note = {**item_at(store, name), "written": "2026-01-01T00:00:00Z"}
    store.objects[name] = orjson.dumps(note)
    assert rebuild(store).notes_left == 0


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"{", b'{"written": 3, "replaces": null}', b"\xff"])
def test_a_damaged_note_still_tells_its_item(store, data):
    publish_item(store, make_manifest(store))
    (name,) = [k for k in store.objects if k.startswith("stac/pending/")]
    store.objects[name] = data
    for foreign in ("stac/pending/README", "stac/pending/dem-eu/x/E43.0123", f"stac/pending/dem-eu/x/XX.{'0' * 32}"):
        store.objects[foreign] = b"{}"
    assert rebuild(store).notes_left == 0
    assert name not in store.objects
    assert [row["id"] for row in decode_items(store.get("stac/dem-eu/E4000N2500/items.parquet"))] == ["E4300N2650"]


def test_full_and_incremental_rebuild_write_the_same_bytes(store):
    for number, tile in enumerate(("E4300N2650", "E4350N2650", "E3900N3100", "E4300N2650")):
        publish_item(store, make_manifest(store, tile, seed=number), now=f"2026-01-0{number + 1}T00:00:00Z")
        rebuild(store)
    incremental = {key: hashlib.sha256(data).hexdigest() for key, data in store.objects.items()}
    for key in [k for k in store.objects if k.endswith((".parquet", "catalog.json", "collection.json"))]:
        if not key.startswith("stac/sources/"):
            store.delete(key)
    rebuild(store, full=True)
    assert {key: hashlib.sha256(data).hexdigest() for key, data in store.objects.items()} == incremental


def test_cost_of_publishing_does_not_grow_with_the_catalogue(store):
    def cost(tile, seed):
        publish_item(store, make_manifest(store, tile, seed=seed))
        store.calls.clear()
        rebuild(store)
        return sum(store.calls.values())

    cost("E4300N2650", 0)
    few = cost("E4300N2650", 1)
    for number in range(60):
        publish_item(store, make_manifest(store, f"E{3000 + 50 * (number % 20)}N{3000 + 50 * (number // 20)}"))
    rebuild(store)
    assert cost("E4300N2650", 2) == few


def test_all_items_of_an_epoch_share_one_date(store):
    publish_item(store, make_manifest(store, "E4300N2650"), now="2026-01-01T10:00:00Z")
    publish_item(store, make_manifest(store, "E4350N2650"), now="2026-03-05T12:00:00Z")
    begin_epoch(store, "2027-01-01")
    publish_item(store, make_manifest(store, "E4400N2650"), now="2027-02-03T12:00:00Z")
    dates = [
        item_at(store, item_key("dem-eu", tile))["properties"]["datetime"]
        for tile in ("E4300N2650", "E4350N2650", "E4400N2650")
    ]
    assert dates == ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]
    with pytest.raises(UsageError, match="not a date"):
        begin_epoch(store, "spring")


def test_a_finished_tile_costs_one_request(store):
    manifest = make_manifest(store)
    publish_item(store, manifest)
    store.calls.clear()
    publish_item(store, manifest)
    assert store.calls == {"get": 1}
