import orjson
import pytest
from fastapi.testclient import TestClient

from orograph.stac.publishing.publish import publish_item, rebuild
from orograph.stac.serving.api import search_app
from tests.support.catalogue_world import MemoryStore, make_manifest, make_source

TILES = ("E4300N2650", "E4350N2650", "E3900N3100", "E5000N2000")


@pytest.fixture(scope="module")
def store():
    store = MemoryStore()
    for tile in TILES:
        old = (make_source(start="1999-01-01T00:00:00Z", end="2000-01-01T00:00:00Z"),)
        publish_item(store, make_manifest(store, tile, sources=old if tile == "E5000N2000" else None))
    rebuild(store)
    return store


@pytest.fixture(scope="module")
def client(store):
    with TestClient(search_app(store), base_url="http://api.example") as client:
        yield client


def ids(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/geo+json"
    return [feature["id"] for feature in response.json()["features"]]


def test_landing_names_everything(client):
    body = client.get("/").json()
    rels = {link["rel"] for link in body["links"]}
    assert {"self", "root", "service-desc", "service-doc", "conformance", "data", "search", "child"} <= rels
    assert body["conformsTo"] == client.get("/conformance").json()["conformsTo"]
    for link in body["links"]:
        if link.get("method") != "POST":
            assert client.get(link["href"]).status_code == 200, link


def test_item_of_the_api_is_the_published_one_with_addresses(client, store):
    item = client.get("/collections/dem-eu/items/E4300N2650").json()
    published = orjson.loads(store.get("stac/dem-eu/E4000N2500/E4300N2650/E4300N2650.json"))
    assert item["properties"] == published["properties"]
    assert item["geometry"] == published["geometry"]
    links = {link["rel"]: link["href"] for link in item["links"]}
    assert links["self"] == "http://api.example/collections/dem-eu/items/E4300N2650"
    assert links["canonical"].endswith("/files/stac/dem-eu/E4000N2500/E4300N2650/E4300N2650.json")
    response = client.get(item["assets"]["dem"]["href"])
    assert len(response.content) == item["assets"]["dem"]["file:size"]


def test_search_by_bbox_ids_collections_and_time(client):
    assert ids(client.get("/search")) == sorted(TILES)
    assert ids(client.get("/search?ids=E3900N3100,E9999N9999")) == ["E3900N3100"]
    assert ids(client.get("/search?collections=nothing")) == []
    assert ids(client.get("/search?datetime=../2001-01-01T00:00:00Z")) == ["E5000N2000"]
    assert ids(client.get("/search?datetime=2005-01-01T00:00:00Z")) == []
    assert ids(client.get("/search?bbox=9.9,47,10,47.2")) == ["E4300N2650"]


def test_bbox_meets_the_footprint_and_not_its_box(client):
    item = client.get("/collections/dem-eu/items/E5000N2000").json()
    west, south, *_ = item["bbox"]
    assert ids(client.get(f"/search?bbox={west},{south},{west + 1e-4},{south + 1e-4}")) == []


def test_post_is_get(client):
    area = {"type": "Point", "coordinates": [10.0, 47.2]}
    assert ids(client.post("/search", json={"intersects": area})) == ["E4300N2650"]
    assert ids(client.get("/search", params={"intersects": orjson.dumps(area).decode()})) == ["E4300N2650"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id = 'E3900N3100'", ["E3900N3100"]),
        ("\"dem:surface\" = 'DTM' AND gsd < 20 AND id LIKE 'E43%'", ["E4300N2650", "E4350N2650"]),
        ('"eo:bands" = 3', []),
        ("\"eo:bands\" IS NULL AND NOT id = 'E5000N2000'", ["E3900N3100", "E4300N2650", "E4350N2650"]),
        ("end_datetime < TIMESTAMP('2001-01-01T00:00:00Z')", ["E5000N2000"]),
        ("S_INTERSECTS(geometry, POINT(10 47.2))", ["E4300N2650"]),
    ],
)
def test_filter(client, text, expected):
    assert ids(client.get("/search", params={"filter": text})) == expected


def test_pages_hold_every_item_once(client):
    seen, request = [], client.get("/search?limit=3")
    for _ in range(5):
        seen += ids(request)
        following = [link for link in request.json()["links"] if link["rel"] == "next"]
        if not following:
            break
        request = client.get(following[0]["href"])
    assert seen == sorted(TILES)
    first = client.post("/search", json={"limit": 2, "filter": {"op": "<", "args": [{"property": "gsd"}, 20]}})
    link = next(link for link in first.json()["links"] if link["rel"] == "next")
    assert ids(first) + ids(client.post(link["href"], json=link["body"])) == sorted(TILES)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"filter": "gsdd = 10"}, "gsdd"),
        ({"filter": "\"dem:surfac\" = 'DTM'"}, "dem:surfac"),
        ({"filter": "gsd < 5 AND NOT (properties.gsd IS NULL)"}, "properties.gsd"),
        ({"sortby": "-properties.updatedd"}, "updatedd"),
    ],
)
def test_a_misspelt_property_is_named(client, parameters, name):
    answer = client.get("/search", params=parameters)
    assert answer.status_code == 400
    assert name in answer.json()["detail"]


def test_near_names_are_offered_and_bare_words_rejected(client):
    assert "gsd" in client.get("/search", params={"filter": "gsdd = 10"}).json()["detail"].partition("near")[2]
    answer = client.get("/search", params={"filter": "gsd"})
    assert answer.status_code == 400
    assert "not a condition" in answer.json()["detail"]


def test_properties_of_other_extensions_are_absent_not_misspelt(client):
    answer = client.get("/search", params={"filter": '"eo:cloud_cover" < 10'})
    assert (answer.status_code, answer.json()["features"]) == (200, [])


@pytest.mark.parametrize(
    "path", ["/search?bbox=1,2,3", "/search?limit=0", "/search?datetime=now", "/search?filter=a%20b", "/search?token=x"]
)
def test_bad_requests_are_problems(client, path):
    response = client.get(path)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]


def test_bodies_that_are_no_objects(client):
    for data in (b"[1]", b"{", b"\xff", b"1" * (1 << 21)):
        assert client.post("/search", content=data).status_code == 400


@pytest.mark.parametrize(
    "path", ["/collections/none", "/collections/none/items", "/collections/dem-eu/items/E0000N0000", "/nothing"]
)
def test_what_is_not_there(client, path):
    assert client.get(path).status_code == 404


def test_publications_are_seen_without_a_restart():
    store = MemoryStore()
    publish_item(store, make_manifest(store, TILES[0]))
    rebuild(store)
    with TestClient(search_app(store, max_age_s=0)) as client:
        assert ids(client.get("/search")) == [TILES[0]]
        publish_item(store, make_manifest(store, TILES[1]))
        publish_item(store, make_manifest(store, TILES[2]))
        rebuild(store)
        store.calls.clear()
        assert ids(client.get("/search")) == sorted(TILES[:3])
        # Three collections are looked at; one of them is read with its two changed blocks.
        assert store.calls == {"head": 3, "get": 3}
        store.calls.clear()
        client.get("/search")
        assert store.calls == {"head": 3}


def test_an_empty_store_answers_empty():
    with TestClient(search_app(MemoryStore())) as client:
        assert client.get("/collections").json()["collections"] == []
        assert ids(client.get("/search")) == []


def test_cors_for_browsers(client):
    response = client.get("/search", headers={"Origin": "https://browser.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "Content-Range" in response.headers["access-control-expose-headers"]
