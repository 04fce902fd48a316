"""Layers, differences, spans, TileJSON, WMTS and estimates of the map, over a made store."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from owslib.wmts import WebMapTileService
from PIL import Image

from orograph.infra.service import shading
from orograph.infra.service.app import create_app
from orograph.infra.service.settings import ServiceSettings
from orograph.infra.service.web_tiles import LAYERS
from orograph.pipeline.errors import ConfigError
from tests.support.service_world import COARSE, UNPUBLISHED, WEST, Engine, World

ZOOM = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"), pixel_m=250.0)
    made.publish()
    return made


def settings(**changes: Any) -> ServiceSettings:
    return ServiceSettings(**{"allowed_hosts": ("testserver",), "orders_per_minute": 10_000, **changes})


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient]:
    with TestClient(create_app(settings(), world.parts(Engine()))) as made:
        yield made


@pytest.fixture(scope="module")
def address(client: TestClient) -> str:
    """`{z}/{x}/{y}` in the middle of the western tile."""
    west, south, east, north = client.get("/map/state").json()["bounds"]
    lon, lat = west + 0.3 * (east - west), (south + north) / 2
    column = (lon + 180) / 360 * 2**ZOOM
    row = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**ZOOM
    return f"{ZOOM}/{int(column)}/{int(row)}"


def pixels(client: TestClient, path: str) -> np.ndarray:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


def test_slope_and_aspect_follow_the_terrain() -> None:
    """A plane that rises 1 in 10 to the east faces west."""
    plane = np.tile(np.arange(8, dtype=np.float32), (8, 1))
    assert shading.slope_deg(plane, 10.0) == pytest.approx(np.degrees(np.arctan(0.1)), abs=1e-4)
    west = np.array(dict(shading.ASPECT_STOPS)[270.0])
    assert shading.aspect_colours(plane, 10.0)[3, 3] == pytest.approx(west, abs=0.5)
    assert shading.aspect_colours(plane * 0, 10.0)[3, 3] == pytest.approx(np.array((236, 234, 226)), abs=0.5)


def test_sea_is_water_and_a_polder_is_not() -> None:
    rng = np.random.default_rng(1)
    sea = np.full((40, 40), 0.31, np.float32) + np.arange(40, dtype=np.float32) * 2e-4
    polder = sea - 1.2 + rng.normal(0, 0.03, sea.shape).astype(np.float32)
    assert shading.still_water(sea, 30.0).mean() > 0.8
    assert not shading.still_water(polder, 30.0).any()
    assert not shading.still_water(sea + 240, 30.0).any(), (
        "a level lake in the hills stays land: it may be a quarry floor"
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_is_drawn_in_both_encodings(client: TestClient, address: str, layer: str) -> None:
    drawn, seen = (pixels(client, f"/map/{layer}/{address}.{form}").astype(float) for form in ("png", "webp"))
    assert drawn.shape == (512, 512, 4)
    if layer in {"terrain", "heights"}:
        assert np.array_equal(seen, drawn)
        return
    visible = drawn[..., 3] > 0
    assert np.abs(seen - drawn)[visible].mean() < 14
    large, small = (len(client.get(f"/map/{layer}/{address}.{form}").content) for form in ("png", "webp"))
    assert small < 0.6 * large


def test_voids_stay_voids_in_heights_and_are_filled_in_terrain(client: TestClient, address: str) -> None:
    alpha = pixels(client, f"/map/relief/{address}.png")[..., 3]
    heights = pixels(client, f"/map/heights/{address}.png")[..., :3].astype(float) @ (256.0, 1.0, 1 / 256)
    assert 0 < (alpha == 0).mean() < 1
    assert np.array_equal(heights == 0, alpha == 0)
    terrain = pixels(client, f"/map/terrain/{address}.png")[..., :3].astype(float) @ (256.0, 1.0, 1 / 256) - 32768
    assert terrain.min() > 0
    assert client.get("/map/heights/8/0/0.png").status_code == 200, "a void map tile, for contours of its neighbours"


def test_colours_span_the_heights_that_are_asked_for(client: TestClient, address: str) -> None:
    usual = pixels(client, f"/map/relief/{address}.png")
    narrow = pixels(client, f"/map/relief/{address}.png?span=400,900")
    seen = usual[..., 3] > 0
    assert np.abs(usual.astype(float) - narrow)[seen].mean() > 5
    assert client.get(f"/map/relief/{address}.png?span=900,400").status_code == 422
    assert client.get(f"/map/relief/{address}.png?span=nan,1").status_code == 400


def test_the_range_of_a_box_is_that_of_its_heights(client: TestClient) -> None:
    west, south, east, north = client.get("/map/state").json()["bounds"]
    whole = client.get("/map/range", params={"bbox": f"{west},{south},{east},{north}"}).json()
    middle = f"{west + 0.2},{south + 0.15},{west + 0.25},{south + 0.2}"
    part = client.get("/map/range", params={"bbox": middle}).json()
    assert whole["min_m"] <= part["min_m"] <= part["max_m"] <= whole["max_m"]
    assert part["max_m"] - part["min_m"] < whole["max_m"] - whole["min_m"]
    assert client.get("/map/range", params={"bbox": "0,0,1,1"}).json() == {"min_m": None, "max_m": None}
    assert client.get("/map/range", params={"bbox": "1,0,0,1"}).status_code == 422
    assert client.get("/map/range", params={"bbox": "8,-736934.,9.5.,58"}).status_code == 400


def test_the_difference_to_a_source_is_what_was_done_to_it(client: TestClient, address: str) -> None:
    """The coarse source lies 1.5 m above the tile, which is one step of blue."""
    drawn = pixels(client, f"/map/difference/{COARSE.id}/{address}.png")
    seen = drawn[drawn[..., 3] > 0][:, :3].astype(float)
    assert np.median(seen[:, 2]) > np.median(seen[:, 0]) + 30, "lower is blue"
    assert client.get(f"/map/difference/nobody/{address}.png").status_code == 204


def test_two_runs_are_compared(tmp_path: Path, address: str) -> None:
    world = World(tmp_path, pixel_m=500.0)
    world.publish(WEST)
    with TestClient(create_app(settings(), world.parts(Engine()))) as client:
        assert not client.get("/map/state").json()["hasPrevious"]
        assert client.get(f"/map/difference/previous/{address}.png").status_code == 204
    world.source_version = "2"
    world.publish(WEST)
    with TestClient(create_app(settings(), world.parts(Engine()))) as client:
        assert client.get("/map/state").json()["hasPrevious"]
        drawn = pixels(client, f"/map/difference/previous/{address}.png")
        seen = drawn[drawn[..., 3] == 255][:, :3].astype(float)
        assert np.abs(seen - seen.mean(axis=1, keepdims=True)).mean() < 6, "equal heights are white"
        before = pixels(client, f"/map/raw/previous/relief/{address}.png")
        assert np.array_equal(before, pixels(client, f"/map/relief/{address}.png"))


def test_a_profile_goes_along_several_products(client: TestClient) -> None:
    west, south, _east, _north = client.get("/map/state").json()["bounds"]
    line = f"{west + 0.1},{south + 0.2};{west + 0.5},{south + 0.22}"
    found = client.get("/map/profile", params={"line": line, "samples": 100, "also": [COARSE.id, "fine-dtm"]}).json()
    height, coarse, fine = (
        np.array(one, dtype=float)
        for one in (found["height_m"], found["also_m"][COARSE.id], found["also_m"]["fine-dtm"])
    )
    both = np.isfinite(height) & np.isfinite(fine)
    assert both.sum() > 50
    assert np.abs(height - fine)[both].max() < 0.05
    assert np.nanmedian(coarse - height) == pytest.approx(1.5, abs=1.0)
    assert client.get("/map/profile", params={"line": line, "also": ["no such"]}).status_code == 400


def test_tilejson_leads_to_tiles(client: TestClient, address: str) -> None:
    for path in ("relief", "slope", "raw/glo-30/relief", "difference/glo-30"):
        document = client.get(f"/map/{path}/tilejson.json").json()
        assert document["tilejson"] == "3.0.0"
        z, x, y = address.split("/")
        url = document["tiles"][0].format(z=z, x=x, y=y)
        assert document["minzoom"] <= ZOOM <= document["maxzoom"]
        assert pixels(client, url).shape == (512, 512, 4)
    assert client.get("/map/terrain/tilejson.json").json()["encoding"] == "terrarium"
    assert client.get("/map/difference/nobody/tilejson.json").status_code == 404


def test_wmts_is_read_by_a_client_that_then_finds_tiles(client: TestClient, address: str) -> None:
    answer = client.get("/map/wmts?SERVICE=WMTS&REQUEST=GetCapabilities")
    assert answer.headers["content-type"].startswith("application/xml")
    wmts = WebMapTileService("http://testserver/map/wmts", xml=answer.content)
    assert {"relief", "slope", "difference-glo-30"} <= set(wmts.contents)
    layer = wmts["relief"]
    assert layer.boundingBoxWGS84 == pytest.approx(client.get("/map/state").json()["bounds"])
    matrix = wmts.tilematrixsets["WebMercatorQuad"].tilematrix[address.split("/", maxsplit=1)[0]]
    assert (matrix.tilewidth, matrix.matrixwidth) == (512, 2**ZOOM)
    # The scale's pixel times the number of pixels is the equator.
    assert matrix.scaledenominator * 0.00028 * 512 * 2**ZOOM == pytest.approx(2 * math.pi * 6378137.0)
    z, x, y = address.split("/")
    template = layer.resourceURLs[0]["template"]
    url = template.replace("{TileMatrix}", z).replace("{TileCol}", x).replace("{TileRow}", y)
    assert pixels(client, url).shape == (512, 512, 4)
    assert client.get("/map/wmts?REQUEST=GetTile").status_code == 400
    assert wmts.identification.accessconstraints == "; ".join(
        sorted({source["attribution"] for source in client.get("/map/state").json()["sources"]})
    )


def test_wmts_names_legends_that_show_the_layers_colours(client: TestClient) -> None:
    wmts = WebMapTileService("http://testserver/map/wmts", xml=client.get("/map/wmts").content)
    links = {name: layer.styles["default"].get("legend") for name, layer in wmts.contents.items()}
    assert {name for name, link in links.items() if link is None} == {"hillshade", "terrain", "heights"}
    for name in ("relief", "slope", "difference-glo-30"):
        assert links[name].startswith("http://testserver/map/legend/")
    slope = pixels(client, links["slope"])
    for _, colour in shading.SLOPE_STOPS:
        assert (slope[..., :3] == colour).all(axis=-1).sum() > 100
    assert pixels(client, links["source"]).shape[0] == 18 * (1 + len(client.get("/map/state").json()["sources"]))
    assert client.get("/map/legend/hillshade.png").status_code == 404
    assert client.get("/map/legend/nothing.png").status_code == 422


def test_an_estimate_follows_pixels_and_earlier_orders(client: TestClient, world: World) -> None:
    path = "/processes/reprocess-tile/estimate"
    now = client.post(path, json={"tile": WEST.id}).json()
    assert now["upToDate"]
    assert (now["seconds"], now["basis"]) == (None, "no tile was made here yet")
    order = {"inputs": {"tile": UNPUBLISHED.id}}
    client.post("/processes/reprocess-tile/execution", json=order, headers={"prefer": "wait=20"})
    coarse = client.post(path, json={"tile": WEST.id, "settings": {"pixel_size_m": 250.0}}).json()
    fine = client.post(path, json={"tile": WEST.id, "settings": {"pixel_size_m": 50.0}}).json()
    assert "1 orders" in fine["basis"]
    assert fine["pixels"] == 25 * coarse["pixels"]
    assert fine["seconds"] >= 20 * coarse["seconds"]
    assert not fine["upToDate"]
    assert fine["memory_mb"] > 50
    assert client.post(path, json={"tile": WEST.id, "settings": {"pixel_size_m": 7.0}}).status_code == 422
    assert world.store.head(f"jobs/{WEST.id}") is None


def test_choices_are_those_the_service_allows(client: TestClient, world: World) -> None:
    choices = client.get("/processes/reprocess-tile/choices").json()
    assert {one["value"] for one in choices["superres"]} >= {"none", "keys6", "superres-s"}
    assert {one["value"] for one in choices["bare_earth"]} >= {"none", "auto", "bare-earth-30m"}
    assert "EPSG:5621" in {one["value"] for one in choices["target_frame"]}
    fixed = settings(overrides=("superres",))
    with TestClient(create_app(fixed, world.parts(Engine()))) as strict:
        assert set(strict.get("/processes/reprocess-tile/choices").json()) == {"superres"}
        refused = strict.post(
            "/processes/reprocess-tile/estimate", json={"tile": WEST.id, "settings": {"pixel_size_m": 50.0}}
        )
        assert refused.status_code == 403


def test_the_pages_files_are_compressed_and_revalidated(client: TestClient) -> None:
    plain = client.get("/static/vendor/maplibre-gl.mjs", headers={"accept-encoding": "identity"})
    packed = client.get("/static/vendor/maplibre-gl.mjs", headers={"accept-encoding": "gzip"})
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    again = {"accept-encoding": "gzip", "if-none-match": packed.headers["etag"]}
    assert client.get("/static/vendor/maplibre-gl.mjs", headers=again).status_code == 304


def test_a_style_of_ones_own_opens_the_page_to_its_hosts_only(world: World) -> None:
    styled = settings(base_style="https://maps.example.org/style.json", base_style_hosts=("https://tiles.example.org",))
    with TestClient(create_app(styled, world.parts(Engine()))) as client:
        policy = client.get("/", headers={"accept": "text/html"}).headers["content-security-policy"]
        assert "connect-src 'self' https://maps.example.org https://tiles.example.org;" in policy
        assert "script-src 'self';" in policy
        assert client.get("/map/state").json()["baseStyle"] == "https://maps.example.org/style.json"
    with pytest.raises(ConfigError, match="is not an origin"):
        settings(base_style="/style.json", base_style_hosts=("https://a.example/; script-src *",))
