import orjson
import pytest

from orograph.stac.documents.json import encode
from orograph.stac.documents.schemas import SchemaLibrary
from orograph.stac.publishing.publish import publish_item, rebuild
from orograph.stac.verify import verify
from tests.support.catalogue_world import MemoryStore, make_manifest


@pytest.fixture(scope="module")
def library(shared):
    return SchemaLibrary(shared("stac-schemas"))


@pytest.fixture
def world():
    store = MemoryStore()
    for tile in ("E4300N2650", "E3900N3100"):
        publish_item(store, make_manifest(store, tile), now="2026-01-01T00:00:00Z")
    manifest = make_manifest(store, seed=3)
    publish_item(store, manifest, now="2026-01-02T00:00:00Z")
    rebuild(store)
    return store, manifest


def kinds(report, severity="error"):
    return {problem.kind for problem in report.problems if problem.severity == severity}


def test_a_sound_catalogue_is_found_sound(world, library):
    report = verify(world[0], library)
    assert report.problems == []
    # Two present items, their two first versions, and the predecessor's.
    assert (report.items, report.cogs) == (5, 3)
    assert report.assets == 6


def change(store, key, **members):
    store.objects[key] = encode({**orjson.loads(store.objects[key]), **members})


def test_flipped_byte(world, library):
    store, manifest = world
    key = manifest.asset("dem").key
    data = bytearray(store.objects[key])
    data[len(data) // 2] ^= 1
    store.objects[key] = bytes(data)
    assert kinds(verify(store, library)) == {"checksum"}
    assert kinds(verify(store, library, files=False)) == set()


def test_truncated_file(world, library):
    store, manifest = world
    key = manifest.asset("dem").key
    store.objects[key] = store.objects[key][:-10]
    assert kinds(verify(store, library, files=False)) == {"size"}


def test_missing_file(world, library):
    store, manifest = world
    store.delete(manifest.asset("thumbnail").key)
    assert "dangling" in kinds(verify(store, library))


def test_file_that_is_no_cog(library, tmp_path):
    import hashlib

    import numpy as np
    import rasterio

    path = tmp_path / "plain.tif"
    profile = {"driver": "GTiff", "width": 1024, "height": 1024, "count": 1, "dtype": "float32", "tiled": False}
    with rasterio.open(path, "w", **profile, crs="EPSG:3035", transform=rasterio.Affine(10, 0, 0, 0, -10, 0)) as file:
        file.write(np.zeros((1, 1024, 1024), np.float32))
    store = MemoryStore()
    manifest = make_manifest(store)
    data = path.read_bytes()
    asset = manifest.asset("dem").model_copy(
        update={"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    manifest = manifest.model_copy(update={"assets": (asset,)})
    store.put(asset.key, data)
    store.put(manifest.manifest_key, manifest.to_json())
    store.delete(asset.key.replace("dem.tif", "thumbnail.png"))
    publish_item(store, manifest)
    rebuild(store)
    assert kinds(verify(store, library)) == {"cog"}


def test_orphans_and_unfinished_work(world, library):
    store, manifest = world
    store.put("stac/dem-eu/E4000N2500/E4300N2650/old.json", b"{}")
    store.put(manifest.asset("dem").key.replace("dem.tif", "stray.tif"), b"x")
    store.put("tiles/E4400N2650/0123/dem.tif", b"x")
    make_manifest(store, "E4500N2650")
    report = verify(store, library)
    assert [p.key.rsplit("/", 1)[1] for p in report.problems if p.severity == "error"] == ["old.json", "stray.tif"]
    assert len([p for p in report.problems if p.severity == "warning"]) == 2


def test_item_that_is_not_in_the_index_or_differs(world, library):
    store, _ = world
    key = "stac/dem-eu/E4000N2500/E4300N2650/E4300N2650.json"
    item = orjson.loads(store.objects[key])
    change(store, key, properties={**item["properties"], "gsd": 11.0})
    assert kinds(verify(store, library)) == {"index", "version"}


def test_unpublished_item_is_reported(world, library):
    store, _ = world
    publish_item(store, make_manifest(store, "E4350N2650"))
    report = verify(store, library)
    assert report.ok
    assert kinds(report, "warning") == {"pending", "orphan"}
    rebuild(store)
    assert verify(store, library).ok


def test_schema_faults_and_broken_json(world, library):
    store, _ = world
    change(store, "stac/dem-eu/collection.json", extent={})
    assert "schema" in kinds(verify(store, library))
    store.objects["stac/dem-eu/collection.json"] = b"{"
    assert {"json", "orphan"} <= kinds(verify(store, library))


def test_reference_out_of_the_store(world, library):
    store, _ = world
    root = orjson.loads(store.objects["stac/catalog.json"])
    link = {"rel": "child", "href": "../../../etc/passwd", "type": "application/json"}
    change(store, "stac/catalog.json", links=[*root["links"], link])
    assert "dangling" in kinds(verify(store, library))


def test_empty_store(library):
    assert kinds(verify(MemoryStore(), library)) == {"dangling"}


def test_whatever_is_damaged_is_told_not_raised(world, library):
    store, _ = world
    key = "stac/dem-eu/E4000N2500/E4300N2650/E4300N2650.json"
    sound = dict(store.objects)
    item = orjson.loads(sound[key])
    for members in ({"assets": {"dem": {}}}, {"assets": []}, {"links": [{"rel": "root"}]}, {"properties": 7}):
        change(store, key, **members)
        assert not verify(store, library).ok, members
        store.objects.update(sound)
    index = "stac/dem-eu/E4000N2500/items.parquet"
    for data in (b"", b"PAR1", sound[index][:-9], sound[index][:200] + b"\0" + sound[index][201:]):
        store.objects[index] = data
        assert "checksum" in kinds(verify(store, library))
    store.objects.update(sound)
    moved = {**item, "links": [{**link, "title": "x"} if link["rel"] == "license" else link for link in item["links"]]}
    change(store, key, **moved)
    assert kinds(verify(store, library)) == {"version"}
