"""Links of the service and its STAC API under mounts, path prefixes, proxies and TLS, followed by pystac-client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import morecantile
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pystac_client import Client

from orograph.infra.service.app import create_app
from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.errors import ConfigError
from orograph.stac.documents.schemas import SchemaLibrary
from orograph.stac.serving.api import search_app
from orograph.stac.serving.map_links import WEB_MAP_LINKS_URI
from tests.support.live import live
from tests.support.service_world import EAST, WEST, World

FORWARDED = {"host": "dem.example", "x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"), pixel_m=500.0)
    made.publish()
    return made


def service(world: World, **changes: Any) -> FastAPI:
    return create_app(ServiceSettings(**{"allowed_hosts": ("*",), **changes}), world.parts())


def links(document: Any) -> Iterator[str]:
    """Every href of a document, at any depth."""
    if isinstance(document, dict):
        for name, member in document.items():
            if name == "href" and isinstance(member, str):
                yield member
            else:
                yield from links(member)
    if isinstance(document, list):
        for member in document:
            yield from links(member)


def own_links(client: TestClient, base: str) -> set[str]:
    """Links of the documents clients start from, all of which must begin with the base."""
    found: set[str] = set()
    for path in ("", "/collections", "/search?limit=1", "/collections/dem-eu/items", "/queryables"):
        found |= set(links(client.get(f"/stac{path}" if path else "/stac/").json()))
    for path in ("/?f=json", "/processes", "/processes/reprocess-tile", "/jobs"):
        found |= set(links(client.get(path).json()))
    return {link for link in found if not link.startswith(base)}


def test_every_link_of_the_mounted_api_is_answered(world: World) -> None:
    with TestClient(service(world), base_url="http://127.0.0.1:8090") as client:
        assert own_links(client, "http://127.0.0.1:8090/") == set()
        for link in links(client.get("/stac/").json()):
            method = "POST" if link.endswith("/search") else "GET"
            assert client.request(method, link, json={} if method == "POST" else None).status_code == 200, link
        item = client.get("/stac/search?limit=1").json()["features"][0]
        for link in links(item):
            assert client.get(at_tile(link, item)).status_code in {200, 204}, link


def at_tile(template: str, item: dict[str, Any]) -> str:
    """The address of the map tile of zoom 9 in an item's middle; other addresses stay."""
    west, south, east, north = item["bbox"]
    tile = morecantile.tms.get("WebMercatorQuad").tile((west + east) / 2, (south + north) / 2, 9)
    return template.replace("{z}/{x}/{y}", f"{tile.z}/{tile.x}/{tile.y}")


def test_items_and_collection_link_to_map_tiles(world: World, shared: Any) -> None:
    library = SchemaLibrary(shared("stac-schemas"))
    with TestClient(service(world), base_url="http://127.0.0.1:8090") as client:
        item = client.get("/stac/search?limit=1").json()["features"][0]
        collection = client.get("/stac/collections/dem-eu").json()
        for document in (item, collection):
            assert list(library.faults(document)) == []
            assert WEB_MAP_LINKS_URI in document["stac_extensions"]
            templates = [link["href"] for link in document["links"] if link["rel"] == "xyz"]
            assert [template.split("/map/")[1] for template in templates] == [
                "relief/{z}/{x}/{y}.png",
                "hillshade/{z}/{x}/{y}.png",
            ]
            picture = client.get(at_tile(templates[0], item))
            assert picture.content.startswith(b"\x89PNG")
        described = next(link for link in item["links"] if link["rel"] == "tilejson")
        tilejson = client.get(described["href"]).json()
        assert (tilejson["tilejson"], tilejson["tiles"]) == ("3.0.0", templates[:1])
        assert tilejson["bounds"] == pytest.approx(collection["extent"]["spatial"]["bbox"][0], abs=1e-6)
        assert tilejson["minzoom"] < tilejson["maxzoom"]
        assert described["render"] in item["properties"]["renders"]
    with TestClient(search_app(world.store)) as alone:
        item = alone.get("/search?limit=1").json()["features"][0]
        assert not [link for link in item["links"] if link["rel"] in {"xyz", "tilejson"}]
        assert WEB_MAP_LINKS_URI not in item["stac_extensions"]


@pytest.mark.parametrize("is_stripped", [True, False], ids=["proxy strips the path", "proxy keeps the path"])
def test_a_public_url_heads_every_link(world: World, is_stripped: bool) -> None:
    public = "https://dem.example/terrain"
    path = "" if is_stripped else "/terrain"
    app = service(world, public_url=public, allowed_hosts=("10.0.0.3",))
    with TestClient(app, base_url=f"http://10.0.0.3{path}") as client:
        assert own_links(client, public + "/") == set()
        assert client.get("/stac/").headers["content-security-policy"].endswith("sandbox")
        assert client.get("/stac", follow_redirects=False).headers["location"] == "/terrain/stac/"
        assert client.get("/terrainfoo/stac/").status_code == 404
        preflight = {"origin": "https://other.example", "access-control-request-method": "POST"}
        assert client.options("/stac/search", headers=preflight).status_code == 204
        ordered = client.post("/processes/reprocess-tile/execution", json={"inputs": {"tile": WEST.id}})
        assert ordered.headers["location"].startswith(f"{public}/jobs/")


def test_an_asgi_root_path_heads_every_link(world: World) -> None:
    with TestClient(service(world), base_url="http://x.example/deep/down", root_path="/deep/down") as client:
        assert own_links(client, "http://x.example/deep/down/") == set()


def test_a_url_that_is_none_is_a_mistake_of_configuration() -> None:
    for text in ("dem.example", "ftp://dem.example", "https://dem.example/?x=1"):
        with pytest.raises(ConfigError, match="public_url"):
            ServiceSettings(public_url=text)


def test_a_proxy_that_ends_tls_is_believed(world: World) -> None:
    with live(service(world)) as url:
        import httpx

        document = httpx.get(f"{url}/stac/", headers=FORWARDED).json()
    assert {link.split("/stac")[0] for link in links(document)} == {"https://dem.example"}


def _two_deep(world: World) -> FastAPI:
    outer, inner = FastAPI(), FastAPI()
    inner.mount("/catalogue", search_app(world.store))
    outer.mount("/a b", inner)
    return outer


@pytest.mark.parametrize(
    ("app", "path"),
    [
        (service, "/stac/"),
        (lambda world: search_app(world.store), "/"),
        (_two_deep, "/a%20b/catalogue/"),
    ],
    ids=["service", "alone", "mounted twice"],
)
def test_pystac_client_lists_searches_and_pages(world: World, app: Any, path: str) -> None:
    with live(app(world)) as url:
        client = Client.open(url + path)
        tiles = [WEST.id, EAST.id]
        assert [collection.id for collection in client.get_collections()] == ["dem-eu"]
        assert [item.id for item in client.get_collection("dem-eu").get_items()] == tiles
        for method in ("GET", "POST"):
            search = client.search(method=method, limit=1, sortby="-id", collections=["dem-eu"])
            assert [item.id for item in search.items()] == tiles[::-1]
            assert search.matched() == 2
        item = next(client.search(ids=[WEST.id]).items())
        assert item.get_root().get_self_href().rstrip("/") == (url + path).rstrip("/")
        assert item.get_parent().id == "dem-eu"
        bare = next(client.search(ids=[WEST.id], fields=["properties.gsd", "-links"]).items_as_dicts())
        assert (set(bare), bare["properties"]) == ({"type", "id", "collection", "properties"}, {"gsd": 500.0})


def test_answers_are_revalidated_compressed_and_headed(world: World) -> None:
    with TestClient(service(world), base_url="http://x.example") as client:
        for path in ("/stac/", "/stac/search", "/stac/collections/dem-eu", "/stac/collections/dem-eu/items/" + WEST.id):
            answer = client.get(path)
            assert answer.headers["content-encoding"] == "gzip"
            assert "accept-encoding" in answer.headers["vary"].lower()
            etag = answer.headers["etag"]
            again = client.get(path, headers={"if-none-match": f'"other", {etag}'})
            assert (again.status_code, again.content) == (304, b"")
            head = client.head(path, headers={"accept-encoding": "identity"})
            assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
        for path in ("/", "/conformance", "/processes", "/jobs", "/map/state", "/openapi.json"):
            assert client.head(path).status_code == 200, path
        assert client.head("/stac/nothing").status_code == 404
