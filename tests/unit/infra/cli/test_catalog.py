import io
import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.stores.local import LocalStore
from orograph.stac.publishing.publish import publish_item
from tests.support.catalogue_world import make_manifest


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def orograph(store):
    def run(*words: str, ok: bool = True) -> str:
        result = CliRunner().invoke(app, ["catalog", *words, "--store", store.url])
        assert (result.exit_code == 0) == ok, (result.output, result.exception)
        return result.stdout

    return run


def test_publish_then_list_then_verify(orograph, store, shared):
    publish_item(store, make_manifest(store))
    report = json.loads(orograph("publish", "--json"))
    assert (report["items_read"], report["notes_left"]) == (1, 0)
    assert "E4300N2650" in orograph("items")
    assert "E4300N2650" not in orograph("items", "--bbox", "0,40,1,41")
    found = json.loads(orograph("items", "--json", "--filter", "gsd < 20"))["features"]
    assert found[0]["assets"]["dem"]["href"].startswith("tiles/E4300N2650/")
    schemas = str(shared("stac-schemas"))
    assert json.loads(orograph("verify", "--json", "--strict", "--schemas", schemas))["ok"]


def test_finished_but_unpublished_runs(orograph, store):
    first, second = make_manifest(store), make_manifest(store, "E4350N2650")
    assert json.loads(orograph("publish", "--missing", "--json"))["published"] == ["E4300N2650", "E4350N2650"]
    other = make_manifest(store, "E4350N2650", seed=1)
    assert json.loads(orograph("publish", "--missing", "--json"))["published"] == []
    orograph("publish", f"E4350N2650/{other.run_key}")
    assert other.run_key[:12] in orograph("items")
    orograph("publish", f"E4350N2650/{second.run_key}")
    listing = orograph("items")
    assert second.run_key[:12] in listing
    assert first.run_key[:12] in listing


def test_several_unpublished_runs_must_be_named(orograph, store):
    make_manifest(store)
    make_manifest(store, seed=1)
    orograph("publish", "--missing", ok=False)
    orograph("publish", "E4300N2650/../../x", ok=False)
    orograph("publish", f"E4300N2650/{'0' * 32}", ok=False)


def test_verify_fails_on_a_damaged_file(orograph, store, shared):
    manifest = make_manifest(store)
    publish_item(store, manifest)
    orograph("publish")
    path = store.root / manifest.asset("thumbnail").key
    path.chmod(0o644)
    path.write_bytes(b"pnG")
    schemas = str(shared("stac-schemas"))
    report = json.loads(orograph("verify", "--json", "--schemas", schemas, ok=False))
    assert [problem["kind"] for problem in report["problems"]] == ["checksum"]


def test_items_as_one_geoparquet(orograph, store, tmp_path):
    for tile in ("E4300N2650", "E3900N3100"):
        publish_item(store, make_manifest(store, tile))
    orograph("publish", "--public-url", "https://data.example/eu", "--full")
    target = tmp_path / "items.parquet"
    orograph("items", "--geoparquet", str(target))
    table = pq.read_table(io.BytesIO(target.read_bytes()))
    assert table.column("id").to_pylist() == ["E3900N3100", "E4300N2650"]
    assert table.column("assets").to_pylist()[0]["dem"]["href"].startswith("https://data.example/eu/tiles/")


def test_files_that_no_manifest_refers_to_are_listed_and_removed(orograph, store, shared):
    manifest = make_manifest(store)
    publish_item(store, manifest)
    orograph("publish")
    left = f"tiles/{manifest.tile}/{manifest.run_key}/0123456789abcdef0123/dem.tif"
    working = f"tiles/E4350N2650/{'0' * 32}/0123456789abcdef0123/dem.tif"
    for key in (left, working):
        store.put(key, b"left over")
    schemas = str(shared("stac-schemas"))
    report = json.loads(orograph("verify", "--json", "--schemas", schemas))
    assert {(problem["key"], problem["severity"]) for problem in report["problems"]} == {
        (left, "warning"),
        (working, "warning"),
    }
    assert json.loads(orograph("clean", "--dry-run", "--json"))["keys"] == [left]
    assert store.head(left) is not None
    assert json.loads(orograph("clean", "--json")) == {"removed": True, "bytes": 9, "keys": [left]}
    assert store.head(left) is None
    assert store.head(working) is not None
    assert "1 files" in orograph("clean", "--unfinished")
    assert json.loads(orograph("verify", "--json", "--strict", "--schemas", schemas))["ok"]


def test_a_set_that_was_published_once_is_kept(orograph, store):
    manifest = make_manifest(store)
    earlier = f"tiles/{manifest.tile}/{manifest.run_key}/0123456789abcdef0123"
    for name in ("dem.tif", "item-dem-eu.json"):
        store.put(f"{earlier}/{name}", b"{}")
    assert json.loads(orograph("clean", "--json"))["keys"] == []
